package rotate

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

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
				until(t, "retention", func() (ok bool) {
					var err error
					all, err = w.list()
					plain := slices.ContainsFunc(all, func(b backup) bool { return b.form == None })
					return err == nil && len(all) == left && w.Stats().Removed == uint64(rotations-left) && plain == (left > 0 && o.Compress == "")
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
