package rotate

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// TestGraceBeforeCompression leaves a rotated file plain for those who follow it, for as long as was asked.
func TestGraceBeforeCompression(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var mu sync.Mutex
	w := open(t, filepath.Join(dir, "app.log"), Options{
		Compress: Gzip, CompressAfter: time.Hour, Keep: 5, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	})
	write(t, w, numbered(0))
	turn(t, w)
	mu.Lock()
	now = now.Add(59 * time.Minute)
	mu.Unlock()
	write(t, w, numbered(1))
	turn(t, w)
	again, err := w.pass(t.Context())
	if all, listErr := w.list(); err != nil || listErr != nil || all[0].form != None || again > time.Minute {
		t.Errorf("before the hour is over: %+v, the next look in %v; %v, %v", all, again, err, listErr)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	w.kick()
	wait.Until(t, "the older of the two to be compressed", func() bool {
		all, err := w.list()
		return err == nil && all[0].form == Gzip && all[1].form == None
	})
}

// TestWhatGoesFirst holds the order of the limits: min_free goes before the hold, which goes before what retention says otherwise. What a Follower has not
// released is given up with a number, and at the start there is a warning when there is no room for the hold.
func TestWhatGoesFirst(t *testing.T) {
	var journal wait.Buffer
	o := Options{Hold: 1 << 62, Keep: 1, MaxTotal: 1, Log: slog.New(slog.NewTextHandler(&journal, nil))}
	path := filepath.Join(t.TempDir(), "app.log")
	w := open(t, path, o)
	if s := journal.String(); strings.Count(s, "level=WARN") != 1 || !strings.Contains(s, "has no room for all that may wait") || !strings.Contains(s, "new lines are lost") {
		t.Errorf("at the start: %s", s)
	}
	f, _ := followed(t, w, nil)
	for i := range 5 {
		write(t, w, numbered(i))
		turn(t, w)
		if i == 1 {
			follow(t, f, 2*len(numbered(0)))
			f.Release(f.Position())
		}
	}
	// The one in which the Follower stands is among those that are held.
	if _, err := w.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := w.list(); err != nil || len(all) < 3 || w.Stats().Unheld > 0 {
		t.Errorf("%d are left of the three that nobody has read: %v, %+v", len(all), err, w.Stats())
	}
	w.Close()
	o.MinFree = 1 << 61
	w = open(t, path, o)
	if s := journal.String(); !strings.Contains(s, "the oldest are given up then, so that min_free stays free") {
		t.Errorf("with min_free: %s", s)
	}
	p := f.Position()
	f.Close()
	f, _ = followed(t, w, &p)
	if _, err := w.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "all to be given up", func() bool { return len(names(t, filepath.Dir(path))) == 1 })
	if s := w.Stats(); s.Unheld < uint64(3*len(numbered(0))) {
		t.Errorf("%+v", s)
	}
	f.Close()
}

// TestRetention holds each limit by itself, for both kinds of names. That free disk is kept free is in TestOnASmallDisk.
func TestRetention(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		row := func(name string, o Options, left int) {
			t.Run(string(naming)+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				now := time.Now()
				var mu sync.Mutex
				o.Naming, o.Now = naming, func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
				w := open(t, filepath.Join(dir, "app.log"), o)
				const rotations = 12
				for i := range rotations {
					write(t, w, numbered(i))
					turn(t, w)
					mu.Lock()
					now = now.Add(time.Minute)
					mu.Unlock()
				}
				w.kick()
				var all []backup
				wait.Until(t, "retention", func() (ok bool) {
					if w.Stats().Removed != uint64(rotations-left) { // asked before the list, which none of them is in any more
						return false
					}
					var err error
					all, err = w.list()
					plain := slices.ContainsFunc(all, func(b backup) bool { return b.form == None })
					unfinished := slices.ContainsFunc(all, func(b backup) bool { return b.tmp })
					return err == nil && len(all) == left && plain == (left > 0 && o.Compress == "") && !unfinished
				})
				for i, b := range all { // the newest ones
					if got := read(t, filepath.Join(dir, b.file())); got != numbered(rotations-left+i) {
						t.Errorf("%s holds %q", b.file(), got)
					}
				}
				if s := w.Stats(); s.CleanError != "" {
					t.Errorf("%+v", s)
				}
			})
		}
		row("none", Options{Compress: Gzip}, 12)
		row("count", Options{Keep: 3, Compress: Zstd}, 3)
		row("age", Options{MaxAge: 4*time.Minute + time.Second}, 4)
		row("total", Options{MaxTotal: int64(5*len(numbered(0)) + 1)}, 5)
		row("free disk", Options{MinFree: 1 << 62}, 0)
		row("all", Options{Keep: 9, MaxAge: time.Hour, MaxTotal: int64(2 * len(numbered(0))), MinFree: 1}, 2)
	}
}
