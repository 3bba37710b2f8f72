package stream

import (
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stats"
)

// FrontCounters is what one shard counts of one frontend. Like all counters,
// owned by the loop; Shard.Read gives a copy.
type FrontCounters struct {
	stats.Counters
	Conns, Requests stats.Rate
	Latency         stats.Latency  // response and total times
	Open            stats.OpenHTTP // of HTTP/1 only streams; what else is open are the sessions

	// What a trial is judged by, besides answers. Clients that leave are nobody's failure.
	Unshaken uint64 // TLS handshakes that failed while the client was there
	Unserved uint64 // mode tcp: connections that got no server
}

// accepted counts a connection; it becomes a session when rules have let it in, and TLS is agreed on.
func (c *FrontCounters) accepted(ms int64) {
	c.ConnTotal++
	c.Conns.Add(ms, 1)
}

func (c *FrontCounters) request(ms int64, t *txn) {
	c.ReqTotal++
	if t.h1 {
		c.H1.Streams++
	}
	c.Requests.Add(ms, 1)
}

// ServerCounters is what one shard counts of one server, or of one backend.
type ServerCounters struct {
	stats.Counters
	Sessions stats.Rate
	Times    [4]stats.Average // queue, connect, response, total; ms
	Latency  stats.Latency
	LastMs   int64 // last session, on the loop's clock; 0 never
}

func (c *ServerCounters) session(ms int64) {
	c.SessTotal++
	c.Sessions.Add(ms, 1)
	c.LastMs = max(ms, 1)
}

func (c *ServerCounters) times(r *sample.Record) {
	for i, v := range [4]int32{r.Tw, r.Tc, r.Tr, r.Tt} {
		if v >= 0 {
			c.Times[i].Add(uint32(v)) // HAProxy's averages: the last one has the wait for the request in it
		}
	}
	for i, v := range [4]int32{r.Tw, r.Tc, r.Tr, r.Ta} {
		if v >= 0 {
			c.Latency.Add(stats.Timing(i), uint32(v))
		}
	}
}

// times counts how long the client waited, and of that how long for a server.
func (c *FrontCounters) times(r *sample.Record) {
	if r.Tr >= 0 {
		c.Latency.Add(stats.ResponseTime, uint32(r.Tr))
	}
	if r.Ta >= 0 {
		c.Latency.Add(stats.TotalTime, uint32(r.Ta))
	}
}

// gave counts bytes that the server was given.
func (t *txn) gave(n int) {
	sh := t.s.sh
	sh.Server[t.srv.Index].BytesIn += uint64(n)
	if t.s.http && t.c.stream == nil {
		sh.Back[t.be.Index].H1.Out += uint64(n)
	}
}

// took counts bytes that the server has sent.
func (t *txn) took(n int) {
	sh := t.s.sh
	sh.Server[t.srv.Index].BytesOut += uint64(n)
	if t.s.http && t.c.stream == nil {
		sh.Back[t.be.Index].H1.In += uint64(n)
	}
}

// countStatus counts the answer that the client got by its class; what the
// server said is counted when it says it.
func (sh *Shard) countStatus(t *txn) {
	sh.Front[t.s.fe.Index].CountStatus(t.rec.Status)
	if t.entered {
		sh.Back[t.be.Index].CountStatus(t.rec.Status)
	}
}

// denied counts a request that rules deny, for the frontend wherever the rule
// stands, and for the backend if it was there.
func (t *txn) denied() {
	t.s.sh.Front[t.s.fe.Index].DeniedReq++
	if t.entered {
		t.s.sh.Back[t.be.Index].DeniedReq++
	}
}

// deniedAnswer counts a server's answer that rules deny.
func (t *txn) deniedAnswer() {
	t.s.sh.Front[t.s.fe.Index].DeniedResp++
	t.countServer(func(c *ServerCounters) { c.DeniedResp++ })
}

// intercepted counts a request that the frontend answers itself.
func (t *txn) intercepted() {
	if t.be == nil || t.be.ID == t.s.fe.ID {
		t.s.sh.Front[t.s.fe.Index].Intercepted++
	}
}

