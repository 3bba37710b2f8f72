package master

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// rig is a master in a process of its own.
type rig struct {
	t      *testing.T
	dir    string
	config string
	socket string
	addr   string
	wait   time.Duration // for what a former master left to introduce itself
	cmd    *exec.Cmd
	gone   chan struct{} // closed when the process has ended
	out    *wait.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	// t.TempDir's names can be longer than a socket's path may be.
	dir, err := os.MkdirTemp("", "lbm")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, config: filepath.Join(dir, "t.cfg"), socket: filepath.Join(dir, "m"), addr: freeAddr(t), wait: 10 * time.Second, out: new(wait.Buffer)}
	t.Cleanup(func() {
		if r.cmd != nil { // first: it replaces workers that are killed
			r.cmd.Process.Kill()
			<-r.gone
		}
		for _, pid := range r.pids() {
			unix.Kill(pid, unix.SIGKILL)
		}
		os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("the processes said:\n%s", r.out)
		}
	})
	return r
}

// freeAddr is a loopback address that is the test's own: a socket is bound to it all the while. It does not listen, so that another one
// with SO_REUSEADDR may have the address too; and the kernel gives a bound port neither to whoever connects nor to whoever asks for any.
func freeAddr(t *testing.T) string {
	t.Helper()
	return port.Reserve(t)
}

func (r *rig) configure(lines ...string) {
	r.t.Helper()
	if err := os.WriteFile(r.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// launch starts the master process.
func (r *rig) launch() {
	r.t.Helper()
	r.cmd = exec.Command(os.Args[0], masterArg, r.config, r.socket, r.wait.String())
	// Workers hold the output open, and some outlive their master.
	said, says, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd.Stderr = says
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	says.Close()
	go io.Copy(r.out, said)
	gone, cmd := make(chan struct{}), r.cmd
	r.gone = gone
	go func() { cmd.Wait(); close(gone) }()
}

// start launches and waits until a worker serves.
func (r *rig) start(lines ...string) {
	r.t.Helper()
	r.configure(lines...)
	r.launch()
	r.await("a worker serves", func() bool { _, err := os.Stat(r.socket + ".pid"); return err == nil })
}

// await polls until ok says true.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("timed out: %s", what)
		}
	}
}

// ended waits for the master's end and returns its exit status.
func (r *rig) ended() int {
	r.t.Helper()
	select {
	case <-r.gone:
	case <-time.After(20 * time.Second):
		r.t.Fatal("timed out: the master ends")
	}
	return r.cmd.ProcessState.ExitCode()
}

// ask sends a line to the master and returns the answer.
func (r *rig) ask(line string) string {
	r.t.Helper()
	c := r.say(line)
	defer c.Close()
	answer, err := io.ReadAll(c)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return string(answer)
}

// call asks the workers over a fresh connection who they are.
func (r *rig) call() (generation, pid int, err error) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	return exchange(c)
}

// exchange sends a line on a connection and reads who answered.
func exchange(c net.Conn) (generation, pid int, err error) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "?\n"); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Fscanf(c, "%d %d\n", &generation, &pid)
	return generation, pid, err
}

// connect opens a connection that stays open until the test ends, and says whose it is.
func (r *rig) connect() (c net.Conn, pid int) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	_, pid, err = exchange(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, pid
}

func (r *rig) mustCall() (generation, pid int) {
	r.t.Helper()
	generation, pid, err := r.call()
	if err != nil {
		r.t.Fatal(err)
	}
	return generation, pid
}

