// Package ledger compares what senders say that they have sent with what came from them.
//
//  1. A sender that numbers its processes (lb) says now and then, in band, how many lines it has sent so far: a message.Beat,
//  2. each line that carries the pid of a sender which has said so is counted, once it is with the outputs,
//  3. at each beat both numbers are put side by side: what is missing was lost on the way,
//  4. what outputs have taken and not written yet is noted, too (Held): that is what a kill takes with it.
//
// All of it is in a file that is mapped into memory, so that it outlives the process, killed or not.
package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
)

const (
	slots   = 128 // processes that are known at a time
	keySize = 200
	magic   = 0x6c656467657202 // changes with the layout
	// silent is after which time without a word a process gives its slot to another.
	silent = 10 * time.Minute
)

// An Account is what is known of one process. Its fields are in the file.
type Account struct {
	key        [keySize]byte
	instance   atomic.Uint64 // when the process began: pids come again
	generation atomic.Uint64
	base       atomic.Uint64 // lines sent before its first beat
	sent       atomic.Uint64 // as the last beat said
	lost       atomic.Uint64 // by the sender, as the last beat said
	received   atomic.Uint64 // since the first beat
	atBeat     atomic.Uint64 // received when the last beat came
	heard      atomic.Int64  // when that was, in Unix nanoseconds; 0: the slot is free
	final      atomic.Uint64 // 1: there are no more
}

// book is the file. Fields are only ever added at the end: a shorter file is that of an older syslogd.
type book struct {
	magic                         atomic.Uint64
	sent, lost, received, missing atomic.Uint64 // of processes whose slot was given away
	accounts                      [slots]Account
	before                        atomic.Uint64 // as sent: lines sent before the first beat
	killed                        atomic.Uint64 // lines that outputs held when syslogd was killed
	held                          [heldSlots]Held
}

// Book is all accounts.
type Book struct {
	book *book
	file []byte // the mapped file; nil: in this process only

	version atomic.Uint64 // changes with known
	// mu guards the field below, and who has which slot.
	mu    sync.RWMutex
	known map[string]*Account
}

// Open opens the book at path, or makes it; an empty path keeps it in memory. What cannot be read is begun anew.
func Open(path string) (*Book, error) {
	b := &Book{book: new(book), known: make(map[string]*Account)}
	if path == "" {
		return b, nil
	}
	size := int(unsafe.Sizeof(book{}))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || !ok || st.Nlink != 1 {
		return nil, fmt.Errorf("%s is not a file of its own", path)
	}
	if older := int64(unsafe.Offsetof(book{}.before)); info.Size() != int64(size) && info.Size() != older {
		err = f.Truncate(0)
	}
	if err := errors.Join(err, f.Truncate(int64(size))); err != nil {
		return nil, err
	}
	if err := reserve(f, int64(size)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if b.file, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	b.book = (*book)(unsafe.Pointer(&b.file[0]))
	if b.book.magic.Load() != magic {
		clear(b.file)
		b.book.magic.Store(magic)
	}
	for i := range b.book.accounts {
		if a := &b.book.accounts[i]; a.heard.Load() != 0 {
			b.known[a.name()] = a
		}
	}
	for i := range b.book.held {
		b.book.killed.Add(b.book.held[i].settle())
	}
	return b, nil
}

// reserve gives all of a file its place on the disk: the kernel ends a process (SIGBUS) that touches a mapped page for which a full disk has none.
func reserve(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if err != unix.EOPNOTSUPP && err != unix.ENOSYS {
		return err
	}
	all := make([]byte, size)
	if _, err := f.ReadAt(all, 0); err != nil {
		return err
	}
	_, err = f.WriteAt(all, 0)
	return err
}

// Close gives the file back. Nobody may use an Account any more.
func (b *Book) Close() error {
	if b.file == nil {
		return nil
	}
	b.book = new(book)
	clear(b.known)
	file := b.file
	b.file = nil
	return unix.Munmap(file)
}

func (a *Account) name() string {
	name, _, _ := bytes.Cut(a.key[:], []byte{0})
	return string(name)
}

// Version changes when another process becomes known: an Account that was found before may be another's then.
func (b *Book) Version() uint64 { return b.version.Load() }

// Empty says whether no process is known.
func (b *Book) Empty() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.known) == 0
}

