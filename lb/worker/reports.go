package worker

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"lbsyslogd/lb/event"
)

// reports tells the journal of trouble that loops meet, each text at most
// once a second: a thousand connections may meet the same.
type reports struct {
	logger *slog.Logger

	mu sync.Mutex
	// mu guards the fields below.
	last map[string]time.Time
}

// maxReports bounds the texts remembered.
const maxReports = 100

// report is stream.Engine.Report. The logger's write is left to a goroutine:
// a loop must not wait for stderr.
func (r *reports) report(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.logger == nil || time.Since(r.last[text]) < time.Second {
		return
	}
	if r.last == nil || len(r.last) >= maxReports {
		r.last = map[string]time.Time{}
	}
	r.last[text] = time.Now()
	var about []slog.Attr
	if strings.Contains(text, "LimitNOFILE") {
		about = append(about, event.FewFiles.Attr())
	}
	go r.logger.LogAttrs(context.Background(), slog.LevelWarn, text, about...)
}

// cpus is how many loops are run where nbthread is not set.
func cpus() int { return runtime.NumCPU() }