// pids lists the workers whose rendezvous is there.
func (r *rig) pids() []int {
	paths, _ := filepath.Glob(r.socket + ".worker.*")
	var pids []int
	for _, p := range paths {
		if pid, err := strconv.Atoi(p[strings.LastIndexByte(p, '.')+1:]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func running(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func TestReloadMovesToANewWorker(t *testing.T) {
	r := newRig(t)
	r.start("listen "+r.addr, "notice hello")
	generation, first := r.mustCall()
	if generation != 1 {
		t.Fatalf("generation %d serves first", generation)
	}
	answer := r.ask("reload")
	if !strings.HasPrefix(answer, "Success=1\n--\n") || !strings.Contains(answer, "hello") {
		t.Errorf("reload answers %q", answer)
	}
	generation, second := r.mustCall()
	if generation != 2 || second == first {
		t.Errorf("after the reload generation %d (pid %d) serves", generation, second)
	}
	r.await("the old worker leaves", func() bool { return !running(first) })

	r.cmd.Process.Signal(unix.SIGUSR2)
	r.await("SIGUSR2 reloads", func() bool { g, _ := r.mustCall(); return g == 3 })
}

func TestConnectionsStayWithTheOldWorker(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	c, first := r.connect()
	r.ask("reload")
	generation, pid, err := exchange(c)
	if err != nil || generation != 1 || pid != first {
		t.Errorf("the open connection is answered by generation %d, pid %d, %v", generation, pid, err)
	}
	table := r.ask("show proc")
	for _, want := range []string{"# workers\n", "# old workers\n", fmt.Sprint(first)} {
		if !strings.Contains(table, want) {
			t.Errorf("show proc lacks %q:\n%s", want, table)
		}
	}
	if s := r.ask("status"); !strings.Contains(s, fmt.Sprintf("worker %d: 1 connections open", first)) {
		t.Errorf("status does not tell of the open connection:\n%s", s)
	}
	c.Close()
	r.await("the old worker leaves", func() bool { return !running(first) })
}

func TestHardStopAfterBoundsAnOldWorker(t *testing.T) {
	r := newRig(t)
	r.start("listen "+r.addr, "hard-stop-after 100ms")
	_, first := r.connect()
	r.ask("reload")
	r.await("hard-stop-after ends the old worker", func() bool { return !running(first) })
}

// A reload that fails, for whatever reason, is said with its reason and leaves
// everything as it was.
func TestFailedReloadsChangeNothing(t *testing.T) {
	r := newRig(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := freeAddr(t)
	r.start("listen " + r.addr)
	_, first := r.mustCall()
	for _, c := range []struct {
		name   string
		config []string
		reason string
	}{
		{"a mistake", []string{"lissen " + r.addr}, "t.cfg:1"},
		{"a port that is taken", []string{"listen " + r.addr, "listen " + free, "listen " + taken.Addr().String()},
			fmt.Sprintf("[t.cfg:3] : %s is taken by %s (pid %d)", taken.Addr(), commandName(t), os.Getpid())},
		{"the same address twice", []string{"listen " + r.addr, "listen " + r.addr}, "[t.cfg:2] : " + r.addr + " is listened on twice, the first time at t.cfg:1"},
		{"a panic", []string{"panic attack"}, "panic: attack"},
		{"a worker that is never ready", []string{"hang"}, "was killed by signal 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.configure(c.config...)
			answer := r.ask("reload")
			if !strings.HasPrefix(answer, "Success=0\n--\n") || !strings.Contains(answer, c.reason) {
				t.Errorf("reload answers %q, want the reason %q", answer, c.reason)
			}
			if _, pid := r.mustCall(); pid != first {
				t.Errorf("pid %d serves, want %d", pid, first)
			}
			if s := r.ask("status"); !strings.Contains(s, "last load: failed") {
				t.Errorf("status does not tell of the failure:\n%s", s)
			}
		})
	}
	if l, err := net.Listen("tcp", free); err != nil {
		t.Errorf("a socket of a failed reload is still open: %v", err)
	} else {
		l.Close()
	}
	if table := r.ask("show proc"); !strings.Contains(table, "[failed: 5]") {
		t.Errorf("show proc does not count the failures:\n%s", table)
	}
	r.configure("listen " + r.addr)
	if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
		t.Errorf("a good reload after bad ones: %q", answer)
	}
}

func TestListenersComeAndGo(t *testing.T) {
	r := newRig(t)
	other, path := freeAddr(t), filepath.Join(r.dir, "front")
	r.start("listen " + r.addr)
	r.configure("listen "+other, "listen "+path)
	if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
		t.Fatal(answer)
	}
	for _, a := range [][2]string{{"tcp", other}, {"unix", path}} {
		c, err := net.Dial(a[0], a[1])
		if err != nil {
			t.Fatalf("the new listener: %v", err)
		}
		if g, _, err := exchange(c); err != nil || g != 2 {
			t.Errorf("%s is answered by generation %d, %v", a[1], g, err)
		}
		c.Close()
	}
	r.await("the old address is closed", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, unix.ECONNREFUSED)
	})
	// From one address to all, and back: both hold the port for a moment.
	_, port, _ := net.SplitHostPort(other)
	for _, addr := range []string{"0.0.0.0:" + port, other} {
		r.configure("listen " + addr)
		if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
			t.Fatalf("to %s: %s", addr, answer)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path of a listener that is gone: %v", err)
	}
	if l, err := net.Listen("tcp", "0.0.0.0:"+port); err == nil {
		l.Close()
		t.Error("a stranger may share the port")
	}
}

