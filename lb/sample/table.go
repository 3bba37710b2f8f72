package sample

import (
	"fmt"

	"lbsyslogd/lb/stick"
)

// TableRef is a stick table as a rule names it. It means nothing until Bind:
// tables may be declared after the rules that use them.
type TableRef struct {
	Name    string // "" is the table of the proxy in which the rule stands
	Servers bool   // servers are stored in it

	keyed bool // its keys are made of samples of this kind
	kind  Kind
	Table *stick.Table
}

// KeyedTable is a reference to a table of keys made of samples of a kind.
func KeyedTable(k Kind) *TableRef { return &TableRef{keyed: true, kind: k} }

// Bound is the table, nil before Bind.
func (r *TableRef) Bound() *stick.Table { return r.Table }

// Bind gives the reference its table. Before the first evaluation.
func (r *TableRef) Bind(t *stick.Table) { r.Table = t }

// Fits refuses a table whose keys cannot be made of what the rule has.
func (r *TableRef) Fits(t stick.Type) error {
	to := [...]Kind{stick.IP: Addr, stick.IPv6: Addr, stick.Integer: Int, stick.String: Str, stick.Binary: Bin}[t]
	if r.keyed && !Castable(r.kind, to) {
		return fmt.Errorf("its keys are of type %s, which a sample of type %s cannot be turned into", t, r.kind)
	}
	return nil
}

// Tracks are the entries that a session, or one exchange of it, is counted in:
// those of track-sc0 to track-sc2.
type Tracks [TrackSlots]stick.Ref

const TrackSlots = 3

// Release ends all of them.
func (ts *Tracks) Release(now int64) {
	for i := range ts {
		ts[i].Release(now)
		ts[i] = stick.Ref{}
	}
}

// Forget lets go of all of them; another process has them now.
func (ts *Tracks) Forget() {
	for i := range ts {
		ts[i].Forget()
		ts[i] = stick.Ref{}
	}
}

// Any reports whether anything is tracked.
func (ts *Tracks) Any() bool { return ts[0].Valid() || ts[1].Valid() || ts[2].Valid() }

// Tracked is the entry of sc0, sc1 or sc2: the exchange's, or else the
// session's.
func (x *Ctx) Tracked(slot int64) stick.Ref {
	if slot < 0 || slot >= TrackSlots {
		return stick.Ref{}
	}
	if x.Txn != nil && x.Txn[slot].Valid() {
		return x.Txn[slot]
	}
	if x.Session != nil {
		return x.Session[slot]
	}
	return stick.Ref{}
}

// TableKey makes a sample a key of a table; false when it cannot be one. The
// key is valid until the next one is made.
func (x *Ctx) TableKey(t *stick.Table, v Value) (key []byte, ok bool) {
	x.key = x.key[:0]
	switch t.Type {
	case stick.IP, stick.IPv6:
		a, ok := v.address()
		if !ok {
			return nil, false
		}
		x.key, ok = t.KeyAddr(x.key, a)
		return x.key, ok
	case stick.Integer:
		n, ok := v.Integer()
		x.key = stick.KeyInt(x.key, n)
		return x.key, ok
	case stick.String:
		x.key = t.KeyBytes(x.key, v.Text(x))
	default:
		x.key = t.KeyBytes(x.key, v.binary(x))
	}
	return x.key, true
}

// refs are what the arguments name.
func (a *args) refs() []Ref {
	var list []Ref
	if a.table != nil {
		list = append(list, a.table)
	}
	if a.mapping != nil {
		list = append(list, a.mapping.ref)
	}
	if e, ok := a.any.(*EnvRef); ok {
		list = append(list, e)
	}
	if a.gauge != nil {
		list = append(list, a.gauge)
	}
	if a.users != nil {
		list = append(list, a.users)
	}
	return list
}
