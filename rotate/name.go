package rotate

import (
	"path/filepath"
	"strings"
	"time"
)

// stampLayout is lumberjack's, in UTC: it sorts by time, and tools that know lumberjack's files know ours.
const stampLayout = "2006-01-02T15-04-05.000"

// tmpSuffix ends the name of a compressed file that is still being written.
const tmpSuffix = ".tmp"

// A naming gives rotated files their names: app.log becomes app-STAMP.log. Immutable.
type naming struct{ prefix, ext string }

func namingOf(path string) naming {
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	if ext == base { // ".log" has a name and no extension
		ext = ""
	}
	return naming{prefix: strings.TrimSuffix(base, ext) + "-", ext: ext}
}

// backup is a rotated file by its name.
type backup struct {
	name  string // without compression suffix
	stamp time.Time
	form  Compression
	tmp   bool // an unfinished compressed file
}

// file is the name in the directory.
func (b backup) file() string {
	if b.tmp {
		return b.name + b.form.suffix() + tmpSuffix
	}
	return b.name + b.form.suffix()
}

func (n naming) name(stamp time.Time) string {
	return n.prefix + stamp.UTC().Format(stampLayout) + n.ext
}

// parse says whether a file of this name is one of ours. It is strict, because what it accepts retention may remove.
func (n naming) parse(file string) (backup, bool) {
	b := backup{form: None}
	rest := file
	for _, form := range []Compression{Gzip, Zstd} {
		if cut, ok := strings.CutSuffix(strings.TrimSuffix(rest, tmpSuffix), form.suffix()); ok {
			b.form, b.tmp, rest = form, strings.HasSuffix(rest, tmpSuffix), cut
			break
		}
	}
	b.name = rest
	rest, ok := strings.CutPrefix(rest, n.prefix)
	if !ok {
		return backup{}, false
	}
	rest, ok = strings.CutSuffix(rest, n.ext)
	if !ok {
		return backup{}, false
	}
	stamp, err := time.Parse(stampLayout, rest)
	if err != nil || n.name(stamp) != b.name {
		return backup{}, false
	}
	b.stamp = stamp
	return b, true
}

// nextStamp is now in milliseconds, or one millisecond after last: no two rotations share a stamp and their order is the
// order of the names, whatever the clock does.
func nextStamp(now, last time.Time) time.Time {
	stamp := now.UTC().Truncate(time.Millisecond)
	if !stamp.After(last) {
		return last.Add(time.Millisecond)
	}
	return stamp
}

// LooksRotated says whether a file of this name may be taken for a rotated or half compressed one of another log, which would then
// compress or remove it. Who makes names of what strangers send must not use such a name.
func LooksRotated(file string) bool {
	for _, suffix := range []string{tmpSuffix, Gzip.suffix(), Zstd.suffix()} {
		if strings.HasSuffix(file, suffix) {
			return true
		}
	}
	for end := len(file); end >= len(stampLayout); end-- {
		if _, err := time.Parse(stampLayout, file[end-len(stampLayout):end]); err == nil {
			return true
		}
	}
	return false
}
