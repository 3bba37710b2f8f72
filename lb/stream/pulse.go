package stream

import (
	"time"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/stats"
)

// Pulse is what the engine has done and has at one instant: the few figures
// that are looked at every second, without the counters of all servers.
type Pulse struct {
	BytesOut, BytesIn     uint64
	Requests, Errors      uint64 // answers of the class 5xx are errors
	TLSSessions           uint64
	FrontKeys, BackKeys   uint64 // TLS handshakes that were not resumed
	Ready                 int    // handlers that the loops are to call again
	Sessions, IdleServers int
	Pipes                 stats.Pipes
	Conns                 int
	At                    time.Time
}

// Pulse asks every loop.
func (e *Engine) Pulse() Pulse {
	p := Pulse{Conns: e.Conns(), At: time.Now()}
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			for i := range sh.Front {
				c := &sh.Front[i]
				p.BytesOut += c.BytesOut
				p.BytesIn += c.BytesIn
				p.Requests += c.ReqTotal
				p.Errors += c.Resp[4]
				p.TLSSessions += c.SSLSessions
				p.FrontKeys += c.SSLSessions - c.SSLReused
			}
			for i := range sh.Back {
				p.BackKeys += sh.Back[i].SSLSessions - sh.Back[i].SSLReused
			}
			p.Ready += sh.Loop.Ready()
			p.Sessions += sh.sessions.len
			p.Pipes.PipesUsed += sh.Loop.Pipes.Lent()
			p.Pipes.PipesFree += sh.Loop.Pipes.Free()
			if !e.Limits.NoSplice && !sh.Loop.Pipes.Unable() {
				p.Pipes.MaxPipes += loop.MaxPipes
			}
			for i := range sh.pools {
				p.IdleServers += sh.pools[i].idle()
			}
		})
	}
	return p
}

// Latency is how long the exchanges of all frontends took.
func (e *Engine) Latency() (all stats.Latency) {
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			for i := range sh.Front {
				all.Merge(sh.Front[i].Latency)
			}
		})
	}
	return all
}
