package patience

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestPatienceGrows(t *testing.T) {
	for row, want := range []time.Duration{0, 0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		if got := pauseAfter(row); got != want {
			t.Errorf("after %d failures %v, want %v", row, got, want)
		}
	}
	if got := pauseAfter(1 << 30); got != longestWait {
		t.Errorf("after very many %v", got)
	}
}

// What makes a start worth a try at once, and what ends the wait for it.
func TestPatience(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "lb.cfg")
	if err := os.WriteFile(config, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // its clock begins in the year 2000
		change := func(at time.Time) {
			if err := os.Chtimes(config, at, at); err != nil {
				t.Fatal(err)
			}
		}
		told := 0
		p := Patience{Path: filepath.Join(dir, "starts"), Config: []string{dir}, Notify: func(string) { told++ }, Write: os.WriteFile}
		row := func(what string, want time.Duration, ok bool, signals ...os.Signal) {
			t.Helper()
			c := make(chan os.Signal, 8)
			for _, s := range signals {
				c <- s
			}
			begin := time.Now()
			if got := p.Wait(c); got != ok || time.Since(begin) != want {
				t.Errorf("%s: %v after %v, want %v after %v", what, got, time.Since(begin), ok, want)
			}
		}
		change(time.Now().Add(-time.Hour))
		if err := os.Chtimes(dir, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		p.Config = []string{config}
		row("the first start", 0, true)
		p.Failed()
		row("the second", 0, true)
		p.Failed()
		row("the third", 500*time.Millisecond, true)
		p.Failed()
		row("the fourth", time.Second, true, unix.SIGHUP, unix.SIGUSR2)
		row("a stop", 0, false, unix.SIGTERM)
		if told != 3 {
			t.Errorf("the service manager heard %d times", told)
		}

		change(time.Now().Add(time.Millisecond)) // the operator has fixed something
		row("after a change", 0, true)
		<-time.After(time.Second)
		p.Failed()
		row("which was not enough", 0, true)
		p.Failed()
		time.AfterFunc(250*time.Millisecond, func() { change(time.Now()) })
		row("and a change while it waits", 300*time.Millisecond, true)
		p.Failed()
		p.Failed()
		p.Failed()
		p.Worked()
		row("after a start that worked", 0, true)
		p.Failed()
		p.Failed()
		<-time.After(2 * forgiven)
		row("long after", 0, true)
	})
}
