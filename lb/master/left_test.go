package master

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// left is a worker of a master that is gone, which says what the test has it say: a process that does nothing, and the test at its rendezvous.
type left struct {
	t    *testing.T
	pid  int
	cmd  *exec.Cmd
	meet *net.UnixListener
	link *handoff.Conn
}

func (r *rig) leave() *left {
	r.t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	w := &left{t: r.t, pid: cmd.Process.Pid, cmd: cmd}
	r.t.Cleanup(w.end)
	var err error
	w.meet, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: RendezvousPath(r.socket, w.pid), Net: "unixpacket"})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// found waits for the next master.
func (w *left) found() {
	w.t.Helper()
	w.meet.SetDeadline(time.Now().Add(20 * time.Second))
	c, err := w.meet.AcceptUnix()
	if err != nil {
		w.t.Fatal(err)
	}
	w.link = handoff.FromUnix(c)
	w.t.Cleanup(func() { w.link.Close() })
	w.hears(handoff.Adopt)
}

// hears waits for an order.
func (w *left) hears(kind string) {
	w.t.Helper()
	var o handoff.Order
	fds, err := w.link.ReceiveWithin(&o, 20*time.Second)
	for _, fd := range fds {
		unix.Close(fd)
	}
	if err != nil || o.Kind != kind {
		w.t.Fatalf("heard %q, %v, want %q", o.Kind, err, kind)
	}
}

func (w *left) says(report handoff.Report, fds ...int) {
	w.t.Helper()
	if err := w.link.Send(report, fds, 20*time.Second); err != nil {
		w.t.Fatal(err)
	}
}

func (w *left) introduces(generation int, draining bool) {
	w.t.Helper()
	w.says(handoff.Report{Kind: handoff.Adopted, Draining: draining, Facts: &handoff.Facts{Pid: w.pid, Generation: generation, Started: time.Now()}})
}

// end kills the process and waits for it. The connection stays open.
func (w *left) end() {
	if w.cmd != nil {
		w.cmd.Process.Kill()
		w.cmd.Wait()
		w.cmd, _ = nil, w.meet.Close()
	}
}

// TestAStopWhileWorkersAreBeingAdopted: they end too, whether they have said who they are or not.
func TestAStopWhileWorkersAreBeingAdopted(t *testing.T) {
	for _, c := range []struct{ command, order string }{{"stop", handoff.Drain}, {"stop now", handoff.Stop}} {
		t.Run(c.command, func(t *testing.T) {
			r := newRig(t)
			r.configure("listen " + r.addr)
			w := r.leave()
			r.launch()
			w.found()
			defer r.say(c.command).Close()
			w.hears(c.order)
			w.introduces(7, false)
			w.end()
			w.link.Close()
			if got := r.ended(); got != 0 {
				t.Errorf("exit status %d", got)
			}
		})
	}
}

// TestAWorkerThatIntroducesItselfLate finishes: another one serves in its place, and gets what it has.
func TestAWorkerThatIntroducesItselfLate(t *testing.T) {
	r := newRig(t)
	r.configure("listen " + r.addr)
	r.wait = 50 * time.Millisecond
	w := r.leave()
	r.launch()
	w.found()
	r.await("a worker serves", func() bool { _, err := os.Stat(r.socket + ".pid"); return err == nil })
	w.introduces(7, false)
	w.hears(handoff.Successor)
	w.hears(handoff.Drain)
	r.await("the one that serves meets it", func() bool { return strings.Contains(r.out.String(), "met a former worker") })
	if table := r.ask("show proc"); !strings.Contains(table, fmt.Sprintf("# old workers\n%d ", w.pid)) {
		t.Errorf("the table does not have it:\n%s", table)
	}
}

