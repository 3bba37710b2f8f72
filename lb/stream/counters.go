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
	Latency         stats.Latency // response and total times
}

func (c *FrontCounters) accepted(ms int64) {
	c.SessTotal++
	c.ConnTotal++
	c.Conns.Add(ms, 1)
}

func (c *FrontCounters) request(ms int64) {
	c.ReqTotal++
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
			c.Times[i].Add(uint32(v))
			c.Latency.Add(stats.Timing(i), uint32(v))
		}
	}
}

// times counts how long the client waited, and of that how long for a server.
func (c *FrontCounters) times(r *sample.Record) {
	if r.Tr >= 0 {
		c.Latency.Add(stats.ResponseTime, uint32(r.Tr))
	}
	if r.Tt >= 0 {
		c.Latency.Add(stats.TotalTime, uint32(r.Tt))
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

// Counters is a copy of all that one shard counts.
type Counters struct {
	NowMs  int64
	Front  []FrontCounters
	Back   []ServerCounters
	Server []ServerCounters
	Idle   []int // idle connections by server index

	DroppedLogs uint64
}

// Read copies the shard's counters. Not from a loop.
func (sh *Shard) Read() (c Counters) {
	sh.Loop.Call(func() {
		c.NowMs = sh.Loop.Now()
		c.Front = append([]FrontCounters(nil), sh.Front...)
		c.Back = append([]ServerCounters(nil), sh.Back...)
		c.Server = append([]ServerCounters(nil), sh.Server...)
		for i := range c.Front {
			c.Front[i].Latency = c.Front[i].Latency.Clone()
		}
		for _, list := range [][]ServerCounters{c.Back, c.Server} {
			for i := range list {
				list[i].Latency = list[i].Latency.Clone()
			}
		}
		for i := range sh.pools {
			c.Idle = append(c.Idle, sh.pools[i].len)
		}
		for _, s := range sh.senders {
			c.DroppedLogs += s.Dropped()
		}
	})
	return c
}

// Clear sets the shard's maxima, or all its counters, to zero.
func (sh *Shard) Clear(all bool) {
	sh.Loop.Call(func() {
		for i := range sh.Front {
			c := &sh.Front[i]
			if all {
				*c = FrontCounters{}
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
