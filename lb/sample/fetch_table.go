package sample

import (
	"fmt"

	"lbsyslogd/lb/stick"
)

// reading is one thing that can be read of an entry. Its fetches are named
// sc_NAME, sc0_NAME to sc2_NAME and src_NAME.
type reading struct {
	name  string
	conv  string // its converter: table_CONV
	data  stick.Data
	shift uint // kbytes_in counts in units of 1024
}

var readings = []reading{
	{"bytes_in_rate", "bytes_in_rate", stick.BytesInRate, 0},
	{"bytes_out_rate", "bytes_out_rate", stick.BytesOutRate, 0},
	{"conn_cnt", "conn_cnt", stick.ConnCnt, 0},
	{"conn_cur", "conn_cur", stick.ConnCur, 0},
	{"conn_rate", "conn_rate", stick.ConnRate, 0},
	{"get_gpc0", "gpc0", stick.GPC0, 0},
	{"get_gpc1", "gpc1", stick.GPC1, 0},
	{"get_gpt0", "gpt0", stick.GPT0, 0},
	{"gpc0_rate", "gpc0_rate", stick.GPC0Rate, 0},
	{"gpc1_rate", "gpc1_rate", stick.GPC1Rate, 0},
	{"http_err_cnt", "http_err_cnt", stick.HTTPErrCnt, 0},
	{"http_err_rate", "http_err_rate", stick.HTTPErrRate, 0},
	{"http_fail_cnt", "http_fail_cnt", stick.HTTPFailCnt, 0},
	{"http_fail_rate", "http_fail_rate", stick.HTTPFailRate, 0},
	{"http_req_cnt", "http_req_cnt", stick.HTTPReqCnt, 0},
	{"http_req_rate", "http_req_rate", stick.HTTPReqRate, 0},
	{"kbytes_in", "kbytes_in", stick.BytesInCnt, 10},
	{"kbytes_out", "kbytes_out", stick.BytesOutCnt, 10},
	{"sess_cnt", "sess_cnt", stick.SessCnt, 0},
	{"sess_rate", "sess_rate", stick.SessRate, 0},
	{"", "server_id", stick.ServerID, 0},
}

// steps are the fetches that change what they read.
var gpcs = []struct {
	name      string
	cnt, rate stick.Data
}{
	{"gpc0", stick.GPC0, stick.GPC0Rate},
	{"gpc1", stick.GPC1, stick.GPC1Rate},
}

// subject says whose entry a fetch is about.
type subject struct {
	prefix string
	args   string
	slot   int64 // of sc0_ to sc2_
	at     func(s *subject, x *Ctx, a *args) (target, bool)
}

// target is an entry: one that is held, or a key that may have one. There is
// made one to count in, unless only one that stands there counts.
type target struct {
	ref   stick.Ref
	table *stick.Table
	key   []byte
	only  bool
}

var subjects = []subject{
	{"sc_", "it?", 0, func(_ *subject, x *Ctx, a *args) (target, bool) { return heldEntry(x, a, a.n[0]) }},
	{"sc0_", "t?", 0, slotEntry},
	{"sc1_", "t?", 1, slotEntry},
	{"sc2_", "t?", 2, slotEntry},
	{"src_", "t?", 0, sourceEntry},
}

func slotEntry(s *subject, x *Ctx, a *args) (target, bool) { return heldEntry(x, a, s.slot) }

// heldEntry is a tracked entry; with a table, what stands under the same key
// there, if anything: as in HAProxy, counting makes no entry.
func heldEntry(x *Ctx, a *args, slot int64) (target, bool) {
	ref := x.Tracked(slot)
	if !ref.Valid() {
		return target{}, false
	}
	if a.table == nil {
		return target{ref: ref}, true
	}
	t := a.table.Table
	if t == nil || t.Type != ref.Table().Type {
		return target{}, false
	}
	x.key = ref.AppendKey(x.key[:0])
	return target{table: t, key: x.key, only: true}, true
}

// sourceEntry is the entry of the client's address.
func sourceEntry(_ *subject, x *Ctx, a *args) (target, bool) {
	t := a.table.Table
	if t == nil || !x.Rec.Client.IsValid() {
		return target{}, false
	}
	key, ok := x.TableKey(t, AddrValue(x.Rec.Client.Addr().Unmap()))
	return target{table: t, key: key}, ok
}

