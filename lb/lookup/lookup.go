// Package lookup holds the files that rules look samples up in: map files,
// whose lines are a key and a value, and files of ACL patterns, whose lines are
// keys. Commands on the stats socket change what was read, not the files.
//
//	config: Read -> File -> OnChange of each rule that uses it, which compiles its index
//	stats socket: Add, Set, Delete, Clear -> the rules' indexes are compiled anew and swapped
//
// A rule never waits for a command: it uses the index that is there.
package lookup

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// Entry is one line.
type Entry struct {
	ID    uint64 // of this process, never used twice
	Key   string
	Value string
}

// File is what was read from a file, and what has become of it.
type File struct {
	Path  string
	Map   bool // lines have values
	Index int  // its number among all files
	Users []string

	// mu guards the fields below.
	mu      sync.Mutex
	entries []Entry
	nextID  uint64
	changed []func([]Entry) error
	uses    []Use
	next    []*version // versions that were prepared and not committed
	current uint       // number of the version that rules use
	newest  uint       // that was prepared
	origin  []Entry    // what the file had, once it was changed; nil before
	edited  bool
}

// version is what will be in the place of all lines at once.
type version struct {
	number  uint
	entries []Entry
}

// Use is one way in which rules look samples up in a file.
type Use struct {
	Method string // beg, str, ip...
	Fold   bool   // letters of both cases are equal
	// Find says which of the lines a sample finds. It may be called from any
	// goroutine.
	Find func(list []Entry, sample string) (at int, found bool)
}

// AddUse notes how a rule uses the file, before anything runs.
func (f *File) AddUse(u Use) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses = append(f.uses, u)
}

// Uses are the ways in which rules use the file.
func (f *File) Uses() []Use {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.uses)
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 1 << 20

// Read reads a file: empty lines and those that begin with "#" do not count.
func Read(path string, isMap bool) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the pattern file: %w", err)
	}
	defer f.Close()
	out := &File{Path: path, Map: isMap}
	if err := out.read(f); err != nil {
		return nil, fmt.Errorf("read pattern file %s: %w", path, err)
	}
	return out, nil
}

func (f *File) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line = strings.TrimLeft(strings.TrimRight(line, "\r"), " \t"); line == "" {
			continue
		}
		key, value := line, ""
		if f.Map {
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				key, value = line[:i], strings.Trim(line[i:], " \t")
			}
		}
		f.add(key, value)
	}
	return lines.Err()
}

func (f *File) add(key, value string) {
	f.nextID++
	f.entries = append(f.entries, Entry{f.nextID, key, value})
}

// Entries are the lines as they are now. The result belongs to the caller.
func (f *File) Entries() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.entries)
}

// OnChange has compile called with the lines, now and after each change; what
// it refuses is not done.
func (f *File) OnChange(compile func([]Entry) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := compile(f.entries); err != nil {
		return fmt.Errorf("in file '%s': %w", f.Path, err)
	}
	f.changed = append(f.changed, compile)
	return nil
}

// ErrNoEntry says that there is no such line.
var ErrNoEntry = errors.New("entry not found")

// ErrNoVersion says that there is no version of that number to be worked on.
var ErrNoVersion = errors.New("no such version")

// Versions are the numbers of the version in use and of the newest one that
// was prepared, and how many lines all versions have.
func (f *File) Versions() (current, newest uint, lines int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines = len(f.entries)
	for _, v := range f.next {
		lines += len(v.entries)
	}
	return f.current, f.newest, lines
}

// Prepare begins a new version, without lines, and returns its number.
func (f *File) Prepare() uint {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest++
	f.next = append(f.next, &version{number: f.newest})
	return f.newest
}

// version finds one that was prepared. mu is held.
func (f *File) version(number uint) *version {
	for _, v := range f.next {
		if v.number == number {
			return v
		}
	}
	return nil
}

// EntriesOf are the lines of a version; none where there is no such version.
func (f *File) EntriesOf(number uint) []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number == f.current {
		return slices.Clone(f.entries)
	}
	if v := f.version(number); v != nil {
		return slices.Clone(v.entries)
	}
	return nil
}

// AddTo appends lines to a version; the one in use takes them all or none.
func (f *File) AddTo(number uint, lines ...Entry) error {
	f.mu.Lock()
	if number == f.current {
		f.mu.Unlock()
		return f.Add(lines...)
	}
	defer f.mu.Unlock()
	v := f.version(number)
	if v == nil {
		return ErrNoVersion
	}
	for _, e := range lines {
		f.nextID++
		v.entries = append(v.entries, Entry{f.nextID, e.Key, e.Value})
	}
	return nil
}