func TestManyReloadsAtOnceAreFew(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	const storm = 100
	answers := make(chan string, storm)
	for range storm {
		go func() { answers <- r.ask("reload") }()
	}
	for range storm {
		if a := <-answers; !strings.HasPrefix(a, "Success=1") {
			t.Errorf("answer %q", a)
		}
	}
	if g, _ := r.mustCall(); g > 6 {
		t.Errorf("%d requests made %d generations", storm, g)
	} else {
		t.Logf("%d requests made %d generations", storm, g)
	}
}

func TestReloadIfChanged(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	if a := r.ask("reload if-changed"); !strings.HasPrefix(a, "Success=1") || !strings.Contains(a, "Nothing has changed") {
		t.Errorf("for an equal configuration: %q", a)
	}
	_, first := r.mustCall()
	if table := r.ask("show proc"); !strings.Contains(table, fmt.Sprint(first)) || strings.Contains(table, "old workers") {
		t.Errorf("it was loaded all the same:\n%s", table)
	}
	r.configure("listen "+r.addr, "# changed")
	if a := r.ask("reload if-changed"); !strings.HasPrefix(a, "Success=1") || !strings.Contains(a, "Generation 3 serves") {
		t.Errorf("for a changed configuration: %q", a)
	}
	r.configure("nonsense")
	if a := r.ask("reload if-changed"); !strings.HasPrefix(a, "Success=0") {
		t.Errorf("for a bad configuration: %q", a)
	}
}

func TestACrashedWorkerIsReplaced(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	_, first := r.mustCall()
	// What lies on disk is not what the replacement runs.
	r.configure("nonsense")
	unix.Kill(first, unix.SIGKILL)
	// No connection is refused meanwhile: it waits in the queue.
	for range 50 {
		if _, _, err := r.call(); errors.Is(err, unix.ECONNREFUSED) {
			t.Fatal(err)
		}
	}
	if g, pid := r.mustCall(); g != 2 || pid == first {
		t.Errorf("generation %d (pid %d) serves", g, pid)
	}
}

func TestAConfigurationThatCrashesIsTakenBack(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	r.configure("listen "+r.addr, "die of the first connection")
	if a := r.ask("reload"); !strings.HasPrefix(a, "Success=1") {
		t.Fatal(a)
	}
	r.await("the former configuration serves", func() bool {
		g, _, err := r.call()
		return err == nil && g >= 3
	})
	r.await("it is reported", func() bool { return strings.Contains(r.out.String(), "going back to the former one") })
}

// say sends a line to the master; whoever wants the answer reads it.
func (r *rig) say(line string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintln(c, line)
	return c
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		name   string
		stop   func(*rig)
		status int
		soft   bool
	}{
		{"SIGTERM", func(r *rig) { r.cmd.Process.Signal(unix.SIGTERM) }, 0, false},
		{"SIGINT", func(r *rig) { r.cmd.Process.Signal(unix.SIGINT) }, 130, false},
		{"SIGUSR1", func(r *rig) { r.cmd.Process.Signal(unix.SIGUSR1) }, 0, true},
		{"stop", func(r *rig) {
			c := r.say("stop") // the answer comes when the last worker has ended
			r.t.Cleanup(func() { c.Close() })
		}, 0, true},
		{"stop now", func(r *rig) { r.ask("stop now") }, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.start("listen " + r.addr)
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, pid, err := exchange(conn)
			if err != nil {
				t.Fatal(err)
			}
			c.stop(r)
			if c.soft {
				r.await("the address is closed", func() bool {
					c, err := net.Dial("tcp", r.addr)
					if err == nil {
						c.Close()
					}
					return errors.Is(err, unix.ECONNREFUSED)
				})
				if _, _, err := exchange(conn); err != nil {
					t.Errorf("an open connection is not finished: %v", err)
				}
				conn.Close()
			}
			if got := r.ended(); got != c.status {
				t.Errorf("exit status %d, want %d", got, c.status)
			}
			if running(pid) {
				t.Error("the worker lives on")
			}
			for _, left := range []string{r.socket + ".pid", RendezvousPath(r.socket, pid)} {
				if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left behind", left)
				}
			}
		})
	}
}

