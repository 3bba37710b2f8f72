package succession

import (
	"slices"
	"sync"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
)

// rowCounts is what a worker counted for one row of `show stat`.
type rowCounts struct {
	Kind  stats.Kind     `json:"kind"`
	Proxy string         `json:"proxy"`
	Name  string         `json:"name,omitempty"`
	Count stats.Counters `json:"count,omitzero"`

	SessMax  int `json:"smax,omitempty"`
	QueueMax int `json:"qmax,omitempty"`
	RateMax  int `json:"rate_max,omitempty"`
	ReqMax   int `json:"req_rate_max,omitempty"`
	Downtime int `json:"downtime,omitempty"` // s, of workers that did not send it with the servers' state

	Times   [4]stats.Average `json:"times,omitzero"`
	Latency stats.Latency    `json:"latency,omitzero"`
	Last    int64            `json:"last,omitempty"` // Unix time of the last session, s; 0 none
}

// totals is what a worker counted for `show info`.
type totals struct {
	Conns, Requests, TLS, BytesOut, DroppedLogs uint64
}

// countsOf takes what was counted out of a row.
func countsOf(r *stats.Row) rowCounts {
	return rowCounts{
		Kind: r.Kind, Proxy: r.Proxy, Name: r.Name, Count: r.Counters, SessMax: r.SessMax, QueueMax: r.QueueMax,
		RateMax: r.SessRateMax, ReqMax: r.ReqRateMax, Downtime: r.Downtime, Times: r.Times, Latency: r.Latency, Last: lastOf(r),
	}
}

// isZero reports whether nothing was counted.
func (t *rowCounts) isZero() bool {
	return *t == rowCounts{Kind: t.Kind, Proxy: t.Proxy, Name: t.Name}
}

// addTo adds what was counted to a row.
func (t *rowCounts) addTo(r *stats.Row) {
	r.Counters.Merge(&t.Count)
	r.SessMax, r.QueueMax = max(r.SessMax, t.SessMax), max(r.QueueMax, t.QueueMax)
	r.SessRateMax, r.ReqRateMax = max(r.SessRateMax, t.RateMax), max(r.ReqRateMax, t.ReqMax)
	r.Downtime += t.Downtime
	times := r.Times
	for i := range times {
		times[i].Before(t.Times[i])
	}
	r.SetTimes(times)
	r.Latency.Merge(t.Latency)
	if ago := int(time.Now().Unix() - t.Last); t.Last > 0 && (r.LastSess < 0 || ago < r.LastSess) {
		r.LastSess = max(ago, 0)
	}
}

// forget takes out of a row what rowCounts has.
func forget(r *stats.Row) {
	r.Counters, r.SessMax, r.QueueMax, r.SessRateMax, r.ReqRateMax, r.Downtime = stats.Counters{}, 0, 0, 0, 0, 0
	r.SetTimes([4]stats.Average{})
	r.Latency = stats.Latency{}
	if r.Kind == stats.Backend || r.Kind == stats.Server {
		r.LastSess = -1
	}
}

// lastOf is when the last session of a row began, as Unix time in seconds.
func lastOf(r *stats.Row) int64 {
	if r.LastSess < 0 || r.Kind != stats.Backend && r.Kind != stats.Server {
		return 0
	}
	return time.Now().Unix() - int64(r.LastSess)
}

func totalsOf(in *stats.Info) *totals {
	return &totals{
		Conns: in.CumConns, Requests: in.CumReqs, TLS: in.CumSSLConns, BytesOut: in.TotalBytesOut,
		DroppedLogs: in.DroppedLogs,
	}
}

func (t *totals) addTo(in *stats.Info) {
	in.CumConns += t.Conns
	in.CumReqs += t.Requests
	in.CumSSLConns += t.TLS
	in.TotalBytesOut += t.BytesOut
	in.DroppedLogs += t.DroppedLogs
}

func forgetTotals(in *stats.Info) {
	in.CumConns, in.CumReqs, in.CumSSLConns, in.TotalBytesOut, in.DroppedLogs = 0, 0, 0, 0, 0
}

// counts are what some workers have counted: rows of which nothing was counted
// need not be there.
type counts struct {
	rows  map[rowKey]rowCounts
	total totals
}

