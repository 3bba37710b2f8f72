package assemble

import (
	"context"
	"math"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// pulse measures once a second what no counter holds: rates of what only adds
// up, and how much of the time the process was idle.
type pulse struct {
	mu sync.Mutex
	// mu guards the fields below.
	last     stream.Pulse
	cpu      time.Duration
	idle     int // percent of the threads' time in the last second
	bytesOut uint64
	tls      peak
	front    peak // full handshakes with clients
	back     peak // and with servers
	memory   memory
	known    bool
}

// beat is how often is measured.
const beat = time.Second

// run measures until ctx ends.
func (p *pulse) run(ctx context.Context, eng *stream.Engine) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	p.measure(eng.Pulse(), cpuTime(), len(eng.Shards))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.measure(eng.Pulse(), cpuTime(), len(eng.Shards))
			eng.Compression.SetIdle(p.idlePercent())
			eng.KeepPaused()
		}
	}
}

// measure takes a sample in.
func (p *pulse) measure(now stream.Pulse, cpu time.Duration, threads int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wall := now.At.Sub(p.last.At)
	if p.known && wall > 0 {
		perSecond := func(now, before uint64) uint64 {
			if now < before { // clear counters all
				return 0
			}
			return uint64(float64(now-before)/wall.Seconds() + 0.5)
		}
		p.bytesOut = perSecond(now.BytesOut, p.last.BytesOut)
		p.tls.set(perSecond(now.TLSSessions, p.last.TLSSessions))
		p.front.set(perSecond(now.FrontKeys, p.last.FrontKeys))
		p.back.set(perSecond(now.BackKeys, p.last.BackKeys))
		busy := float64(cpu-p.cpu) / (float64(wall) * float64(max(threads, 1)))
		p.idle = min(max(int((1-busy)*100+0.5), 0), 100)
	} else {
		p.idle = 100
	}
	p.last, p.cpu, p.known = now, cpu, true
}

func (p *pulse) idlePercent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

// peak is a rate, and the highest there was.
type peak struct{ now, max int }

func (p *peak) set(n uint64) { p.now, p.max = int(n), max(p.max, int(n)) }

// reused is the share of this second's TLS connections that were resumed, in percent.
func (p *pulse) reused() int {
	if p.tls.now == 0 {
		return 0
	}
	return max(100-p.front.now*100/p.tls.now, 0)
}

// memory is what the runtime has of the system, and what of that is in use.
type memory [2]metrics.Sample

func (m *memory) read() (has, uses uint64) {
	m[0].Name, m[1].Name = "/memory/classes/total:bytes", "/memory/classes/heap/objects:bytes"
	metrics.Read(m[:])
	return m[0].Value.Uint64(), m[1].Value.Uint64()
}

// fill writes what was measured.
func (p *pulse) fill(in *stats.Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in.IdlePct, in.BytesOutRate, in.SSLRate, in.MaxSSLRate = p.idle, p.bytesOut, p.tls.now, p.tls.max
	in.SSLFrontKeyRate, in.SSLFrontMaxKeyRate, in.SSLFrontReusePct = p.front.now, p.front.max, p.reused()
	in.SSLBackKeyRate, in.SSLBackMaxKeyRate = p.back.now, p.back.max
	in.Pipes = p.last.Pipes
	in.Tasks, in.RunQueue = p.last.Sessions+p.last.IdleServers, p.last.Ready
	in.MemoryHas, in.MemoryUses = p.memory.read()
	if !p.known {
		in.IdlePct = 100
	}
}

// clear forgets the maxima.
func (p *pulse) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tls.max, p.front.max, p.back.max = 0, 0, 0
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// chronicle adds a point to the history every Step until ctx ends.
func (rt *Runtime) chronicle(ctx context.Context) {
	tick := time.NewTicker(stats.Step)
	defer tick.Stop()
	before, waits := rt.eng.Pulse(), rt.eng.Latency()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, all := rt.eng.Pulse(), rt.eng.Latency()
		rt.history.Add(point(before, now, all.Since(waits)))
		before, waits = now, all
	}
}

// point is what happened between two pulses.
func point(before, now stream.Pulse, waits stats.Latency) stats.Point {
	wall := max(now.At.Sub(before.At).Seconds(), 0.001)
	rate := func(now, before uint64) float64 {
		if now < before {
			before = 0 // clear counters all
		}
		return math.Round(float64(now-before)/wall*100) / 100
	}
	quantile := func(q float64) int {
		ms, ok := waits.Quantile(stats.TotalTime, q)
		if !ok {
			return -1
		}
		return int(math.Ceil(ms))
	}
	return stats.Point{
		At: now.At.Unix(), Requests: rate(now.Requests, before.Requests), Errors: rate(now.Errors, before.Errors),
		P50: quantile(0.5), P99: quantile(0.99), Conns: now.Conns,
	}
}

// figures are what this worker alone has counted, for the judgment of a trial. In
// mode tcp a session is an exchange, which has failed if no server took it; so has a
// TLS handshake that failed while its client was there.
func (rt *Runtime) figures() *handoff.Figures {
	f := &handoff.Figures{Bounds: stats.Bounds[:]}
	var waits stats.Latency
	for _, sh := range rt.eng.Shards {
		c := sh.Read()
		for i := range c.Front {
			r := &c.Front[i]
			f.Handshakes += r.Unshaken
			f.Unserved += r.Unserved
			if !rt.eng.Frontends[i].HTTP {
				f.Sessions += r.SessTotal
			}
			for class := range f.Answers {
				f.Answers[class] += r.Resp[class]
			}
			waits.Merge(r.Latency)
		}
	}
	f.Upto = waits.Cumulative(stats.TotalTime)
	return f
}
