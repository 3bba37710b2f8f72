package handover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/rig"
)

// before is the release before: the last commit whose workers said no version to each other. It is built from the repository's own history.
const before = "bfe0d517bd5c22d3d93f1e8bc5853e6192f4b0d5"

// buildBefore builds the release before. Where there is no history of it, as in an archive of the source or a shallow clone, the
// test is skipped; in CI it fails, unless the clone is shallow.
func buildBefore(t *testing.T, dir string) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		missing("this is no checkout of the repository: %v", err)
	}
	if shallow, err := exec.Command("git", "rev-parse", "--is-shallow-repository").Output(); err == nil && strings.TrimSpace(string(shallow)) == "true" {
		missing = t.Skipf
	}
	source := filepath.Join(dir, "before")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	archive := exec.Command("git", "archive", before)
	archive.Dir = strings.TrimSpace(string(root))
	unpack := exec.Command("tar", "-x", "-C", source)
	if unpack.Stdin, err = archive.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unpack.Start(), archive.Run(), unpack.Wait()); err != nil {
		missing("the release before, %s, is not in this repository's history: %v", before, err)
	}
	program := filepath.Join(dir, "lb-before")
	build := exec.Command("go", "build", "-o", program, "./cmd/lb")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the release before: %v: %s", err, out)
	}
	return program
}

// TestVersionsMeet puts the program on disk on to the next release and back, by reloads and by upgrades of the master, under connections of every kind.
// Between any two builds idle, running and tunnelled connections move; what the older build does not know, TLS, ends politely.
func TestVersionsMeet(t *testing.T) {
	dir, err := os.MkdirTemp("", "lb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	old := buildBefore(t, dir)
	program := filepath.Join(dir, "lb")
	install := func(build string) {
		t.Helper()
		text, err := os.ReadFile(build)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(program+".new", text, 0o755), os.Rename(program+".new", program)); err != nil {
			t.Fatal(err)
		}
	}
	install(old)
	s := startProgram(t, program)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var idleErrs, slowErrs, tunnelErrs errorsOf
	kept := idle(s.http, 10, &idleErrs)
	defer leave(kept)
	slowDone := slow(ctx, s.http, 5, 200*time.Millisecond, &slowErrs)
	tunnelsDone := tunnels(ctx, s.tcp, false, 5, 20*time.Millisecond, &tunnelErrs)
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 5}, Timeout: 20 * time.Second}
	get := func(step string) {
		t.Helper()
		a, err := secure.Get("https://" + s.https + "/r/tls/1")
		if err != nil {
			t.Errorf("%s: over TLS: %v", step, err)
			return
		}
		defer a.Body.Close()
		if n, err := io.Copy(io.Discard, a.Body); err != nil || a.StatusCode != 200 || n != 200 {
			t.Errorf("%s: over TLS: %d with %d bytes: %v", step, a.StatusCode, n, err)
		}
	}
	get("at first")
	master := old
	for i, next := range []struct{ verb, build string }{
		{"reload", built.LB}, {"reload", old}, {"reload", built.LB}, {"upgrade", built.LB}, {"reload", old}, {"reload", built.LB}, {"upgrade", old},
		{"reload", built.LB},
	} {
		step := fmt.Sprintf("%d: %s to %s", i, next.verb, filepath.Base(next.build))
		install(next.build)
		former := s.worker()
		if out, err := exec.CommandContext(ctx, program, next.verb, "-S", s.lb.Master).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", step, err, out)
		}
		s.until(step+": another worker", func() bool {
			now, _, err := s.lb.Workers() // fails while one master follows another
			return err == nil && now != former
		})
		runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.worker()))
		if err != nil {
			t.Fatal(err)
		}
		if installed, err := os.Stat(program); err != nil || !os.SameFile(runs, installed) {
			t.Errorf("%s: another program serves (%v)", step, err)
		}
		again(kept, i+1, &idleErrs)
		get(step)
		// A connection that the next build does not know stays until its next request; the one before may have come too early to end it.
		s.until(step+": the former worker to leave", func() bool {
			get(step)
			return !rig.Alive(former)
		})
		s.alone()
		if next.verb == "upgrade" {
			master = next.build
		}
		s.differs(step, master == built.LB, next.build == built.LB)
	}
	cancel()
	total := 0
	for _, n := range slowDone() {
		total += n
	}
	for _, u := range tunnelsDone() {
		if u == nil {
			t.Error("a tunnel was lost")
		}
	}
	idleErrs.report(t, "idle connections")
	slowErrs.report(t, "running requests")
	tunnelErrs.report(t, "tunnels")
	t.Logf("%d requests were running", total)
}

// differs runs lb diff while builds are mixed: it knows what a reload would change from the first upgrade on, and what operators changed once the worker is of the
// newer build, too; what it does not know it says.
func (s *site) differs(step string, newMaster, newWorker bool) {
	s.t.Helper()
	text, err := os.ReadFile(s.lb.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	other := s.lb.Config + ".other"
	if err := os.WriteFile(other, append(text, "\nbackend more\n"...), 0o600); err != nil {
		s.t.Fatal(err)
	}
	defer os.Remove(other)
	compare := func(words ...string) (string, error) {
		out, err := exec.Command(built.LB, append([]string{"diff", "-S", s.lb.Master}, words...)...).CombinedOutput()
		return string(out), err
	}
	same, errSame := compare()
	more, errMore := compare("-f", other)
	// said holds that both answers succeed or fail, and have a text; what says that nothing is different is only where nothing is.
	said := func(ok bool, text string) {
		s.t.Helper()
		if (errSame == nil) != ok || (errMore == nil) != ok || !strings.Contains(same, text) || !strings.Contains(more, text) ||
			ok && (!strings.Contains(same, "would change nothing") || !strings.Contains(more, "added backend more")) {
			s.t.Errorf("%s: lb diff: %v %s; of a file with another backend: %v %s", step, errSame, same, errMore, more)
		}
	}
	switch {
	case !newMaster:
		said(false, "is of a release without `configuration`: `lb upgrade` makes it this one")
	case !newWorker:
		said(true, "what was changed at run time is not known: The worker has no answer")
	default:
		said(true, "generation")
		if strings.Contains(same+more, "Note:") {
			s.t.Errorf("%s: lb diff does not know everything: %s", step, same)
		}
	}
}