// addTo adds the counts to a snapshot.
func (c *counts) addTo(s *stats.Snapshot) {
	for i := range s.Rows {
		r := &s.Rows[i]
		if b, ok := c.rows[rowKey{r.Kind, r.Proxy, r.Name}]; ok {
			b.addTo(r)
		}
	}
	c.total.addTo(&s.Info)
}

// before makes a row the sum of it and of what was counted before it.
func (c *counts) before(later *rowCounts) {
	if b, ok := c.rows[later.key()]; ok {
		b.Latency = b.Latency.Clone() // the sum is another one than what is kept here
		b.merge(later)
		*later = b
	}
}

// predecessors is what the workers before have counted, and which of them are left.
type predecessors struct {
	mu sync.Mutex
	// mu guards the fields below.
	counts // of workers that are gone
	living []*predecessor
	passed []*predecessor // the next worker counts them now; for the last answers here
	peers  []*predecessor // were the other worker of a trial, which goes on alone
	after  after          // what the next worker says of the load
}

// predecessor is an earlier worker that has connections left: its totals as
// far as it sent. Each message replaces the one before it.
type predecessor struct {
	link  *handoff.Conn
	ended chan struct{} // closed when nobody here reads from link any more, or writes to it

	told told

	// predecessors.mu guards the fields below.
	counts
	busy   map[*backend.Server]places
	spoke  time.Time // when its last message came
	silent bool      // that is long ago
	met    int       // how many workers it has introduced whose load is known
	sent   bool      // all that was counted before the worker here began to serve
	summed bool      // total has come
	stale  bool      // what it sends is from before a `clear counters` here
	peer   bool      // it is the other worker of a trial: what it counts is not passed on
	heir   bool      // and it was promoted
}

type rowKey struct {
	kind        stats.Kind
	proxy, name string
}

func (t *rowCounts) key() rowKey { return rowKey{t.Kind, t.Proxy, t.Name} }

// merge adds what a later worker counted for the same row.
func (t *rowCounts) merge(o *rowCounts) {
	t.Kind, t.Proxy, t.Name = o.Kind, o.Proxy, o.Name
	t.Count.Merge(&o.Count)
	t.SessMax, t.QueueMax = max(t.SessMax, o.SessMax), max(t.QueueMax, o.QueueMax)
	t.RateMax, t.ReqMax = max(t.RateMax, o.RateMax), max(t.ReqMax, o.ReqMax)
	t.Downtime += o.Downtime
	t.Last = max(t.Last, o.Last)
	t.Latency.Merge(o.Latency)
	for i, later := range o.Times {
		later.Before(t.Times[i])
		t.Times[i] = later
	}
}

func (t *totals) merge(o *totals) {
	t.Conns += o.Conns
	t.Requests += o.Requests
	t.TLS += o.TLS
	t.BytesOut += o.BytesOut
	t.DroppedLogs += o.DroppedLogs
}

// join adds an earlier worker, or the other one of a trial.
func (f *predecessors) join(link *handoff.Conn, peer bool) *predecessor {
	p := &predecessor{link: link, peer: peer, ended: make(chan struct{}), counts: counts{rows: map[rowKey]rowCounts{}}, busy: map[*backend.Server]places{}, told: told{others: map[*backend.Server]backend.Others{}}}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.spoke = time.Now()
	f.living = append(f.living, p)
	return p
}

// take notes what p sent; total comes with the last of its rows.
func (f *predecessors) take(p *predecessor, rows []rowCounts, total *totals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.sent, p.summed = p.sent || total != nil && !p.peer, p.summed || total != nil
	if p.stale {
		return
	}
	for _, r := range rows {
		p.rows[r.key()] = r
	}
	if total != nil {
		p.total = *total
	}
}

// cleared notes that p has cleared its counters too.
func (f *predecessors) cleared(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.stale = false
}

// complete reports whether every earlier worker has sent its counts or is gone: from then
// on the sums do not go back.
func (f *predecessors) complete() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !slices.ContainsFunc(f.living, func(p *predecessor) bool { return !p.sent })
}

// leave keeps what p counted when it is gone.
func (f *predecessors) leave(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.peers, p) {
		return // it counts for itself
	}
	f.living = slices.DeleteFunc(f.living, func(o *predecessor) bool { return o == p })
	f.sumAll(p)
	if p.peer && p.heir {
		f.passed = append(f.passed, p) // its own successor counts that
		return
	}
	if len(f.rows) == 0 { // as a rule it had counted for all before it
		f.rows, p.rows = p.rows, map[rowKey]rowCounts{}
	}
	for _, r := range p.rows {
		f.keep(r)
	}
	f.total.merge(&p.total)
}