// get reads; a key without an entry reads as 0, whatever the table stores.
func (t *target) get(d stick.Data, now int64) (uint64, bool) {
	if t.table == nil {
		return t.ref.Get(d, now)
	}
	n, _ := t.table.GetKey(t.key, d, now)
	return n, t.table.Stores[d] || t.missing(now)
}

// missing reports whether it is a key without an entry.
func (t *target) missing(now int64) bool {
	if t.table == nil {
		return false
	}
	_, found := t.table.FactsKey(t.key, now)
	return !found
}

func (t *target) count(cnt, rate stick.Data, now int64) (uint64, bool) {
	if t.table == nil {
		return t.ref.Count(cnt, rate, 1, now)
	}
	if t.only && t.missing(now) {
		return 0, true
	}
	return t.table.CountKey(t.key, cnt, rate, 1, now)
}

func (t *target) clear(d stick.Data, now int64) (uint64, bool) {
	if t.table == nil {
		return t.ref.Set(d, 0, now)
	}
	n, _ := t.table.SetKey(t.key, d, 0, false, now)
	return n, t.table.Stores[d]
}

// fetchesTable are the fetches about stick tables (HAProxy configuration
// manual, section 7.3.3).
var fetchesTable = tableFetches()

func tableFetches() []fetchRow {
	var rows []fetchRow
	for i := range subjects {
		s := &subjects[i]
		add := func(name string, k Kind, get func(x *Ctx, a *args) (Value, bool)) {
			rows = append(rows, fetchRow{name: s.prefix + name, args: s.args, kind: k, where: Anywhere, get: get, check: s.check})
		}
		for _, r := range readings {
			if r.name != "" {
				add(r.name, Int, s.read(r))
			}
		}
		for _, r := range arrayReadings {
			rows = append(rows, fetchRow{name: s.prefix + r.name, args: "i" + s.args, kind: Int, where: Anywhere, get: s.element(r), check: s.checkElement})
		}
		for _, g := range gpcs {
			add("inc_"+g.name, Int, s.step(g.cnt, g.rate))
			add("clr_"+g.name, Int, s.clear(g.cnt))
		}
		if s.prefix != "src_" {
			add("tracked", Bool, s.isTracked)
			add("trackers", Int, s.trackers)
		}
	}
	return append(rows,
		fetchRow{name: "src_updt_conn_cnt", args: "t?", kind: Int, where: Anywhere, check: (&subject{prefix: "src_"}).check, get: func(x *Ctx, a *args) (Value, bool) {
			t, ok := sourceEntry(nil, x, a)
			if !ok {
				return Value{}, false
			}
			n, ok := t.count(stick.ConnCnt, stick.ConnCnt, x.Now) // as HAProxy: the rate is left alone
			return IntValue(int64(n)), ok
		}},
		fetchRow{name: "table_avl", args: "t?", kind: Int, where: Anywhere, check: ownTable, get: func(x *Ctx, a *args) (Value, bool) {
			if t := a.table.Table; t != nil {
				return IntValue(int64(t.Size - t.Used(x.Now))), true
			}
			return Value{}, false
		}},
		fetchRow{name: "table_cnt", args: "t?", kind: Int, where: Anywhere, check: ownTable, get: func(x *Ctx, a *args) (Value, bool) {
			if t := a.table.Table; t != nil {
				return IntValue(int64(t.Used(x.Now))), true
			}
			return Value{}, false
		}},
	)
}

// ownTable makes a missing table the one of the current proxy.
func ownTable(a *args) error {
	if a.table == nil {
		a.table = &TableRef{}
	}
	return nil
}

func (s *subject) check(a *args) error {
	switch s.prefix {
	case "src_":
		if err := ownTable(a); err != nil {
			return err
		}
		a.table.keyed, a.table.kind = true, Addr
	case "sc_":
		if a.n[0] < 0 || a.n[0] >= TrackSlots {
			return fmt.Errorf("there are counters 0 to %d, not %d", TrackSlots-1, a.n[0])
		}
	}
	return nil
}