// TestALateWorkerServesOnWhereNobodyElseCan: the configuration of now is bad, and while that is being found out it says who it is.
func TestALateWorkerServesOnWhereNobodyElseCan(t *testing.T) {
	r := newRig(t)
	r.configure("hang")
	r.wait = 50 * time.Millisecond
	w := r.leave()
	r.launch()
	w.found()
	r.await("a worker is started without it", func() bool { return len(r.pids()) == 2 })
	w.introduces(7, false)
	r.await("it serves", func() bool {
		return strings.Contains(r.ask("status"), fmt.Sprintf("generation 7 (worker %d) serves", w.pid))
	})
	r.await("the start fails", func() bool { return strings.Contains(r.out.String(), "was killed by signal 9") })
	if s := r.ask("show proc"); !strings.Contains(s, fmt.Sprintf("# workers\n%d ", w.pid)) {
		t.Errorf("it does not serve on:\n%s", s)
	}
}

// TestAStartWaitsForALateWorker that has the sockets: it has not said yet who it is, or it hung up, as it had not heard of the end of its master.
func TestAStartWaitsForALateWorker(t *testing.T) {
	for _, hangsUp := range []bool{false, true} {
		r := newRig(t)
		r.configure("listen " + r.addr)
		r.wait = 50 * time.Millisecond
		w := r.leave()
		want := handoff.Want{Network: "tcp", Address: r.addr, UID: -1, GID: -1}
		fd, err := new(handoff.Opener).Open(want)
		if err != nil {
			t.Fatal(err)
		}
		r.launch()
		w.found()
		if hangsUp {
			w.link.Close()
			w.found()
		} else {
			r.await("the start fails", func() bool { return strings.Contains(r.out.String(), "looking again") })
		}
		w.says(handoff.Report{Kind: handoff.Adopted, Facts: &handoff.Facts{Pid: w.pid, Generation: 7, Started: time.Now()}, Names: []string{want.Key()}}, fd)
		unix.Close(fd)
		for kind := ""; kind != handoff.Drain; { // until the next worker serves, on the same sockets
			var o handoff.Order
			fds, err := w.link.ReceiveWithin(&o, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			closeAll(fds)
			kind = o.Kind
		}
	}
}

// TestStatusWithWorkersThatAreStuck: two that do not answer cost the time of one.
func TestStatusWithWorkersThatAreStuck(t *testing.T) {
	r := newRig(t)
	r.configure("listen " + r.addr)
	stuck := []*left{r.leave(), r.leave()}
	r.launch()
	for _, w := range stuck {
		w.found()
		w.introduces(7, true)
	}
	r.await("a worker serves", func() bool { _, err := os.Stat(r.socket + ".pid"); return err == nil })
	s := r.ask("status")
	for _, w := range stuck {
		if !strings.Contains(s, fmt.Sprintf("worker %d: does not answer", w.pid)) {
			t.Errorf("status does not say that %d does not answer:\n%s", w.pid, s)
		}
	}
}

// TestLastWordsOfAKilledWorker: the record of what it had in flight was under way when it died.
func TestLastWordsOfAKilledWorker(t *testing.T) {
	r := newRig(t)
	r.configure("listen " + r.addr)
	w := r.leave()
	r.launch()
	w.found()
	w.introduces(7, true)
	r.await("a worker serves", func() bool { _, err := os.Stat(r.socket + ".pid"); return err == nil })
	record, err := os.CreateTemp(r.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	io.WriteString(record, "three requests")
	w.end()
	w.says(handoff.Report{Kind: handoff.Flights}, int(record.Fd()))
	w.link.Close()
	r.await("they reach the next worker", func() bool { return strings.Contains(r.out.String(), "in flight there: three requests") })
}

// TestAnUpgradeWaitsForAnAdoption, which nobody but this master could finish.
func TestAnUpgradeWaitsForAnAdoption(t *testing.T) {
	r := newRig(t)
	r.configure("listen " + r.addr)
	w := r.leave()
	r.launch()
	w.found()
	c := r.say("upgrade")
	defer c.Close()
	r.await("the master has looked at the program", func() bool { _, err := os.Stat(r.config + ".checked"); return err == nil })
	w.introduces(7, true)
	w.hears(handoff.Adopt) // the program that the master has become knows it too
	w.introduces(7, true)
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "Success=1") {
		t.Errorf("the upgrade answers %q, %v", answer, err)
	}
}

// TestWhoAskedIsAnswered although the master ends in that moment.
func TestWhoAskedIsAnswered(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	r.configure("hang")
	c := r.say("reload")
	defer c.Close()
	r.await("a worker is on its way", func() bool { return len(r.pids()) == 2 })
	if a := r.ask("detach"); a != "The workers serve on.\n" {
		t.Errorf("detach answers %q", a)
	}
	if a, err := io.ReadAll(c); err != nil || !strings.Contains(string(a), "is being restarted") {
		t.Errorf("the reload answers %q, %v", a, err)
	}
}

// TestAProvenConfigurationIsNotTakenBack: it served longer than its probation, so it is not to blame if the workers that follow are killed soon.
func TestAProvenConfigurationIsNotTakenBack(t *testing.T) {
	r := newRig(t)
	other := freeAddr(t)
	r.start("listen " + other)
	r.configure("listen " + r.addr)
	if a := r.ask("reload"); !strings.HasPrefix(a, "Success=1") {
		t.Fatal(a)
	}
	loaded := time.Now()
	r.await("it has proved itself", func() bool { return time.Since(loaded) > probation })
	for range 2 {
		g, pid := r.mustCall()
		unix.Kill(pid, unix.SIGKILL)
		r.await("the next worker serves", func() bool { return strings.Contains(r.ask("status"), fmt.Sprintf("generation %d ", g+1)) })
	}
	if g, _ := r.mustCall(); g != 4 {
		t.Errorf("generation %d serves", g)
	}
}

// TestAStopWithoutAMaster: nobody tells the worker; it notices that there is no service any more.
func TestAStopWithoutAMaster(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	c, pid := r.connect()
	if err := os.WriteFile(r.config+".stopped", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.cmd.Process.Kill()
	<-r.gone
	r.await("it listens no more", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, unix.ECONNREFUSED)
	})
	if _, _, err := exchange(c); err != nil {
		t.Errorf("what is open is not finished: %v", err)
	}
	c.Close()
	r.await("it leaves", func() bool { return !running(pid) })
}

