package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"lbsyslogd/lb/event"
)

// reports tells the journal of trouble that loops meet: a text at once, and
// then at most once in pause, with how often it came. A thousand connections
// may meet the same.
type reports struct {
	logger *slog.Logger

	mu sync.Mutex
	// mu guards the field below.
	told map[string]*told
}

// told is one text.
type told struct {
	last  time.Time
	again int // since then
}

const (
	pause      = time.Minute
	maxReports = 100 // bounds the texts remembered
)

// report is stream.Engine.Report. The logger's write is left to a goroutine:
// a loop must not wait for stderr.
func (r *reports) report(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.logger == nil {
		return
	}
	if r.told == nil || len(r.told) >= maxReports {
		r.told = map[string]*told{}
	}
	t := r.told[text]
	if t == nil {
		t = new(told)
		r.told[text] = t
	} else if time.Since(t.last) < pause {
		t.again++
		return
	}
	line := text
	if t.again > 0 {
		line += fmt.Sprintf(" (and %d times more in the last %v)", t.again, time.Since(t.last).Round(time.Second))
	}
	t.last, t.again = time.Now(), 0
	var about []slog.Attr
	if strings.Contains(text, "LimitNOFILE") {
		about = append(about, event.FewFiles.Attr())
	}
	go r.logger.LogAttrs(context.Background(), slog.LevelWarn, line, about...)
}

// cpus is how many loops are run where nbthread is not set.
func cpus() int { return runtime.NumCPU() }
