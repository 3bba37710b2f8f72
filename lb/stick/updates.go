package stick

import (
	"encoding/binary"
	"slices"
)

// A table that peers have too (Spec.Shared) numbers what changes in it. An
// entry that changes here gets the next number and goes to the end of a list,
// unless it waits there already for every peer. Each peer follows the list with
// a Feed, at its own pace; what a peer has acknowledged is for package peers to
// know. What is learned from a peer gets no number: it is sent to nobody but a
// peer that asks for everything (Walk).
//
// Tables without peers have none of this: one comparison of a pointer is all
// that it costs them.

// updates is a table's side of it. Table.mu guards it.
type updates struct {
	last  uint64 // number of the last change
	sent  uint64 // the highest number that some peer was sent
	links []*[chunkSize]updateLink
	feeds []*Feed
	// quiet is set until the worker before has said how far it came with the
	// peers: what it sends until then, it has sent to them too.
	quiet bool
}

// updateLink is an entry's place in the list. Entry 0 is the ends of the list.
type updateLink struct {
	id           uint64 // 0: nothing of it is for the peers
	older, newer uint32
}

func (u *updates) at(i uint32) *updateLink { return &u.links[i/chunkSize][i%chunkSize] }

// grow keeps room for the links of every chunk.
func (u *updates) grow(chunks int) {
	for len(u.links) < chunks {
		u.links = append(u.links, new([chunkSize]updateLink))
	}
}

// note gives an entry that has changed here its number.
func (u *updates) note(i uint32) {
	if u.at(i).id > u.sent {
		return // nobody has got the change before this one
	}
	u.forget(i)
	u.last++
	u.append(i, u.last)
}

func (u *updates) append(i uint32, id uint64) {
	ends, l := u.at(0), u.at(i)
	l.id, l.older, l.newer = id, ends.older, 0
	u.at(ends.older).newer = i
	ends.older = i
	for _, f := range u.feeds {
		if f.next == 0 {
			f.next = i
		}
		if f.asleep {
			f.asleep = false
			select {
			case f.wake <- struct{}{}:
			default:
			}
		}
	}
}

// forget takes an entry out of the list.
func (u *updates) forget(i uint32) {
	l := u.at(i)
	if l.id == 0 {
		return
	}
	for _, f := range u.feeds {
		if f.next == i {
			f.next = l.newer
		}
	}
	u.at(l.older).newer = l.newer
	u.at(l.newer).older = l.older
	*l = updateLink{}
}

// after is the first entry whose number is above id; 0 is none.
func (u *updates) after(id uint64) uint32 {
	first := uint32(0)
	for i := u.at(0).older; i != 0 && u.at(i).id > id; i = u.at(i).older {
		first = i
	}
	return first
}

// Feed is how far one peer has come with a table's changes.
type Feed struct {
	t    *Table
	wake chan<- struct{}

	// Table.mu guards the fields below.
	next   uint32 // the first entry to be sent; 0: all is sent
	asleep bool   // wake is to hear of the next change
}

// Follow begins to give the changes whose numbers are above id. Each time there
// is something to take after Take had said that there was nothing, wake is sent
// to, if it has room. The caller must call Close.
func (t *Table) Follow(id uint64, wake chan<- struct{}) *Feed {
	f := &Feed{t: t, wake: wake}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.next = t.updates.after(id)
	t.updates.feeds = append(t.updates.feeds, f)
	return f
}

// Close ends it.
func (f *Feed) Close() {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	u := f.t.updates
	for i, o := range u.feeds {
		if o == f {
			u.feeds = append(u.feeds[:i], u.feeds[i+1:]...)
			return
		}
	}
}

// Skip leaves out all that has changed until now, and gives the number of the
// last change.
func (f *Feed) Skip() uint64 {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	f.next = 0
	u := f.t.updates
	u.sent = u.last // what waits is left out, so what changes again is to wait anew
	return u.last
}

// Take gives the next changes, as many as one short hold of the lock allows;
// more says that there are others. An Entry is valid until each returns.
func (f *Feed) Take(each func(Entry)) (more bool) {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.updates
	for n := 0; n < batch && f.next != 0; n++ {
		l := u.at(f.next)
		u.sent = max(u.sent, l.id)
		each(Entry{t, f.next, l.id})
		f.next = l.newer
	}
	f.asleep = f.next == 0
	return !f.asleep
}

// Entry is an entry while its table's lock is held.
type Entry struct {
	t  *Table
	i  uint32
	ID uint64 // of the change
}

// Key is a view.
func (e Entry) Key() []byte { return e.t.key(e.i) }

// Remaining is how many milliseconds the entry lives if nobody touches it.
func (e Entry) Remaining(now int64) int64 { return e.t.remaining(e.i, now) }

// Value is what is stored of a data type that the table stores, no rate.
func (e Entry) Value(d Data) uint64 { return e.t.data(e.i)[e.t.offset[d]] }

// Rate is how a rate is stored: when its period began, the events of that
// period and those of the one before.
func (e Entry) Rate(d Data) (tick int64, cur, prev uint32) {
	f := loadFreq(e.t.data(e.i)[e.t.offset[d]:])
	return f.tick, f.cur, f.prev
}

