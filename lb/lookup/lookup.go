// Package lookup holds the files that rules look samples up in: map files,
// whose lines are a key and a value, and files of ACL patterns, whose lines are
// keys. Commands on the stats socket change what was read, not the files.
//
//	config: Read -> File -> Use of each rule that looks samples up in it: its Index is filled
//	stats socket: Add, Set, Delete -> the line is changed in each Index (table.go, list.go)
//	stats socket: Clear, Commit -> each Index is filled anew
//
// A rule never waits for a command, and a command costs the same however many lines
// there are.
package lookup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
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
	text  string // of the file; keys and values that were read are views of it

	// mu guards the fields below.
	mu      sync.Mutex
	entries []Entry // in order, which is that of their IDs
	removed int     // of entries; keys says which
	keys    *keys   // where the lines of a key stand; nil until a change asks
	nextID  uint64
	uses    []Use
	next    []*version // versions that were prepared and not committed
	current uint       // number of the version that rules use
	newest  uint       // that was prepared
	edited  bool
	churn   int         // lines changed since memory was given back
	settle  *time.Timer // gives it back
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
	Index  Index
}

// Index finds lines for a rule. All methods but Find are called by one goroutine at a
// time; what a rule finds while one is under way was there before it, or after it.
type Index interface {
	// Check says whether the line could be taken.
	Check(e *Entry) error

	// Fill makes it the index of these lines alone, which have been checked.
	Fill(list []Entry)

	// Put appends a line, or gives the line of that ID another value. It has
	// been checked.
	Put(e *Entry)

	// Remove takes a line out.
	Remove(e *Entry)

	// Find says which line a sample, given as a text, finds; 0 is none. It may
	// be called from any goroutine.
	Find(sample string) (id uint64)
}

// AddUse has the index of a rule follow the lines, before anything runs.
func (f *File) AddUse(u Use) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compact()
	if err := checkAll(u.Index, f.entries); err != nil {
		return fmt.Errorf("in file '%s': %w", f.Path, err)
	}
	u.Index.Fill(f.entries)
	f.uses = append(f.uses, u)
	return nil
}

func checkAll(ix Index, list []Entry) error {
	for i := range list {
		if err := ix.Check(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// Uses are the ways in which rules use the file.
func (f *File) Uses() []Use {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.uses)
}

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
	var b strings.Builder
	if _, err := io.Copy(&b, r); err != nil {
		return err
	}
	f.text = b.String()
	f.entries = f.origin()
	return nil
}

// origin makes the lines of the text, each with an ID of its own.
func (f *File) origin() []Entry {
	list := make([]Entry, 0, strings.Count(f.text, "\n")+1)
	for line := range strings.Lines(f.text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t"); line == "" {
			continue
		}
		key, value := line, ""
		if f.Map {
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				key, value = line[:i], strings.Trim(line[i:], " \t")
			}
		}
		f.nextID++
		list = append(list, Entry{f.nextID, key, value})
	}
	return list
}

// Entries are the lines as they are now. The result belongs to the caller.
func (f *File) Entries() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compact()
	return slices.Clone(f.entries)
}

// Each calls f with each line, in order, while no other one is changed.
func (f *File) Each(each func(e *Entry)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compact()
	for i := range f.entries {
		each(&f.entries[i])
	}
}

// Line is the line with an ID.
func (f *File) Line(id uint64) (e Entry, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.place(id); ok {
		return f.entries[at], true
	}
	return Entry{}, false
}

// compact forgets lines that were removed. mu is held.
func (f *File) compact() {
	if f.removed == 0 {
		return
	}
	left := f.entries[:0]
	for at := range f.entries {
		if !f.keys.gone(at) {
			left = append(left, f.entries[at])
		}
	}
	clear(f.entries[len(left):])
	f.entries, f.removed, f.keys = left, 0, nil
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
	lines = len(f.entries) - f.removed
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
		f.compact()
		return slices.Clone(f.entries)
	}
	if v := f.version(number); v != nil {
		return slices.Clone(v.entries)
	}
	return nil
}

// AddTo appends lines to a version, all or none.
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
	if err := f.replace(v.entries); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = slices.DeleteFunc(f.next, func(o *version) bool { return o.number <= number })
	f.current = max(f.current, number)
	return nil
}

// Add appends lines, all or none; rules see one after the other.
func (f *File) Add(lines ...Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range lines {
		if err := f.check(&lines[i]); err != nil {
			return err
		}
	}
	f.change(len(lines))
	for _, e := range lines {
		f.nextID++
		e.ID = f.nextID
		f.entries = append(f.entries, e)
		if f.keys != nil {
			f.keys.add(f.entries, len(f.entries)-1)
		}
		for _, u := range f.uses {
			u.Index.Put(&e)
		}
	}
	return nil
}

