package control

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"time"
)

// Profiles are Go's, for `go tool pprof`: they say how long which function ran, or what has allocated memory, and hold no data of clients.

// profiler keeps the CPU profile. The Go runtime makes one at a time.
type profiler struct {
	mu sync.Mutex
	// mu guards the fields below.
	on    bool
	since time.Time
	limit *time.Timer
	text  bytes.Buffer // of the profile that is made, once it has ended
	done  []byte       // the last one
	took  time.Duration
}

// longestProfile ends a profile that nobody ends: what it has gathered is in memory.
const longestProfile = 10 * time.Minute

// profiling is the process's, whichever socket asks: so is the runtime's.
var profiling profiler

// start begins a profile; one that is being made goes on.
func (p *profiler) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		return nil
	}
	p.text.Reset()
	if err := pprof.StartCPUProfile(&p.text); err != nil {
		return err
	}
	p.on, p.since, p.limit = true, time.Now(), time.AfterFunc(longestProfile, p.stop)
	return nil
}

// stop ends the profile and keeps it.
func (p *profiler) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return
	}
	p.limit.Stop()
	pprof.StopCPUProfile()
	p.on, p.done, p.took = false, bytes.Clone(p.text.Bytes()), time.Since(p.since)
}

// state is whether a profile is being made, and the last one.
func (p *profiler) state() (on bool, done []byte, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on, p.done, p.took
}

func onOrOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// memoryRate is one sample for so many bytes, as Go has it by itself.
const memoryRate = 512 << 10

// setProfiling begins and ends what is shown by `show profiling`.
func setProfiling(c *session, args []string) {
	what, how := word(args, 0), word(args, 1)
	switch what {
	case "tasks":
		switch how {
		case "on":
			if err := profiling.start(); err != nil {
				c.fail(err.Error() + ".")
			}
		case "auto", "off": // nothing here begins one by itself
			profiling.stop()
		default:
			c.fail("Expects 'on', 'auto', or 'off'.")
		}
	case "memory":
		switch how {
		case "on":
			runtime.MemProfileRate = memoryRate
		case "off":
			runtime.MemProfileRate = 0
		default:
			c.fail("Expects either 'on' or 'off'.")
		}
	default:
		c.fail("Expects either 'tasks' or 'memory'.")
	}
}

// showProfiling shows what is profiled, or a profile: base64 of what `go tool pprof` reads.
func showProfiling(c *session, args []string) {
	on, done, took := profiling.state()
	switch {
	case slices.Contains(args, "tasks"):
		if on || done == nil {
			c.fail("There is no profile yet: `set profiling tasks on` begins one, and `off` ends it.")
			return
		}
		c.base64(done)
	case slices.Contains(args, "memory"):
		var b bytes.Buffer
		if err := pprof.Lookup("allocs").WriteTo(&b, 0); err != nil {
			c.fail(err.Error() + ".")
			return
		}
		c.base64(b.Bytes())
	default:
		c.say(fmt.Sprintf("Per-task CPU profiling              : %-7s # set profiling tasks {on|auto|off}", onOrOff(on)))
		c.say(fmt.Sprintf("Memory usage profiling              : %-7s # set profiling memory {on|off}", onOrOff(runtime.MemProfileRate > 0)))
		if done != nil {
			c.say(fmt.Sprintf("Last CPU profile                    : %.1fs of it; show profiling tasks | base64 -d >cpu.pprof; go tool pprof cpu.pprof", took.Seconds()))
		}
	}
}

// base64 answers with bytes, in lines.
func (c *session) base64(b []byte) {
	const perLine = 57 // 76 characters
	for part := range slices.Chunk(b, perLine) {
		c.say(base64.StdEncoding.EncodeToString(part))
	}
}
