package rotate

import (
	"path/filepath"
	"slices"
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
