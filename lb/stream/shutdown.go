package stream

import "lbsyslogd/lb/backend"

// CutServer ends all exchanges with a server now (on-marked-down
// shutdown-sessions and its like); who is what the log says of them: 'D' as
// the server went down, 'U' as a better one came up. It returns before they
// have ended.
func (e *Engine) CutServer(srv *backend.Server, who byte) {
	for _, sh := range e.Shards {
		sh.Loop.Post(func() { sh.cutServer(srv, who) })
	}
}

func (sh *Shard) cutServer(srv *backend.Server, who byte) {
	for s, next := sh.sessions.head.next, (*session)(nil); s != &sh.sessions.head; s = next {
		next = s.next
		if s.state == exchanging && s.t.srv == srv && s.t.c != nil && s.t.phase != phaseConnect {
			s.cut(who)
		}
	}
}
