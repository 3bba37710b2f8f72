package sample

import (
	"strings"

	"lbsyslogd/lb/stick"
)

// convsTable look a sample up in a stick table. One that has no entry gives 0
// (HAProxy configuration manual, section 7.3.1), one that cannot be a key
// nothing.
var convsTable = tableConvs()

func tableConvs() []convRow {
	rows := []convRow{
		{name: "in_table", args: "t", in: Str, out: Bool, get: func(x *Ctx, a *args, v Value) (Value, bool) {
			_, found, ok := factsOf(x, a, v)
			return BoolValue(found), ok
		}},
		{name: "table_trackers", args: "t", in: Str, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
			f, _, ok := factsOf(x, a, v)
			return IntValue(int64(f.Trackers)), ok
		}},
		{name: "table_expire", args: "ti?", in: Str, out: Int, get: timeOf(func(f stick.Facts) int64 { return f.Expire })},
		{name: "table_idle", args: "ti?", in: Str, out: Int, get: timeOf(func(f stick.Facts) int64 { return f.Idle })},
	}
	for _, r := range readings {
		rows = append(rows, convRow{name: "table_" + r.conv, args: "t", in: Str, out: Int, get: ofEntry(func(t target, x *Ctx, _ *args) (uint64, bool) {
			n, ok := t.get(r.data, x.Now)
			return n >> r.shift, ok
		})})
	}
	for _, r := range arrayReadings {
		rows = append(rows, convRow{name: "table_" + strings.TrimPrefix(r.name, "get_"), args: "it", in: Str, out: Int, get: ofEntry(func(t target, x *Ctx, a *args) (uint64, bool) {
			return r.of(t, x, a.n[0])
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
			return Value{}, false
		}
		n, ok := get(target{table: t, key: key}, x, a)
		return IntValue(int64(n)), ok
	}
}

// factsOf are the facts of a sample's entry; ok is false where the sample
// cannot be a key.
func factsOf(x *Ctx, a *args, v Value) (f stick.Facts, found, ok bool) {
	t := a.table.Table
	if t == nil {
		return stick.Facts{}, false, false
	}
	key, ok := x.TableKey(t, v)
	if !ok {
		return stick.Facts{}, false, false
	}
	f, found = t.FactsKey(key, x.Now)
	return f, found, true
}

// timeOf gives a time; without an entry the default that the second argument
// names, or nothing.
func timeOf(get func(stick.Facts) int64) func(x *Ctx, a *args, v Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		f, found, ok := factsOf(x, a, v)
		if !found {
			return IntValue(a.n[1]), ok && a.len > 1
		}
		return IntValue(get(f)), true
	}
}
