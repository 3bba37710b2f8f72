package stream

import (
	"context"
	"time"

	"lbsyslogd/lb/backend"
)

// The end of what has no time left: hard-stop-after, a stop at once.

// lastAnswer bounds how long Cut waits for the receiver of a batch to say what
// it took: one that is stuck must not hold up the end.
const lastAnswer = time.Second

// Cut ends all exchanges at once, each with its log line: here, or where the
// next process took it. What had not left for there yet is cut, too. Not from a
// loop.
func (e *Engine) Cut() {
	if !e.accepting.Load() && !e.drained.Load() {
		return // nothing was started
	}
	var answers []<-chan struct{}
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			if sh.mover != nil {
				answers = append(answers, sh.mover.recall())
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswer)
	defer cancel()
	for _, answered := range answers {
		select {
		case <-answered:
		case <-ctx.Done():
		}
	}
	for _, sh := range e.Shards {
		sh.Loop.Call(sh.cut)
	}
}

// cut ends the shard's exchanges. One that is on its way to the next worker,
// which has not answered, is logged there.
func (sh *Shard) cut() {
	for s, next := sh.sessions.head.next, (*session)(nil); s != &sh.sessions.head; s = next {
		next = s.next
		if s.state == exchanging {
			s.t.abort('K', s.t.phaseLetter())
		}
	}
}

// recall ends the handover. What was packed and not sent goes on here; the
// channel is closed when the receiver has answered for what was sent.
func (m *mover) recall() (answered <-chan struct{}) {
	m.dead = true
	m.settle(m.batch, make([]bool, len(m.batch)))
	m.batch, m.fds, m.size = nil, 0, 0
	m.sh.releaseMuxes()
	if m.quiet == nil {
		m.quiet = make(chan struct{})
		if !m.busy {
			close(m.quiet)
		}
	}
	return m.quiet
}

// CutServer ends all exchanges with a server now (on-marked-down
// shutdown-sessions and the like). The log names cause as what ended them: 'D',
// the server went down; 'U', a better one came up. It returns before they have
// ended.
func (e *Engine) CutServer(srv *backend.Server, cause byte) {
	for _, sh := range e.Shards {
		sh.Loop.Post(func() { sh.cutServer(srv, cause) })
	}
}

func (sh *Shard) cutServer(srv *backend.Server, cause byte) {
	for s, next := sh.sessions.head.next, (*session)(nil); s != &sh.sessions.head; s = next {
		next = s.next
		if s.state == exchanging && s.t.srv == srv && s.t.c != nil && s.t.phase != phaseConnect {
			s.cut(cause)
		}
	}
}
