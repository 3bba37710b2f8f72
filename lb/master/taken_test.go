package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// A worker in the hands of an attacker has the connection to a master that is
// root, and can say on it what it likes.

// attack has the serving worker send a message, and waits until the master has
// heard it.
func (r *rig) attack(file string, report handoff.Report) {
	r.t.Helper()
	text, err := json.Marshal(report)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "!%s %s\n", file, text); err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := exchange(c); err != nil { // it has been sent
		r.t.Fatal(err)
	}
	r.ask("status") // the worker's answer comes after it
}

func TestATakenWorkerOpensNoSockets(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	evil := filepath.Join(r.dir, "evil")
	r.attack("", handoff.Report{Kind: handoff.Wanted, Facts: &handoff.Facts{Pid: 1, Pidfile: evil + ".pid"},
		Wants: []handoff.Want{{Network: "unix", Address: evil, Mode: 0o666, UID: -1, GID: -1}}})
	if _, err := os.Lstat(evil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the master made the socket (%v)", err)
	}
	r.await("the master to say so", func() bool { return strings.Count(r.out.String(), `sent the message \"wanted\"`) == 1 })
	// What it says to its own good it may go on saying.
	if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
		t.Errorf("reload: %s", answer)
	}
	if _, err := os.Lstat(evil + ".pid"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the master writes the pid file that the worker asked for")
	}
}

func TestATakenWorkerDoesNotChooseTheNextConfiguration(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	config := filepath.Join(r.dir, "evil.cfg")
	if err := os.WriteFile(config, []byte("listen "+r.addr+"\nnotice OWNED"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.attack(config, handoff.Report{Kind: handoff.Snapshot})
	_, pid := r.mustCall()
	unix.Kill(pid, unix.SIGKILL)
	r.await("the next worker serves", func() bool { _, next, err := r.call(); return err == nil && next != pid })
	if strings.Contains(r.out.String(), "OWNED") {
		t.Error("the replacement runs the configuration of the attacker")
	}
}

// hearer is a master whose goroutine is the test's.
func hearer(t *testing.T) *run {
	m := &Master{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Opener: new(handoff.Opener)}
	m.defaults()
	return &run{Master: m, sockets: new(handoff.Set), events: make(chan func(), 100), over: make(chan struct{})}
}

// What a worker may say depends on what it is at the moment.
func TestWhatAWorkerMaySay(t *testing.T) {
	all := []string{handoff.Wanted, handoff.Ready, handoff.Leaving, handoff.Tell, handoff.Adopted, handoff.Gave, handoff.Flights, handoff.Snapshot, "sesame"}
	for _, tt := range []struct {
		name string
		w    *worker
		born bool // it is the one that is starting
		may  string
	}{
		{"starting", &worker{}, true, "wanted"},
		{"starting, has its sockets", &worker{wanted: true}, true, "ready"},
		{"serving", &worker{wanted: true, ready: true}, false, "leaving tell gave flights"},
		{"draining", &worker{wanted: true, ready: true, draining: true}, false, "leaving tell gave flights"},
		{"being adopted", &worker{adopting: true}, false, "adopted flights snapshot"},
		{"given up", &worker{wanted: true}, false, ""},
	} {
		r := hearer(t)
		if tt.born {
			r.starting = tt.w
		}
		var may []string
		for _, kind := range all {
			if tt.w.may(r, kind) {
				may = append(may, kind)
			}
		}
		if got := strings.Join(may, " "); got != tt.may {
			t.Errorf("a worker that is %s may say %q, want %q", tt.name, got, tt.may)
		}
	}
}

// A worker that is adopted has served before: it says who it is, and the kernel
// says whether that is so.
func TestAnAdoptedWorkerIsWhoTheKernelSays(t *testing.T) {
	r := hearer(t)
	link, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	w := &worker{adopting: true, link: link}
	r.adopting = []*worker{w, {adopting: true}} // another one is waited for
	r.hear(w, &handoff.Report{Kind: handoff.Adopted, Facts: &handoff.Facts{Pid: 1}, More: true}, &unix.Ucred{Pid: int32(os.Getpid()), Uid: 65534}, nil)
	if w.pid != 0 || w.adopting || len(r.adopting) != 1 {
		t.Errorf("process %d was taken for process 1", os.Getpid())
	}
}

func TestAnAdoptedWorkerIsNotBelievedMoreThanItMay(t *testing.T) {
	for _, tt := range []struct {
		name string
		uid  int
		same bool
	}{{"the master's own user", os.Geteuid(), true}, {"root", 0, true}, {"another user", 65534, false}} {
		if os.Geteuid() == tt.uid && !tt.same {
			continue
		}
		r := hearer(t)
		w := &worker{adopting: true}
		r.adopting = []*worker{w}
		from := &unix.Ucred{Pid: 7, Uid: uint32(tt.uid)}
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 10)
		if err != nil {
			t.Fatal(err)
		}
		r.hear(w, &handoff.Report{Kind: handoff.Snapshot}, from, []int{fd})
		r.hear(w, &handoff.Report{Kind: handoff.Adopted, Facts: &handoff.Facts{Pid: 7, Pidfile: "/evil"}, More: true}, from, nil)
		if got := w.snapshot != nil; got != tt.same {
			t.Errorf("%s: its configuration is kept: %v", tt.name, got)
		}
		if got := w.facts.Pidfile != ""; got != tt.same {
			t.Errorf("%s: its pid file is believed: %v", tt.name, got)
		}
		// The former master's copy is what counts where there is one.
		w = &worker{adopting: true}
		r.Snapshots = map[int]*os.File{7: f}
		r.hear(w, &handoff.Report{Kind: handoff.Adopted, Facts: &handoff.Facts{Pid: 7}, More: true}, from, nil)
		if w.snapshot != f {
			t.Errorf("%s: the configuration that the former master left is not used", tt.name)
		}
		f.Close()
	}
}

func TestOnlySocketsAreTakenForSockets(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(fds[:])
	for _, tt := range []struct {
		name string
		fd   int
		want bool
	}{
		{"tcp@0.0.0.0:80", fds[0], true},
		{"tcp@0.0.0.0:80", int(null.Fd()), false},
		{"x\nMAINPID=1", fds[0], false}, // the name goes to the service manager
		{"", fds[0], false},
	} {
		if got := plausible(tt.name, tt.fd); got != tt.want {
			t.Errorf("%q: %v", tt.name, got)
		}
	}
}