func (s *subject) read(r reading) func(x *Ctx, a *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		t, ok := s.at(s, x, a)
		if !ok {
			return Value{}, false
		}
		n, ok := t.get(r.data, x.Now)
		return IntValue(int64(n >> r.shift)), ok
	}
}

// step counts one. Of what is not stored that gives 0, unlike to read it.
func (s *subject) step(cnt, rate stick.Data) func(x *Ctx, a *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		t, ok := s.at(s, x, a)
		if !ok {
			return Value{}, false
		}
		n, _ := increment(&t, x, cnt, rate)
		return IntValue(int64(n)), true
	}
}

func (s *subject) clear(cnt stick.Data) func(x *Ctx, a *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		t, ok := s.at(s, x, a)
		if !ok {
			return Value{}, false
		}
		n, ok := t.clear(cnt, x.Now)
		return IntValue(int64(n)), ok || t.missing(x.Now)
	}
}

// isTracked reports whether the counter tracks anything, whatever another table
// has under its key.
func (s *subject) isTracked(x *Ctx, a *args) (Value, bool) {
	slot := s.slot
	if s.prefix == "sc_" {
		slot = a.n[0]
	}
	return BoolValue(x.Tracked(slot).Valid()), true
}

func (s *subject) trackers(x *Ctx, a *args) (Value, bool) {
	t, ok := s.at(s, x, a)
	if !ok {
		return Value{}, false
	}
	if t.table == nil {
		return IntValue(int64(t.ref.Facts(x.Now).Trackers)), true
	}
	f, _ := t.table.FactsKey(t.key, x.Now)
	return IntValue(int64(f.Trackers)), true
}

// arrayReading is a fetch of an element of an array: its first argument says
// which.
type arrayReading struct {
	name string
	data func(int64) (stick.Data, bool)
	get  func(t target, x *Ctx, i int64, d stick.Data) (uint64, bool)
}

var arrayReadings = []arrayReading{
	{"get_gpc", stick.GPC, readElement},
	{"get_gpt", stick.GPT, readElement},
	{"gpc_rate", stick.GPCRate, readElement},
	{"clr_gpc", stick.GPC, clearElement},
	{"inc_gpc", stick.GPC, func(t target, x *Ctx, i int64, d stick.Data) (uint64, bool) {
		rate, _ := stick.GPCRate(i)
		return increment(&t, x, d, rate)
	}},
}

// of gives what it makes of an element, which may be more than a table can have.
func (r *arrayReading) of(t target, x *Ctx, i int64) (uint64, bool) {
	d, ok := r.data(i)
	if !ok {
		return 0, t.missing(x.Now)
	}
	return r.get(t, x, i, d)
}

func readElement(t target, x *Ctx, _ int64, d stick.Data) (uint64, bool)  { return t.get(d, x.Now) }
func clearElement(t target, x *Ctx, _ int64, d stick.Data) (uint64, bool) { return t.clear(d, x.Now) }

// increment counts one, but not when a request that was counted is evaluated again.
func increment(t *target, x *Ctx, cnt, rate stick.Data) (uint64, bool) {
	if x.Again {
		if t.table != nil && !t.table.Stores[cnt] {
			return 0, false
		}
		return t.get(cnt, x.Now)
	}
	return t.count(cnt, rate, x.Now)
}

// checkElement checks the arguments after the element's number.
func (s *subject) checkElement(a *args) error {
	if a.n[0] < 0 || a.n[0] > 99 {
		return fmt.Errorf("an array has the elements 0 to 99, not %d", a.n[0])
	}
	if s.prefix == "sc_" && (a.n[1] < 0 || a.n[1] >= TrackSlots) {
		return fmt.Errorf("there are counters 0 to %d, not %d", TrackSlots-1, a.n[1])
	}
	if s.prefix == "src_" {
		return s.check(a)
	}
	return nil
}

// element reads an element of an array.
func (s *subject) element(r arrayReading) func(x *Ctx, a *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		var t target
		var ok bool
		if s.prefix == "sc_" {
			t, ok = heldEntry(x, a, a.n[1])
		} else {
			t, ok = s.at(s, x, a)
		}
		if !ok {
			return Value{}, false
		}
		n, ok := r.of(t, x, a.n[0])
		return IntValue(int64(n)), ok || r.name == "inc_gpc" || t.missing(x.Now)
	}
}