// PoolState is what one shard has of connections to a server.
type PoolState struct {
	Idle  int // for anybody
	Fresh int // of these: have served one request
	Need  int // most that were used at once of late
	Open  stats.OpenHTTP
}

// Merge adds another loop's.
func (p *PoolState) Merge(o PoolState) {
	p.Idle += o.Idle
	p.Fresh += o.Fresh
	p.Need += o.Need
	p.Open.Merge(o.Open)
}

// poolState is what there is of one server.
func (sh *Shard) poolState(i int) PoolState {
	p := &sh.pools[i]
	s := PoolState{Idle: p.idle(), Fresh: p.fresh, Need: p.need, Open: stats.OpenHTTP{H1Streams: p.used}}
	if i < len(sh.links) {
		for _, l := range sh.links[i] {
			s.Open.H2Conns++
			s.Open.H2Streams += l.Streams()
			if l.as == asUsed {
				s.Open.H1Streams--
			}
		}
	}
	s.Open.H1Conns = p.len + p.owned + s.Open.H1Streams
	return s
}

// Counters is a copy of all that one shard counts.
type Counters struct {
	NowMs  int64
	Front  []FrontCounters
	Back   []ServerCounters
	Server []ServerCounters
	Pools  []PoolState // by server index

	DroppedLogs uint64
}

// readPart is how many rows the loop copies in one turn: with thousands of servers
// a copy of all would keep requests waiting.
const readPart = 500

// Read copies the shard's counters, each part of the rows as it is at one moment.
// Not from a loop. Once the loop has ended there is nothing to read.
func (sh *Shard) Read() (c Counters) {
	front, back, server := make([]FrontCounters, len(sh.Front)), make([]ServerCounters, len(sh.Back)), make([]ServerCounters, len(sh.Server))
	pools := make([]PoolState, len(sh.pools))
	ok := sh.Loop.Call(func() {
		c.NowMs = sh.Loop.Now()
		for _, s := range sh.senders {
			c.DroppedLogs += s.Dropped()
		}
		for i := range pools {
			pools[i] = sh.poolState(i)
		}
		readFront(front, sh.Front)
		if len(back)+len(server) <= readPart {
			readServers(back, sh.Back)
			readServers(server, sh.Server)
		}
	})
	if ok && len(back)+len(server) > readPart {
		ok = sh.readParts(back, sh.Back) && sh.readParts(server, sh.Server)
	}
	if ok {
		c.Front, c.Back, c.Server, c.Pools = front, back, server, pools
	}
	return c
}

// readParts copies rows in several turns of the loop; false when it has ended.
func (sh *Shard) readParts(to, from []ServerCounters) bool {
	for at := 0; at < len(from); at += readPart {
		end := min(at+readPart, len(from))
		if !sh.Loop.Call(func() { readServers(to[at:end], from[at:end]) }) {
			return false
		}
	}
	return true
}

func readFront(to, from []FrontCounters) {
	for i := range to {
		to[i] = from[i]
		to[i].Latency = from[i].Latency.Clone()
	}
}

func readServers(to, from []ServerCounters) {
	for i := range to {
		to[i] = from[i]
		to[i].Latency = from[i].Latency.Clone()
	}
}

// Clear sets the shard's maxima, or all its counters, to zero.
func (sh *Shard) Clear(all bool) {
	sh.Loop.Call(func() {
		for i := range sh.Front {
			c := &sh.Front[i]
			if all {
				*c = FrontCounters{Open: c.Open}
			}
			c.Conns.Max, c.Requests.Max = 0, 0
		}
		for _, list := range [][]ServerCounters{sh.Back, sh.Server} {
			for i := range list {
				if all {
					list[i] = ServerCounters{}
				}
				list[i].clearMax()
			}
		}
	})
}

func (c *ServerCounters) clearMax() {
	c.Sessions.Max = 0
	for i := range c.Times {
		c.Times[i].Max = 0
	}
}
