// Package served holds that whole files of the kinds that operators have are served as HAProxy serves them: the same requests to both, derived from each
// file's own words, have the same answers, reach the same servers as the same, and leave the same lines in the log.
//
//  1. rewrite (whole_test.go) makes a file run on this machine, and leaves what it says.
//  2. asksOf (asks_test.go) derives what clients ask from its words.
//  3. A child (child_test.go) runs it in namespaces of its own (room_test.go), where all of its addresses are local, and every server is a recorder
//     (servers_test.go). It asks (client_test.go) and reads the log (lines_test.go).
//  4. TestServed compares what haproxy's child and lb's saw; decided_test.go names the differences that are meant.
package served

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// built holds the daemon under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	if job := os.Getenv("SERVED_JOB"); job != "" {
		childMain(job)
		return
	}
	flag.Parse()
	flag.Set("test.parallel", "6") // they wait for the most part
	rig.Main(m, "served", []string{"ip"}, func(dir string) (err error) {
		built, err = rig.Build(dir, "lb")
		return err
	})
}

// run runs a job in a child.
func run(t *testing.T, j job) (out outcome) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "SERVED_JOB="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	printed, err := cmd.Output()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) { // ENOSPC: user.max_user_namespaces
		tape.Skipf(t, "no namespaces for this user: %v", err)
	}
	if err == nil {
		err = json.Unmarshal(printed, &out)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", j.Program, err, stderr.String(), printed)
	}
	if out.Denied {
		tape.Skipf(t, "no namespaces for this user: %s", out.Error)
	}
	if out.Error != "" {
		t.Fatalf("%s: %s", j.Program, out.Error)
	}
	return out
}

func TestServed(t *testing.T) {
	tape.Require(t, "ip")
	var files []string
	for _, dir := range []string{"../../lb/config/testdata/wild", "testdata/whole"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.cfg"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var done atomic.Int32 // files that were compared
	t.Cleanup(func() {    // after the subtests, which run in parallel
		if int(done.Load()) == len(files) && !t.Failed() {
			unneeded(t)
		}
	})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cfg"), func(t *testing.T) {
			t.Parallel()
			recording := tape.Open(t, "haproxy")
			theirs := tape.Observe(recording, "served", func() outcome { return run(t, job{Program: recording.Program(), File: file}) })
			j := job{Program: built.LB, File: file}
			for _, a := range theirs.Asks {
				j.Lines = append(j.Lines, len(a.Lines))
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, string(text), theirs, run(t, j))
			done.Add(1)
		})
	}
}

// compare compares what two children saw of a file.
func compare(t *testing.T, file string, theirs, ours outcome) {
	t.Helper()
	same := func(t *testing.T, what string, theirs, ours []string) {
		t.Helper()
		same(t, file, what, theirs, ours)
	}
	same(t, "servers", theirs.Servers, ours.Servers)
	if len(theirs.Asks) != len(ours.Asks) {
		t.Fatalf("%d asks of haproxy, %d of lb: record anew", len(theirs.Asks), len(ours.Asks))
	}
	for i, want := range theirs.Asks {
		got := ours.Asks[i]
		if want.Ask != got.Ask {
			t.Fatalf("ask %d: haproxy was asked %s\nlb %s", i+1, want.Ask, got.Ask)
		}
		same(t, fmt.Sprintf("%d %s: answer", i+1, want.Ask), want.Answer, got.Answer)
		same(t, fmt.Sprintf("%d %s: servers saw", i+1, want.Ask), want.Seen, got.Seen)
		same(t, fmt.Sprintf("%d %s: line", i+1, want.Ask), want.Lines, got.Lines)
	}
	same(t, "counts", theirs.Counts, ours.Counts)
}

func same(t *testing.T, file, what string, theirs, ours []string) {
	t.Helper()
	if slices.Equal(theirs, ours) {
		return
	}
	for i := range max(len(theirs), len(ours)) {
		var w, g string
		if i < len(theirs) {
			w = theirs[i]
		}
		if i < len(ours) {
			g = ours[i]
		}
		if w != g && !decided(difference{file, filepath.Base(t.Name()) + ": " + what, w, g}) {
			t.Errorf("%s %d:\n    lb: %s\nhaproxy: %s", what, i+1, g, w)
		}
	}
}
