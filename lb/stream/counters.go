package stream

import "lbsyslogd/lb/rule"

// perSecond counts events of the current and the previous second, which is
// enough to tell a rate as HAProxy does, and its highest value.
type perSecond struct {
	second    int64
	now, last uint32
	Max       uint32
}

func (p *perSecond) add(ms int64) {
	if sec := ms / 1000; sec != p.second {
		p.last = 0
		if sec == p.second+1 {
			p.last = p.now
		}
		p.second, p.now = sec, 0
	}
	p.now++
	p.Max = max(p.Max, p.now)
}

// Rate is the number of events in the second that ended at ms.
func (p *perSecond) Rate(ms int64) int {
	switch sec := ms / 1000; {
	case sec == p.second:
		return int(p.now) + int(uint64(p.last)*uint64(999-ms%1000)/1000)
	case sec == p.second+1:
		return int(uint64(p.now) * uint64(999-ms%1000) / 1000)
	}
	return 0
}

// Responses counts answers by their status class.
type Responses struct {
	Class [6]uint64 // index 1 to 5; 0 is everything else
}

func (r *Responses) count(status int) {
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	r.Class[class]++
}

// FrontCounters is what one shard counts of one frontend. Like all counters,
// owned by the loop; Shard.Read gives a copy.
type FrontCounters struct {
	Conns, Requests   uint64
	BytesIn, BytesOut uint64
	Denied            uint64
	RequestErrors     uint64
	Aborted           uint64
	Intercepted       uint64
	Responses
	ConnRate, RequestRate perSecond
}

func (c *FrontCounters) accepted(ms int64) {
	c.Conns++
	c.ConnRate.add(ms)
}

func (c *FrontCounters) request(ms int64) {
	c.Requests++
	c.RequestRate.add(ms)
}

// ServerCounters is what one shard counts of one server.
type ServerCounters struct {
	Sessions          uint64
	BytesIn, BytesOut uint64 // as seen from the server: from it, to it
	Connects, Reused  uint64
	ConnectErrors     uint64
	ResponseErrors    uint64
	Aborted           uint64 // by the server
	ClientAborts      uint64
	Retries           uint64
	Redispatched      uint64
	Responses
	Rate   perSecond
	LastMs int64 // last session, on the loop's clock; 0 never
	Averages
}

func (c *ServerCounters) session(ms int64) {
	c.Sessions++
	c.Rate.add(ms)
	c.LastMs = max(ms, 1)
}

// BackCounters is what one shard counts of one backend.
type BackCounters struct {
	ServerCounters
	DeniedRequests, DeniedResponses uint64
}

// Averages are sliding means over about the last 1024 exchanges, and maxima,
// of the queue, connect, response and total times, in ms.
type Averages struct {
	sum  [4]uint64 // means times averageWindow
	High [4]uint32
}

const averageWindow = 1024

func (a *Averages) times(r *rule.Record) {
	for i, v := range [4]int32{r.Tw, r.Tc, r.Tr, r.Tt} {
		if v < 0 {
			continue
		}
		a.sum[i] += uint64(v) - (a.sum[i]+averageWindow-1)/averageWindow
		a.High[i] = max(a.High[i], uint32(v))
	}
}

// Mean is the i-th mean: queue, connect, response, total.
func (a *Averages) Mean(i int) int { return int((a.sum[i] + averageWindow - 1) / averageWindow) }

// countStatus counts the exchange's answer by its class.
func (sh *Shard) countStatus(t *txn) {
	st := t.rec.Status
	sh.Front[t.s.fe.Index].Responses.count(st)
	if t.entered {
		sh.Back[t.be.Index].Responses.count(st)
	}
	if t.srv != nil {
		sh.Server[t.srv.Index].Responses.count(st)
	}
}

// Counters is a copy of all that one shard counts.
type Counters struct {
	NowMs   int64
	Front   []FrontCounters
	Back    []BackCounters
	Server  []ServerCounters
	Idle    []int // idle connections by server index
	Dropped uint64
	Logged  uint64
}

// Read copies the shard's counters. Not from a loop.
func (sh *Shard) Read() (c Counters) {
	sh.Loop.Call(func() {
		c.NowMs = sh.Loop.Now()
		c.Front = append([]FrontCounters(nil), sh.Front...)
		c.Back = append([]BackCounters(nil), sh.Back...)
		c.Server = append([]ServerCounters(nil), sh.Server...)
		for i := range sh.pools {
			c.Idle = append(c.Idle, sh.pools[i].len)
		}
		for _, s := range sh.senders {
			c.Dropped += s.Dropped()
			c.Logged += s.Sent()
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
			c.ConnRate.Max, c.RequestRate.Max = 0, 0
		}
		for i := range sh.Back {
			c := &sh.Back[i]
			if all {
				*c = BackCounters{}
			}
			c.Rate.Max, c.High = 0, [4]uint32{}
		}
		for i := range sh.Server {
			c := &sh.Server[i]
			if all {
				*c = ServerCounters{}
			}
			c.Rate.Max, c.High = 0, [4]uint32{}
		}
	})
}
