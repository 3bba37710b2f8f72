package stick

import (
	"cmp"
	"slices"
)

// Walk gives every entry of a table, the one that was touched first before the
// others, so that whoever stores them in this order has them in order.
type Walk struct {
	t      *Table
	places []walkPlace
}

// walkPlace is where an entry lies, and when it was touched.
type walkPlace struct {
	at int64
	i  uint32
}

// Walk begins a walk over the entries that exist now.
func (t *Table) Walk(now int64) *Walk {
	w := &Walk{t: t}
	for from, n, more := uint32(1), 1, true; more; from, n = from+batch, n+1 {
		t.mu.Lock()
		for i := from; i < min(from+batch, t.made); i++ {
			if e := t.head(i); e.live && !t.expired(i, now) {
				w.places = append(w.places, walkPlace{e.at, i})
			}
		}
		more = from+batch < t.made
		t.mu.Unlock()
		rest(n)
	}
	slices.SortFunc(w.places, func(a, b walkPlace) int { return cmp.Compare(a.at, b.at) })
	return w
}

// Take gives the next entries, as many as one short hold of the lock allows;
// more says that there are others. One that has ended meanwhile is left out, and
// one that has taken its place is given in place of it.
func (w *Walk) Take(each func(Entry)) (more bool) {
	n := min(len(w.places), batch)
	w.t.mu.Lock()
	for _, p := range w.places[:n] {
		if w.t.head(p.i).live {
			each(Entry{t: w.t, i: p.i})
		}
	}
	w.t.mu.Unlock()
	w.places = w.places[n:]
	return len(w.places) > 0
}
