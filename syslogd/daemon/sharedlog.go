package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A sharedLog is the log of an output that has many files: what happens to one, a full disk, usually happens to all, and each of a thousand files would say so.
// Of what is the same but for the file, one is logged a minute, with how many others said it since the last one. Status has all of them.
type sharedLog struct {
	slog.Handler
	said *said
}

// said is what the files have said lately.
type said struct {
	now func() time.Time

	// mu guards the field below.
	mu   sync.Mutex
	last map[string]*text
}

// text is one thing that they say.
type text struct {
	at     time.Time
	others int // since then
}

const (
	// logPause is for how long the same is not logged again.
	logPause = time.Minute
	// mostTexts bounds what is remembered.
	mostTexts = 200
)

func newSharedLog(log *slog.Logger) *slog.Logger {
	return slog.New(&sharedLog{log.Handler(), &said{now: time.Now, last: make(map[string]*text)}})
}

// Handle implements slog.Handler.
func (c *sharedLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return c.Handler.Handle(ctx, r)
	}
	others, say := c.said.note(sameness(r))
	if !say {
		return nil
	}
	if others > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("other_files", others))
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c *sharedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sharedLog{c.Handler.WithAttrs(attrs), c.said}
}

// WithGroup implements slog.Handler.
func (c *sharedLog) WithGroup(name string) slog.Handler {
	return &sharedLog{c.Handler.WithGroup(name), c.said}
}

// sameness is what a record says but for the path in it, and the cause at the end of its error.
func sameness(r slog.Record) string {
	text, _, _ := strings.Cut(r.Message, "/")
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			cause := a.Value.String()
			text += cause[strings.LastIndexByte(cause, ':')+1:]
		}
		return true
	})
	return text
}

// note says whether to log it now, and how many others said it since it was logged.
func (s *said) note(what string) (others int, say bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.last[what]
	if v != nil && now.Sub(v.at) < logPause && !now.Before(v.at) {
		v.others++
		return 0, false
	}
	if v == nil {
		if len(s.last) >= mostTexts {
			clear(s.last)
		}
		v = new(text)
		s.last[what] = v
	}
	others, v.others, v.at = v.others, 0, now
	return others, true
}