// Total is Rate of all nodes of a cluster together.
func (e Entry) Total(d Data, now int64) (tick int64, cur, prev uint32) {
	f := e.t.sumRate(e.i, d, now)
	return f.tick, f.cur, f.prev
}

// Server is the name of the server that the key is stuck to; "" for none.
func (e Entry) Server() string { return e.t.names[e.Value(ServerKey)] }

// LastUpdate is the number of the last change.
func (t *Table) LastUpdate() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.updates.last
}

// Lesson is what a peer says of an entry.
type Lesson struct {
	Key       []byte
	Remaining int64 // ms until it ends; below 0: as if it was touched now
	Values    []Value
	Server    []byte // of ServerKey, if that is among the values
}

// Value is one data type of a Lesson.
type Value struct {
	Data      Data
	N         uint64 // no rate
	Age       int64  // of a rate: ms since its period began
	Cur, Prev uint32
}

// maxNames bounds how many servers' names a table learns from peers: whoever
// sends more than there can be servers must not fill the memory.
const maxNames = 1 << 14

// Learn takes over what a peer says: its values take the place of those here.
// conn_cur is not for learning: it counts connections that are here. False when
// there is no room for the entry, or the key is none of this table.
func (t *Table) Learn(l *Lesson, now int64) bool {
	return t.taught(l, now, func(i uint32) {
		w := t.data(i)
		for _, v := range l.Values {
			o := t.offset[v.Data]
			switch {
			case o < 0 || v.Data == ConnCur || t.shares != nil && v.Data.IsShared():
			case v.Data == ServerKey:
				if n, ok := t.knownName(l.Server); ok {
					w[o] = n
				}
			case v.Data.IsRate():
				freq{tick: now - v.Age, cur: v.Cur, prev: v.Prev}.store(w[o:])
			default:
				w[o] = v.N
			}
		}
	})
}

// taught has take work on the entry of a lesson, found or made, with mu held. False when there is no room for the entry, or the key is none
// of this table.
func (t *Table) taught(l *Lesson, now int64, take func(i uint32)) bool {
	if !t.valid(l.Key) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.learned(l, now)
	if i == 0 {
		return false
	}
	take(i)
	return true
}

// learned finds or makes the entry of a lesson; 0: there is no room for it. mu is held.
func (t *Table) learned(l *Lesson, now int64) uint32 {
	at := now
	if l.Remaining >= 0 && t.Expire > 0 {
		at = now - max(t.Expire-l.Remaining, 0)
	}
	i := t.find(l.Key, now)
	if i == 0 {
		if i = t.make(l.Key, at, false); i == 0 {
			return 0
		}
	}
	t.touchQuietly(i, at)
	return i
}

// knownName is a learned server's number in names. mu is held.
func (t *Table) knownName(name []byte) (uint64, bool) {
	if n, ok := t.numbers[string(name)]; ok {
		return n, true
	}
	if len(t.names) >= maxNames {
		return 0, false
	}
	return t.name(string(name)), true
}

// At a reload the next worker goes on with the numbers:
//
//	updates = uvarint(number of the last change), changes
//	change  = uvarint(its number), text(key)

// HoldUpdates is called before anything comes from the worker before, which
// speaks to the peers until its updates are taken over.
func (t *Table) HoldUpdates() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.updates.quiet = true
}

// AppendUpdates appends the changes whose numbers are above id.
func (t *Table) AppendUpdates(dst []byte, id uint64) []byte {
	f := t.Follow(id, nil)
	defer f.Close()
	dst = binary.AppendUvarint(dst, t.LastUpdate())
	for n, more := 1, true; more; n++ {
		more = f.Take(func(e Entry) {
			dst = binary.AppendUvarint(dst, e.ID)
			dst = appendBytes(dst, e.Key())
		})
		rest(n)
	}
	return dst
}

// TakeUpdates goes on where the worker before has stopped; nil is from the
// beginning. What has changed here meanwhile comes after what it had not sent yet.
func (t *Table) TakeUpdates(told []byte, now int64) error {
	r := reader{rest: told}
	var last uint64
	if len(told) > 0 {
		last = r.uvarint()
	}
	type place struct {
		id  uint64
		key []byte
	}
	var places []place
	for len(r.rest) > 0 {
		places = append(places, place{r.uvarint(), r.bytes()})
	}
	if r.bad {
		return errChanges
	}
	t.renumber(last)
	for round := 1; len(places) > 0; round++ {
		n := max(len(places)-batch, 0)
		t.mu.Lock()
		for _, p := range slices.Backward(places[n:]) {
			if i := t.find(p.key, now); i != 0 && t.updates.at(i).id == 0 && p.id <= last {
				t.updates.prepend(i, p.id)
			}
		}
		t.mu.Unlock()
		places = places[:n]
		rest(round)
	}
	return nil
}

// renumber lets what has changed here follow a number.
func (t *Table) renumber(last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.updates
	u.last, u.sent, u.quiet = last, last, false
	for i := u.at(0).newer; i != 0; i = u.at(i).newer {
		u.last++
		u.at(i).id = u.last
	}
}

// prepend puts an entry before all others.
func (u *updates) prepend(i uint32, id uint64) {
	ends, l := u.at(0), u.at(i)
	l.id, l.older, l.newer = id, 0, ends.newer
	u.at(ends.newer).older = i
	ends.newer = i
}
