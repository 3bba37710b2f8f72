package stick

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errChanges is what a message that cannot be read is refused with.
var errChanges = errors.New("what the former worker sent of its stick tables cannot be read")

// Load takes over what a former worker sent: sections one after another, as
// AppendChanges makes them. table gives the table of a name, nil for one that
// this configuration does not have. A table whose keys are of another type or
// length begins anew; a data type that was not stored before, or over another
// period, begins at 0.
func Load(told []byte, table func(name string) *Table, now int64) error {
	r := reader{rest: told}
	parts := map[*Table][]section{}
	var order []*Table
	type shareSection struct {
		*Table
		section
	}
	var sharesOf []shareSection
	for len(r.rest) > 0 && !r.bad {
		s := reader{rest: r.bytes()}
		if s.byte() != changesVersion {
			return fmt.Errorf("%w: another version", errChanges)
		}
		name, isShares := strings.CutSuffix(string(s.bytes()), sharesMark)
		t := table(name)
		head := section{kind: Type(s.byte()), size: s.uvarint(), stores: s.uvarint()}
		for d := range NumData {
			if head.stores&(1<<d) != 0 && d.IsRate() {
				head.period[d] = int64(s.uvarint())
			}
		}
		if s.bad || r.bad {
			return errChanges
		}
		if t == nil || !t.sameKeys(head.kind, int(min(head.size, 1<<30))) {
			continue
		}
		head.records = s.rest
		if isShares {
			sharesOf = append(sharesOf, shareSection{t, head})
			continue
		}
		if parts[t] == nil {
			order = append(order, t)
		}
		parts[t] = append(parts[t], head)
	}
	if r.bad {
		return errChanges
	}
	for _, t := range order {
		if err := t.load(parts[t], now); err != nil {
			return err
		}
	}
	for _, s := range sharesOf { // after the entries
		if err := s.loadShares(&s.section, now); err != nil {
			return err
		}
	}
	return nil
}

// section is a section whose records were not read yet.
type section struct {
	kind    Type
	size    uint64
	stores  uint64
	period  [NumData]int64
	records []byte
}

// place is where a record lies, and when its entry was touched.
type place struct {
	at   int64
	part int
	off  int
}

// load takes the records in, the entry touched first before the others, so
// that the order in which they go stays what it was.
func (t *Table) load(parts []section, now int64) error {
	var places []place
	for p := range parts {
		r := reader{rest: parts[p].records}
		for len(r.rest) > 0 {
			off := len(parts[p].records) - len(r.rest)
			rec := r.record()
			if r.bad {
				return errChanges
			}
			places = append(places, place{rec.at, p, off})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	if over := len(places) - t.Size; over > 0 && t.Used(now) == 0 {
		places = places[over:]
	}
	t.mu.Lock()
	inUse := t.joined // else it is being filled before anybody uses it
	t.joined = true
	t.mu.Unlock()
	for round := 1; len(places) > 0; round++ {
		if inUse {
			rest(round)
		}
		n := min(len(places), batch)
		t.mu.Lock()
		for _, p := range places[:n] {
			s := &parts[p.part]
			r := reader{rest: s.records[p.off:]}
			rec := r.record()
			t.merge(s, &rec, now)
		}
		t.mu.Unlock()
		places = places[n:]
	}
	return nil
}

// record is one record as it was read. Its parts are views.
type record struct {
	key     []byte
	at      int64
	changed uint64
	num     [NumData]int64
	rate    [NumData]events
	name    []byte
}

// merge adds one record. mu is held.
func (t *Table) merge(s *section, rec *record, now int64) {
	if !t.valid(rec.key) {
		return
	}
	i := t.find(rec.key, now)
	if i == 0 {
		if t.Expire > 0 && now-rec.at >= t.Expire && rec.num[ConnCur] <= 0 || !rec.adds() {
			return
		}
		if i = t.make(rec.key, rec.at, true); i == 0 {
			return
		}
	}
	if t.updates == nil || t.updates.quiet {
		t.touchQuietly(i, rec.at)
	} else {
		t.touch(i, rec.at)
	}
	w := t.data(i)
	for d := range NumData {
		o := t.offset[d]
		if o < 0 || rec.changed&(1<<d) == 0 {
			continue
		}
		switch dataRows[d].form {
		case count, gauge:
			t.add(i, d, rec.num[d])
		case tag:
			w[o] = uint64(rec.num[d])
		case server:
			w[o] = t.name(string(rec.name))
		case rate:
			if s.period[d] == t.Period[d] {
				f := loadFreq(w[o:])
				f.merge(rec.rate[d], now, t.Period[d])
				f.store(w[o:])
			}
		}
	}
}

// adds reports whether there is more in a record than the end of what an
// entry, which is gone by now, had counted.
func (rec *record) adds() bool {
	for d := range NumData {
		if f := dataRows[d].form; rec.changed&(1<<d) != 0 && (f != count && f != gauge || rec.num[d] > 0) {
			return true
		}
	}
	return rec.changed == 0
}

// reader reads a message of changes. bad is set when it is not one; what is read then is
// nothing.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) record() (rec record) {
	rec.key = r.bytes()
	rec.at = r.varint()
	rec.changed = r.uvarint()
	if rec.changed >= 1<<NumData {
		r.bad = true
	}
	for d := range NumData {
		if rec.changed&(1<<d) == 0 || r.bad {
			continue
		}
		switch dataRows[d].form {
		case count, gauge:
			rec.num[d] = r.varint()
		case tag:
			rec.num[d] = int64(r.uvarint())
		case server:
			rec.name = r.bytes()
		case rate:
			rec.rate[d] = events{tick: r.varint(), cur: r.varint(), prev: r.varint()}
		}
	}
	return rec
}

func (r *reader) took(n int) {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.took(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.took(n)
	return v
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.took(0)
		return 0
	}
	b := r.rest[0]
	r.took(1)
	return b
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.took(0)
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