// inherits notes that the other worker of a trial was promoted.
func (f *predecessors) inherits(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.heir = true
}

// keepCounts keeps what an earlier worker counted of which nothing more will be
// heard; total is nil if it did not come.
func (f *predecessors) keepCounts(rows []rowCounts, total *totals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rows {
		f.keep(r)
	}
	if total != nil {
		f.total.merge(total)
	}
}

// keep adds a row of a worker that is gone. mu is held.
func (f *predecessors) keep(r rowCounts) {
	if f.rows == nil {
		f.rows = map[rowKey]rowCounts{}
	}
	sum := f.rows[r.key()]
	sum.merge(&r)
	f.rows[r.key()] = sum
}

// first is one of the workers that are left; nil if there is none.
func (f *predecessors) first() *predecessor {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.living) == 0 {
		return nil
	}
	return f.living[0]
}

// release takes p out, with what it sent: another worker counts it from now
// on. total is nil as long as p has sent none. ok is false when p is gone
// already.
func (f *predecessors) release(p *predecessor) (rows []rowCounts, total *totals, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.living, p)
	if i < 0 {
		return nil, nil, false
	}
	f.living = slices.Delete(f.living, i, i+1)
	f.passed = append(f.passed, p)
	f.after.unmet = append(f.after.unmet, p)
	for _, r := range p.rows {
		rows = append(rows, r)
	}
	if p.sent {
		total = &p.total
	}
	return rows, total, true
}

// close ends the connections to the workers before, when this one ends.
func (f *predecessors) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range slices.Concat(f.living, f.peers) {
		p.link.Close()
	}
}

// add adds what was counted before to a snapshot of this worker: also what the
// workers that were passed on had counted until then, as the next worker may
// not show it yet.
func (f *predecessors) add(s *stats.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addTo(s)
	for _, p := range f.living {
		p.addTo(s)
	}
	for _, p := range f.passed {
		p.addTo(s)
	}
}

// addRow adds what was counted before to a row of this worker.
func (f *predecessors) addRow(r *rowCounts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before(r)
	for _, p := range f.living {
		if !p.peer {
			p.before(r)
		}
	}
}

func (f *predecessors) addTotals(t *totals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.merge(&f.total)
	for _, p := range f.living {
		if !p.peer {
			t.merge(&p.total)
		}
	}
}

// addPassedRow adds what the workers that were passed on had counted until
// then to a row.
func (f *predecessors) addPassedRow(r *rowCounts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.passed {
		p.before(r)
	}
}

func (f *predecessors) addPassedTotals(t *totals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.passed {
		t.merge(&p.total)
	}
}

// clear forgets the maxima, or all, and returns the workers before, which have
// to do the same: until they have, what they send does not count. Whoever is asked by
// another worker need not ask it in turn.
func (f *predecessors) clear(all, asked bool) (living []*predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clearRows(f.rows, all)
	for _, p := range f.living {
		clearRows(p.rows, all)
		if all {
			p.total = totals{}
		}
		if !p.peer || !asked {
			p.stale = true
			living = append(living, p)
		}
	}
	for _, p := range f.passed {
		clearRows(p.rows, all)
		if all {
			p.total = totals{}
		}
	}
	if all {
		f.total = totals{}
	}
	return living
}

func clearRows(rows map[rowKey]rowCounts, all bool) {
	for k, r := range rows {
		r.SessMax, r.QueueMax, r.RateMax, r.ReqMax = 0, 0, 0, 0
		for i := range r.Times {
			r.Times[i].Max = 0
		}
		rows[k] = r
	}
	if all {
		clear(rows)
	}
}

// lost counts a request that a killed worker had in flight.
func (f *predecessors) lost(frontend string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows == nil {
		f.rows = map[rowKey]rowCounts{}
	}
	k := rowKey{stats.Frontend, frontend, ""}
	row := f.rows[k]
	row.Kind, row.Proxy = stats.Frontend, frontend
	row.Count.InternalErrors++
	f.rows[k] = row
}
