package stick

// Ref is an entry that is held: it stays in its table until Release or
// Forget, one of which its owner must call exactly once. The zero Ref holds
// nothing; to release, count or read it does nothing.
type Ref struct {
	t *Table
	i uint32
}

// Valid reports whether r holds an entry.
func (r Ref) Valid() bool { return r.t != nil }

// Table is the table of the entry.
func (r Ref) Table() *Table { return r.t }

// Track finds the entry of a key, or makes one, and counts a connection in it.
// It is released with Release. The zero Ref means that the table is full.
func (t *Table) Track(key []byte, now int64) Ref {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(key, now)
	if i == 0 {
		return Ref{}
	}
	t.hold(i)
	t.touch(i, now)
	t.add(i, ConnCur, 1)
	t.add(i, ConnCnt, 1)
	t.addRate(i, ConnRate, 1, now)
	return Ref{t, i}
}

// Adopt takes up a connection that an earlier worker tracked in a table whose
// keys were of a type and a length; the zero Ref when they are others here. That
// worker has counted it; it is counted here only when this table does not know
// of it.
func (t *Table) Adopt(kind Type, size int, key []byte, now int64) Ref {
	if !t.sameKeys(kind, size) || !t.valid(key) {
		return Ref{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	known := i != 0 && t.joined
	if i == 0 {
		i = t.make(key, now, true)
	}
	if i == 0 {
		return Ref{}
	}
	t.hold(i)
	if known {
		t.touchQuietly(i, now)
	} else {
		t.touch(i, now)
		t.add(i, ConnCur, 1)
	}
	return Ref{t, i}
}

// get finds or makes. mu is held.
func (t *Table) get(key []byte, now int64) uint32 {
	i := t.find(key, now)
	if i == 0 {
		i = t.make(key, now, false)
		if i != 0 && t.changeLog.epoch != 0 {
			t.changeLog.note(t, i)
		}
	}
	return i
}

// hold takes an entry out of the list of those that may go. mu is held.
func (t *Table) hold(i uint32) {
	e := t.head(i)
	if e.refs == 0 {
		t.unlink(i)
	}
	e.refs++
}

// drop is the way back, to the end of the list: the entry was touched just now,
// or this process leaves and the order matters to nobody. mu is held.
func (t *Table) drop(i uint32) {
	e := t.head(i)
	if e.refs--; e.refs == 0 {
		t.link(i)
	}
}

// Release ends what Track began.
func (r Ref) Release(now int64) {
	if r.t == nil {
		return
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.touch(r.i, now)
	r.t.add(r.i, ConnCur, -1)
	r.t.drop(r.i)
}

// Forget lets go of an entry for a connection that another process tracks from
// now on. Nothing of it counts as a touch.
func (r Ref) Forget() {
	if r.t == nil {
		return
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.drop(r.i)
}

// AppendKey appends the key of the entry.
func (r Ref) AppendKey(dst []byte) []byte {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return append(dst, r.t.key(r.i)...)
}

// Count counts n events in a count and in the rate that goes with it, and gives
// the count, or without it what its rate has counted in this period. false when the table stores neither.
func (r Ref) Count(cnt, rate Data, n uint64, now int64) (uint64, bool) {
	if r.t == nil || !r.t.Stores[cnt] && !r.t.Stores[rate] {
		return 0, false
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return r.t.count(r.i, cnt, rate, n, now), true
}

// Set stores a value, and gives the one before; of a rate it is what is read
// back now. false when the table does not store it.
func (r Ref) Set(d Data, n uint64, now int64) (uint64, bool) {
	if r.t == nil || !r.t.Stores[d] {
		return 0, false
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return r.t.set(r.i, d, n, now), true
}

// Get is the value of a data type: of a rate the rate, else what is stored.
// false when the table does not store it.
func (r Ref) Get(d Data, now int64) (uint64, bool) {
	if r.t == nil || !r.t.Stores[d] {
		return 0, false
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return r.t.value(r.i, d, now), true
}

// Facts are what is known of an entry besides its data.
type Facts struct {
	Trackers     int   // how many hold it
	Expire, Idle int64 // ms: until it ends, since its last touch
}

// Facts are those of the entry.
func (r Ref) Facts(now int64) Facts {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return r.t.facts(r.i, now)
}

// The same for a key, whose entry is not held. found is false when there is
// none.

// GetKey is the value of a data type that the table stores.
func (t *Table) GetKey(key []byte, d Data, now int64) (n uint64, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 || !t.Stores[d] {
		return 0, false
	}
	return t.value(i, d, now), true
}

// CountKey counts n events, in an entry that is made when there is none.
func (t *Table) CountKey(key []byte, cnt, rate Data, n uint64, now int64) (uint64, bool) {
	if !t.Stores[cnt] && !t.Stores[rate] {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(key, now)
	if i == 0 {
		return 0, false
	}
	return t.count(i, cnt, rate, n, now), true
}

// SetKey stores a value, with create in an entry that is made when there is
// none, and gives the value before.
func (t *Table) SetKey(key []byte, d Data, n uint64, create bool, now int64) (before uint64, found bool) {
	if !t.Stores[d] {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 && create {
		i = t.get(key, now)
	}
	if i == 0 {
		return 0, false
	}
	return t.set(i, d, n, now), true
}

// Ensure makes an entry if there is none; false when the table is full.
func (t *Table) Ensure(key []byte, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(key, now)
	if i != 0 {
		t.touch(i, now)
	}
	return i != 0
}

// FactsKey are those of a key's entry.
func (t *Table) FactsKey(key []byte, now int64) (f Facts, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 {
		return Facts{}, false
	}
	return t.facts(i, now), true
}

func (t *Table) facts(i uint32, now int64) Facts {
	e := t.head(i)
	return Facts{Trackers: int(e.refs), Expire: t.remaining(i, now), Idle: now - e.at}
}

// count gives the count, and where only its rate is stored what that has counted in
// this period.
func (t *Table) count(i uint32, cnt, rate Data, n uint64, now int64) uint64 {
	t.touch(i, now)
	t.add(i, cnt, int64(n))
	if rate != cnt { // the same twice: no rate counts it
		t.addRate(i, rate, uint32(n), now)
	}
	if o := t.offset[cnt]; o >= 0 {
		return t.data(i)[o]
	}
	if o := t.offset[rate]; o >= 0 {
		return uint64(loadFreq(t.data(i)[o:]).cur)
	}
	return 0
}

func (t *Table) set(i uint32, d Data, n uint64, now int64) uint64 {
	t.touch(i, now)
	before := t.value(i, d, now)
	w := t.data(i)[t.offset[d]:]
	if d.IsRate() {
		freq{tick: now, cur: uint32(n)}.store(w)
	} else {
		w[0] = n
	}
	return before
}

func (t *Table) remaining(i uint32, now int64) int64 {
	if t.Expire == 0 {
		return 0
	}
	return max(t.head(i).at+t.Expire-now, 0)
}

// value reads. mu is held.
func (t *Table) value(i uint32, d Data, now int64) uint64 {
	if t.shares != nil && d.IsShared() {
		return t.own(i, d, now) + t.others(i, d, now)
	}
	return t.own(i, d, now)
}

// own is what this node has counted of a value. mu is held.
func (t *Table) own(i uint32, d Data, now int64) uint64 {
	w := t.data(i)[t.offset[d]:]
	switch dataRows[d].form {
	case rate:
		return loadFreq(w).read(now, t.Period[d])
	case gauge:
		return uint64(max(int64(w[0]), 0)) // another worker's share may be still to come
	}
	return w[0]
}

// add changes a count or a gauge. mu is held, and the entry was touched.
func (t *Table) add(i uint32, d Data, n int64) {
	if o := t.offset[d]; o >= 0 {
		w := &t.data(i)[o]
		if n < 0 && dataRows[d].form == count {
			n = -min(-n, int64(*w))
		}
		*w += uint64(n)
	}
}

func (t *Table) addRate(i uint32, d Data, n uint32, now int64) {
	if o := t.offset[d]; o >= 0 {
		w := t.data(i)[o:]
		f := loadFreq(w)
		f.add(now, t.Period[d], n)
		f.store(w)
	}
}

// Server is the server that a key is stuck to: its name, or where only that is
// known its number. false when nothing is known.
func (t *Table) Server(key []byte, now int64) (name string, id int, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 || !t.Stores[ServerID] {
		return "", 0, false
	}
	t.touch(i, now)
	w := t.data(i)
	if t.Stores[ServerKey] {
		name = t.names[w[t.offset[ServerKey]]]
	}
	return name, int(w[t.offset[ServerID]]), true
}

// Stick sticks a key to a server.
func (t *Table) Stick(key []byte, name string, id int, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(key, now)
	if i == 0 || !t.Stores[ServerID] {
		return
	}
	t.touch(i, now)
	w := t.data(i)
	w[t.offset[ServerID]] = uint64(id)
	if t.Stores[ServerKey] {
		w[t.offset[ServerKey]] = t.name(name)
	}
}

// name is a server's number in names. mu is held.
func (t *Table) name(s string) uint64 {
	n, ok := t.numbers[s]
	if !ok {
		n = uint64(len(t.names))
		t.names = append(t.names, s)
		t.numbers[s] = n
	}
	return n
}