// ClearVersion removes the lines of a version.
func (f *File) ClearVersion(number uint) error {
	f.mu.Lock()
	if number == f.current {
		f.mu.Unlock()
		return f.Clear()
	}
	defer f.mu.Unlock()
	v := f.version(number)
	if v == nil {
		return ErrNoVersion
	}
	v.entries = nil
	return nil
}

// Commit puts a version in the place of the one in use, at once. Older ones
// that were prepared are gone with it.
func (f *File) Commit(number uint) error {
	f.mu.Lock()
	v := f.version(number)
	f.mu.Unlock()
	if v == nil {
		return ErrNoVersion
	}
	if err := f.change(func([]Entry) ([]Entry, error) { return v.entries, nil }); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = slices.DeleteFunc(f.next, func(o *version) bool { return o.number <= number })
	f.current = max(f.current, number)
	return nil
}

// Add appends lines, all or none.
func (f *File) Add(lines ...Entry) error {
	return f.change(func(list []Entry) ([]Entry, error) {
		for _, e := range lines {
			f.nextID++
			list = append(list, Entry{f.nextID, e.Key, e.Value})
		}
		return list, nil
	})
}

// Set gives all lines of a key another value.
func (f *File) Set(match func(*Entry) bool, value string) error {
	return f.change(func(list []Entry) ([]Entry, error) {
		found := false
		for i := range list {
			if match(&list[i]) {
				list[i].Value, found = value, true
			}
		}
		if !found {
			return nil, ErrNoEntry
		}
		return list, nil
	})
}

// Delete removes all lines of a key.
func (f *File) Delete(match func(*Entry) bool) error {
	return f.change(func(list []Entry) ([]Entry, error) {
		left := slices.DeleteFunc(list, func(e Entry) bool { return match(&e) })
		if len(left) == len(f.entries) {
			return nil, ErrNoEntry
		}
		return left, nil
	})
}

// Clear removes all lines.
func (f *File) Clear() error {
	return f.change(func([]Entry) ([]Entry, error) { return nil, nil })
}

// change makes the lines anew, in all rules or in none.
func (f *File) change(edit func([]Entry) ([]Entry, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, err := edit(slices.Clone(f.entries))
	if err != nil {
		return err
	}
	for i, compile := range f.changed {
		if err := compile(list); err != nil {
			for _, undo := range f.changed[:i] {
				_ = undo(f.entries) // it took them before
			}
			return err
		}
	}
	if !f.edited {
		f.edited, f.origin = true, f.entries
	}
	f.entries = list
	return nil
}

// Changes are the lines, and a sum of those that were read, where commands have
// made them others; ok is false where they have not.
func (f *File) Changes() (list []Entry, base string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.edited {
		return nil, "", false
	}
	return slices.Clone(f.entries), sumOf(f.origin), true
}

// Restore makes the lines those that an earlier process had, if the file is
// what that one read: otherwise somebody has changed it since, and it counts.
func (f *File) Restore(list []Entry, base string) (done bool, err error) {
	f.mu.Lock()
	now := f.entries
	if f.edited {
		now = f.origin
	}
	same := sumOf(now) == base
	f.mu.Unlock()
	if !same {
		return false, nil
	}
	return true, f.change(func([]Entry) ([]Entry, error) {
		lines := make([]Entry, len(list))
		for i, e := range list {
			f.nextID++
			lines[i] = Entry{f.nextID, e.Key, e.Value}
		}
		return lines, nil
	})
}

// Reset makes the lines those of the file again.
func (f *File) Reset() error {
	f.mu.Lock()
	origin, edited := f.origin, f.edited
	f.mu.Unlock()
	if !edited {
		return nil
	}
	err := f.change(func([]Entry) ([]Entry, error) { return slices.Clone(origin), nil })
	if err == nil {
		f.mu.Lock()
		f.edited, f.origin = false, nil
		f.mu.Unlock()
	}
	return err
}

// sumOf tells lists of lines apart.
func sumOf(list []Entry) string {
	h := sha256.New()
	for _, e := range list {
		fmt.Fprintf(h, "%d:%s%d:%s", len(e.Key), e.Key, len(e.Value), e.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}