// TestAMasterThatComesBeforeItsPredecessorIsMissed: a worker that had no time for either hears of the end of the one and of the other at once.
func TestAMasterThatComesBeforeItsPredecessorIsMissed(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	for range 6 {
		_, pid := r.mustCall()
		r.await("no other worker is left", func() bool { return len(r.pids()) == 1 })
		unix.Kill(pid, unix.SIGSTOP)
		r.cmd.Process.Kill()
		<-r.gone
		os.Remove(r.socket)
		r.launch()
		// It opens its own socket when it has looked for workers.
		r.await("the next master has called", func() bool { _, err := os.Stat(r.socket); return err == nil })
		unix.Kill(pid, unix.SIGCONT)
		r.await("it finds the worker", func() bool { return strings.Contains(r.out.String(), fmt.Sprintf("found worker %d ", pid)) })
		r.await("the next worker serves", func() bool { _, next := r.mustCall(); return next != pid })
	}
}

// TestAWorkerWithoutAFreeDescriptor cannot take the connection to the next one. It hears everything else, and leaves.
func TestAWorkerWithoutAFreeDescriptor(t *testing.T) {
	r := newRig(t)
	r.start("listen "+r.addr, "full")
	first := r.pids()
	r.configure("listen " + r.addr)
	if a := r.ask("reload"); !strings.HasPrefix(a, "Success=1") {
		t.Fatal(a)
	}
	r.await("the old worker leaves", func() bool { return !running(first[0]) })
	if g, _ := r.mustCall(); g != 2 {
		t.Errorf("generation %d serves", g)
	}
}
