package sample

import (
	"strings"

	"lbsyslogd/lb/stick"
)

// convsTable look a sample up in a stick table. A sample that has no entry, or
// cannot be a key, gives 0 (HAProxy configuration manual, section 7.3.1).
var convsTable = tableConvs()

func tableConvs() []convRow {
	rows := []convRow{
		{name: "in_table", args: "t", in: Str, out: Bool, get: func(x *Ctx, a *args, v Value) (Value, bool) {
			_, found := factsOf(x, a, v)
			return BoolValue(found), true
		}},
		{name: "table_trackers", args: "t", in: Str, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
			f, _ := factsOf(x, a, v)
			return IntValue(int64(f.Trackers)), true
		}},
		{name: "table_expire", args: "ti?", in: Str, out: Int, get: timeOf(func(f stick.Facts) int64 { return f.Expire })},
		{name: "table_idle", args: "ti?", in: Str, out: Int, get: timeOf(func(f stick.Facts) int64 { return f.Idle })},
	}
	for _, r := range readings {
		rows = append(rows, convRow{name: "table_" + r.conv, args: "t", in: Str, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
			t := a.table.Table
			if t == nil || !t.Stores[r.data] {
				return Value{}, false
			}
			key, ok := x.TableKey(t, v)
			if !ok {
				return IntValue(0), true
			}
			n, _ := t.GetKey(key, r.data, x.Now)
			return IntValue(int64(n >> r.shift)), true
		}})
	}
	for _, r := range arrayReadings {
		rows = append(rows, convRow{name: "table_" + strings.TrimPrefix(r.name, "get_"), args: "it", in: Str, out: Int, get: ofEntry(func(t target, x *Ctx, a *args) (uint64, bool) {
			d, ok := r.data(a.n[0])
			if !ok {
				return 0, false
			}
			return r.get(t, x, a.n[0], d)
		})})
	}
	for _, g := range gpcs {
		rows = append(rows,
			convRow{name: "table_inc_" + g.name, args: "t", in: Str, out: Int, get: ofEntry(func(t target, x *Ctx, _ *args) (uint64, bool) { return increment(&t, x, g.cnt, g.rate) })},
			convRow{name: "table_clr_" + g.name, args: "t", in: Str, out: Int, get: ofEntry(func(t target, x *Ctx, _ *args) (uint64, bool) { return t.clear(g.cnt, x.Now) })})
	}
	return rows
}

// ofEntry gives what is made of a sample's entry.
func ofEntry(get func(t target, x *Ctx, a *args) (uint64, bool)) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		t := a.table.Table
		if t == nil {
			return Value{}, false
		}
		key, ok := x.TableKey(t, v)
		if !ok {
			return IntValue(0), true
		}
		n, ok := get(target{table: t, key: key}, x, a)
		return IntValue(int64(n)), ok
	}
}

func factsOf(x *Ctx, a *args, v Value) (stick.Facts, bool) {
	t := a.table.Table
	if t == nil {
		return stick.Facts{}, false
	}
	key, ok := x.TableKey(t, v)
	if !ok {
		return stick.Facts{}, false
	}
	return t.FactsKey(key, x.Now)
}

// timeOf gives a time; without an entry the default that the second argument
// names, or nothing.
func timeOf(get func(stick.Facts) int64) func(x *Ctx, a *args, v Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		f, found := factsOf(x, a, v)
		if !found {
			return IntValue(a.n[1]), a.len > 1
		}
		return IntValue(get(f)), true
	}
}