// check asks all rules whether they could take a line. mu is held.
func (f *File) check(e *Entry) error {
	for _, u := range f.uses {
		if err := u.Index.Check(e); err != nil {
			return err
		}
	}
	return nil
}

// muchChurn is after how many changed lines memory is given back to the system once
// nothing has changed for calm: Go's own pace would take minutes.
const (
	muchChurn = 1000
	calm      = 3 * time.Second
)

// change notes that lines change. mu is held.
func (f *File) change(lines int) {
	f.edited = true
	if f.churn += lines; f.churn < muchChurn {
		return
	}
	if f.settle == nil {
		f.settle = time.AfterFunc(calm, f.settled)
	} else {
		f.settle.Reset(calm)
	}
}

func (f *File) settled() {
	f.mu.Lock()
	f.churn = 0
	f.mu.Unlock()
	debug.FreeOSMemory()
}

// Ref names lines: the one with an ID, or without an ID all of a key.
type Ref struct {
	ID  uint64
	Key string
}

// Set gives lines another value, all or none.
func (f *File) Set(ref Ref, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	places := f.places(ref)
	if len(places) == 0 {
		return ErrNoEntry
	}
	for _, at := range places {
		e := f.entries[at]
		e.Value = value
		if err := f.check(&e); err != nil {
			return err
		}
	}
	f.change(len(places))
	for _, at := range places {
		f.entries[at].Value = value
		for _, u := range f.uses {
			u.Index.Put(&f.entries[at])
		}
	}
	return nil
}

// Delete removes lines.
func (f *File) Delete(ref Ref) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	places := f.places(ref)
	if len(places) == 0 {
		return ErrNoEntry
	}
	f.change(len(places))
	for _, at := range places {
		e := &f.entries[at]
		for _, u := range f.uses {
			u.Index.Remove(e)
		}
		f.keys.remove(f.entries, at)
		*e = Entry{ID: e.ID}
		f.removed++
	}
	if f.removed > len(f.entries)/2 {
		f.compact()
	}
	return nil
}

// Clear removes all lines.
func (f *File) Clear() error { return f.replace(nil) }

// replace puts lines in the place of all, which rules see at once, or does nothing.
func (f *File) replace(lines []Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uses {
		if err := checkAll(u.Index, lines); err != nil {
			return err
		}
	}
	f.change(len(f.entries) + len(lines))
	f.entries, f.removed, f.keys = slices.Clone(lines), 0, nil
	for _, u := range f.uses {
		u.Index.Fill(f.entries)
	}
	return nil
}

// place is where the line with an ID stands. mu is held.
func (f *File) place(id uint64) (at int, ok bool) {
	at, ok = slices.BinarySearchFunc(f.entries, id, func(e Entry, id uint64) int { return cmp.Compare(e.ID, id) })
	return at, ok && (f.removed == 0 || !f.keys.gone(at))
}

// places are where lines stand, in order. mu is held.
func (f *File) places(ref Ref) (list []int) {
	if f.keys == nil {
		f.compact()
		f.keys = keysOf(f.entries)
	}
	if ref.ID == 0 {
		return f.keys.of(f.entries, ref.Key)
	}
	if at, ok := f.place(ref.ID); ok {
		list = append(list, at)
	}
	return list
}

// Changes are the lines, and a sum of those that were read, where commands have
// made them others; ok is false where they have not.
func (f *File) Changes() (list []Entry, base string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.edited {
		return nil, "", false
	}
	f.compact()
	return slices.Clone(f.entries), sumOf(f.origin()), true
}

// Restore makes the lines those that an earlier process had, if the file is
// what that one read: otherwise somebody has changed it since, and it counts.
func (f *File) Restore(list []Entry, base string) (done bool, err error) {
	f.mu.Lock()
	same := sumOf(f.origin()) == base
	f.mu.Unlock()
	if !same {
		return false, nil
	}
	lines := slices.Clone(list)
	f.mu.Lock()
	for i := range lines {
		f.nextID++
		lines[i].ID = f.nextID
	}
	f.mu.Unlock()
	return true, f.replace(lines)
}

// Reset makes the lines those of the file again.
func (f *File) Reset() error {
	f.mu.Lock()
	origin, edited := f.origin(), f.edited
	f.mu.Unlock()
	if !edited {
		return nil
	}
	err := f.replace(origin)
	if err == nil {
		f.mu.Lock()
		f.edited = false
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
