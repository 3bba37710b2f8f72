package stream

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"
)

// What could not be read is kept, so that an operator can see what was wrong
// with it (`show errors`): of each frontend the last request, of each backend
// the last answer. The log has the reason as well (Record.Fault).

// BadMessage is a request or an answer that was refused. Immutable.
type BadMessage struct {
	Event    uint64 // numbers all of the process, from 0
	Time     time.Time
	Client   netip.AddrPort
	Frontend string
	Backend  string // "" for a request that had not come to one
	Server   string // "" the same
	Answer   bool   // the server's; else the client's request
	HTTP2    bool   // the client speaks HTTP/2; Bytes is what its frames were made to, or empty
	Reason   string
	Total    int    // bytes that were there
	At       int    // which of them is wrong
	From     int    // which of them Bytes begins with
	Bytes    []byte // at most maxBad around At
}

// maxBad bounds what is kept of one message: whoever sends nonsense has us copy
// it.
const maxBad = 4096

// Bad gives the messages that could not be read: of a frontend its last
// request, of a backend its last answer; nil where there was none. Safe for
// concurrent use.
func (fe *Frontend) Bad() *BadMessage { return fe.bad.Load() }

// Bad is the backend's; see Frontend.Bad.
func (be *Backend) Bad() *BadMessage { return be.bad.Load() }

// BadMessages is how many messages could not be read so far.
func (e *Engine) BadMessages() uint64 { return e.badEvents.Load() }

// bad is what was wrong with a message.
type bad struct {
	reason string
	bytes  []byte // all that is there; copied
	at     int
}

// keepBad fills m and publishes it.
func (e *Engine) keepBad(to *atomic.Pointer[BadMessage], m *BadMessage, b bad) {
	m.Event = e.badEvents.Add(1) - 1
	m.Reason, m.Total, m.At = b.reason, len(b.bytes), min(b.at, len(b.bytes))
	if m.At > maxBad-maxBad/4 {
		m.From = min(m.At-maxBad/2, max(len(b.bytes)-maxBad, 0))
	}
	m.Bytes = bytes.Clone(b.bytes[m.From:min(m.From+maxBad, len(b.bytes))])
	to.Store(m)
}

// badRequest keeps a request that could not be read, or a body.
func (t *txn) badRequest(b bad) {
	s := t.s
	t.rec.Fault = b.reason
	m := &BadMessage{Time: s.sh.Loop.Time(), Client: s.peer, Frontend: s.fe.Name, HTTP2: s.stream != nil}
	if t.be != nil {
		m.Backend = t.be.Proxy.Name
	}
	if t.srv != nil {
		m.Server = t.srv.Name
	}
	s.sh.eng.keepBad(&s.fe.bad, m, b)
}

// badAnswer keeps an answer that could not be read, or may not be passed on.
func (t *txn) badAnswer(b bad) {
	s := t.s
	t.rec.Fault = b.reason
	s.sh.eng.keepBad(&t.be.bad, &BadMessage{
		Time: s.sh.Loop.Time(), Client: s.peer, Frontend: s.fe.Name, Backend: t.be.Proxy.Name, Server: t.srv.Name,
		Answer: true, HTTP2: s.stream != nil,
	}, b)
}