func TestAFirstStartThatFailsEndsTheMaster(t *testing.T) {
	r := newRig(t)
	r.configure("nonsense")
	r.launch()
	if got := r.ended(); got != 1 {
		t.Errorf("exit status %d, want 1", got)
	}
	r.await("the reason is reported", func() bool { return strings.Contains(r.out.String(), "t.cfg:1") })
}

// TestAKilledMasterIsSucceeded: the workers go on, and the next master takes
// them and their sockets over, then loads the configuration of now.
func TestAKilledMasterIsSucceeded(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	c, first := r.connect()
	r.cmd.Process.Kill()
	<-r.gone
	if g, pid := r.mustCall(); g != 1 || pid != first {
		t.Fatalf("without a master generation %d (pid %d) serves", g, pid)
	}
	os.Remove(r.socket + ".pid")
	r.launch()
	r.await("the next master serves", func() bool { g, _ := r.mustCall(); return g == 2 })
	if _, pid, err := exchange(c); err != nil || pid != first {
		t.Errorf("the open connection: pid %d, %v", pid, err)
	}
	if table := r.ask("show proc"); !strings.Contains(table, fmt.Sprint(first)) {
		t.Errorf("the adopted worker is not in the table:\n%s", table)
	}
	c.Close()
	r.await("the adopted worker leaves", func() bool { return !running(first) })
	r.await("and is forgotten", func() bool { return !strings.Contains(r.ask("show proc"), "# old workers") })
}

// An adopted worker serves on when the configuration of now is bad.
func TestAdoptionOutlivesABadConfiguration(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	_, first := r.mustCall()
	r.cmd.Process.Kill()
	<-r.gone
	r.configure("nonsense")
	r.launch()
	r.await("the failure is reported", func() bool {
		_, err := os.Stat(r.socket)
		return err == nil && strings.Contains(r.out.String(), "failed, generation")
	})
	if g, pid := r.mustCall(); g != 1 || pid != first {
		t.Errorf("generation %d (pid %d) serves", g, pid)
	}
	r.configure("listen " + r.addr)
	if a := r.ask("reload"); !strings.HasPrefix(a, "Success=1") {
		t.Errorf("reload answers %q", a)
	}
}

func TestDetachLeavesTheWorkers(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	_, first := r.mustCall()
	r.ask("detach")
	if got := r.ended(); got != 0 {
		t.Errorf("exit status %d", got)
	}
	if _, pid := r.mustCall(); pid != first {
		t.Errorf("pid %d serves", pid)
	}
	r.launch()
	r.await("the next master serves", func() bool { g, _ := r.mustCall(); return g == 2 })
	if a := r.ask("stop now"); a != "" {
		t.Errorf("stop answers %q", a)
	}
}

func TestUpgradeKeepsPidWorkersAndConnections(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	c, first := r.connect()
	r.configure("nonsense")
	if a := r.ask("upgrade"); !strings.HasPrefix(a, "Upgrade failed, nothing has changed") || !strings.Contains(a, "t.cfg:1") {
		t.Errorf("a bad upgrade answers %q", a)
	}
	r.configure("listen " + r.addr)
	if a := r.ask("upgrade"); !strings.HasPrefix(a, "Success=1") {
		t.Fatalf("the upgrade answers %q", a)
	}
	if g, _ := r.mustCall(); g != 2 {
		t.Errorf("generation %d serves", g)
	}
	if _, pid, err := exchange(c); err != nil || pid != first {
		t.Errorf("the open connection: pid %d, %v", pid, err)
	}
	if table := r.ask("show proc"); !strings.Contains(table, fmt.Sprint(r.cmd.Process.Pid)) || !strings.Contains(table, fmt.Sprint(first)) {
		t.Errorf("the table after the upgrade:\n%s", table)
	}
	c.Close()
	r.await("the old worker leaves", func() bool { return !running(first) })
	r.cmd.Process.Signal(unix.SIGTERM)
	if got := r.ended(); got != 0 {
		t.Errorf("exit status %d", got)
	}
}

// commandName is what the kernel calls this process.
func commandName(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}
