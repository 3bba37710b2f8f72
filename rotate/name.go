package rotate

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Naming says what rotated files are called.
type Naming string

// The forms of names. The zero value is Dated too.
const (
	// Dated names never change: app.log becomes app-2026-11-21T03-04-05.678.log.
	Dated Naming = "dated"
	// Numbered names are logrotate's: app.log becomes app.log.1, what was app.log.1 becomes app.log.2, and so on. Each rotation renames
	// all of them. When a file was rotated is kept in its modification time.
	Numbered Naming = "numbered"
)

// stampLayout is lumberjack's, in UTC: it sorts by time, and tools that know lumberjack's files know ours.
const stampLayout = "2006-01-02T15-04-05.000"

// tmpSuffix ends the name of a compressed file that is still being written.
const tmpSuffix = ".tmp"

// maxDigits of a number: nobody keeps a billion files.
const maxDigits = 9

// A series is the names that the rotated files of one log have. Immutable.
type series struct{ base, prefix, ext string }

func seriesOf(path string) series {
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	if ext == base { // ".log" has a name and no extension
		ext = ""
	}
	return series{base: base, prefix: strings.TrimSuffix(base, ext) + "-", ext: ext}
}

// backup is a rotated file: what its name says, and for a file of a list what it is.
type backup struct {
	name   string    // without compression suffix
	number int       // 0: dated
	stamp  time.Time // when it was rotated
	form   Compression
	tmp    bool // an unfinished compressed file

	id   identity
	size int64
	time time.Time // the file's own
}

// file is the name in the directory.
func (b backup) file() string {
	if b.tmp {
		return b.name + b.form.suffix() + tmpSuffix
	}
	return b.name + b.form.suffix()
}

// dated is the name of a file that was rotated at stamp.
func (s series) dated(stamp time.Time) string {
	return s.prefix + stamp.UTC().Format(stampLayout) + s.ext
}

func (s series) numbered(n int) string { return s.base + "." + strconv.Itoa(n) }

// parse says whether a file of this name is one of ours. It is strict, because what it accepts retention may remove.
func (s series) parse(file string) (backup, bool) {
	b := backup{form: None}
	rest := file
	for _, form := range []Compression{Gzip, Zstd} {
		if cut, ok := strings.CutSuffix(strings.TrimSuffix(rest, tmpSuffix), form.suffix()); ok {
			b.form, b.tmp, rest = form, strings.HasSuffix(rest, tmpSuffix), cut
			break
		}
	}
	b.name = rest
	if rest == s.base {
		return b, b.tmp // which number it will get is not known yet
	}
	if digits, ok := strings.CutPrefix(rest, s.base+"."); ok && !b.tmp && len(digits) <= maxDigits {
		n, err := strconv.Atoi(digits)
		b.number = n
		return b, err == nil && n > 0 && s.numbered(n) == rest
	}
	rest, ok := strings.CutPrefix(rest, s.prefix)
	if !ok {
		return backup{}, false
	}
	rest, ok = strings.CutSuffix(rest, s.ext)
	if !ok {
		return backup{}, false
	}
	stamp, err := time.Parse(stampLayout, rest)
	if err != nil || s.dated(stamp) != b.name {
		return backup{}, false
	}
	b.stamp = stamp
	return b, true
}

// LongestName is how many bytes the name of a log file may have that is to be rotated: what a rotation and a compression add must fit too.
const LongestName = 255 - len("-"+stampLayout+".zst"+tmpSuffix)

// A clock that is further back than that was set: names go by it from then on.
const setBack = time.Minute

// plausible says whether a time that a name or a file has can be true. What machines without a clock of their own believe at first, and what is
// more than a day ahead, cannot.
func plausible(t, now time.Time) bool {
	return t.Year() > 2000 && t.Before(now.Add(24*time.Hour))
}

// nextStamp is now in milliseconds, or one millisecond after last: no two rotations share a stamp and their order is the order of the names.
func nextStamp(now, last time.Time) time.Time {
	stamp := now.UTC().Truncate(time.Millisecond)
	if !stamp.After(last) {
		return last.Truncate(time.Millisecond).Add(time.Millisecond)
	}
	return stamp
}

// Rotates says whether file may be a rotated one of the log at path, which would then compress or remove it.
func (o Options) Rotates(path, file string) bool {
	b, ok := seriesOf(path).parse(filepath.Base(file))
	return ok && filepath.Dir(filepath.Clean(path)) == filepath.Dir(filepath.Clean(file)) && (b.number == 0 || o.Naming == Numbered)
}

// LooksRotated says whether a file of this name may be taken for a rotated or half compressed one of another log with dated names, which
// would then compress or remove it. Who makes names of what strangers send must not use such a name.
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