// AppendKey appends what a process is known by: the input that its lines come to, where they come from, and its pid.
func AppendKey(dst []byte, input, peer string, pid []byte) []byte {
	dst = append(dst, input...)
	dst = append(dst, '|')
	dst = append(dst, peer...)
	dst = append(dst, '|')
	return append(dst, pid...)
}

// Find finds the account of a process that has said something; nil for all others.
func (b *Book) Find(key []byte) *Account {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.known[string(key)]
}

// Count adds lines that came from the process.
func (a *Account) Count(n uint64) { a.received.Add(n) }

// Note takes a beat. The lines that came before it must have been counted.
func (b *Book) Note(key []byte, beat message.Beat, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.known[string(key)]
	if a == nil || a.instance.Load() != beat.Instance {
		if a = b.open(key, a, now); a == nil {
			return
		}
		a.instance.Store(beat.Instance)
		a.base.Store(beat.Sent)
		b.known[string(key)] = a
		b.version.Add(1)
	} else if a.final.Load() == 1 {
		return // overtaken on its way
	}
	a.generation.Store(beat.Generation)
	a.sent.Store(beat.Sent)
	a.lost.Store(beat.Lost)
	a.atBeat.Store(a.received.Load())
	if beat.Final {
		a.final.Store(1)
	}
	a.heard.Store(max(now.UnixNano(), 1))
}

// open gives a process a slot: that of the one which had its pid before, a free one, or that of the one which was silent for longest. Called
// with mu held.
func (b *Book) open(key []byte, former *Account, now time.Time) *Account {
	if len(key) >= keySize {
		return nil
	}
	a := former
	for i := range b.book.accounts {
		if other := &b.book.accounts[i]; former == nil && (a == nil || other.heard.Load() < a.heard.Load()) {
			a = other
		}
	}
	if heard := a.heard.Load(); heard != 0 && former == nil {
		if a.final.Load() == 0 && now.Sub(time.Unix(0, heard)) < silent {
			return nil // whoever forges many drives out none
		}
	}
	if a.heard.Load() != 0 {
		e := a.entry()
		b.book.sent.Add(e.Sent)
		b.book.lost.Add(e.Lost)
		b.book.received.Add(e.Received)
		b.book.missing.Add(e.Missing)
		b.book.before.Add(e.Before)
		delete(b.known, a.name())
	}
	a.key = [keySize]byte{}
	copy(a.key[:], key)
	for _, field := range []*atomic.Uint64{&a.base, &a.sent, &a.lost, &a.received, &a.atBeat, &a.final} {
		field.Store(0)
	}
	return a
}

// Entry is an account, to be shown. Sent = Received + Missing when the last beat came, but for what was on its way.
type Entry struct {
	Input, Peer, PID string
	Instance         uint64
	Generation       uint64
	Before           uint64 // lines sent before the first beat came: nothing is known of these
	Sent             uint64 // since the first beat, as the last one said
	Lost             uint64 // by the sender
	Received         uint64 // since the first beat
	Missing          uint64 // at the last beat; of a process that has ended, now
	Heard            time.Time
	Final            bool
}

func (a *Account) entry() Entry {
	parts := bytes.SplitN([]byte(a.name()), []byte("|"), 3)
	e := Entry{
		Instance: a.instance.Load(), Generation: a.generation.Load(), Before: a.base.Load(), Sent: a.sent.Load() - a.base.Load(), Lost: a.lost.Load(),
		Received: a.received.Load(), Heard: time.Unix(0, a.heard.Load()), Final: a.final.Load() == 1,
	}
	if len(parts) == 3 {
		e.Input, e.Peer, e.PID = string(parts[0]), string(parts[1]), string(parts[2])
	}
	at := a.atBeat.Load()
	if e.Final {
		at = e.Received // some lines may have come after the last beat, over another socket
	}
	if e.Sent > at {
		e.Missing = e.Sent - at
	}
	return e
}

// Entries are the accounts of all processes that are known, the newest first, and the sum of those that are not any more.
func (b *Book) Entries() (entries []Entry, past Entry) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, a := range b.known {
		entries = append(entries, a.entry())
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Instance, a.Instance), cmp.Compare(a.Input, b.Input), cmp.Compare(a.PID, b.PID))
	})
	past = Entry{Sent: b.book.sent.Load(), Lost: b.book.lost.Load(), Received: b.book.received.Load(), Missing: b.book.missing.Load(), Before: b.book.before.Load()}
	return entries, past
}
