package stream

import (
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/loop"
)

// What a client may have an HTTP/2 connection do for nothing.

var (
	// Requests that a client takes back, or has us break off: each costs a server
	// something. A page with a hundred images may be left a few times in a row.
	resetTerms = http2.Terms{Burst: 600, Rate: 100, Worth: 64 << 10}
	// Frames that move nothing themselves: each costs us next to nothing.
	idleTerms = http2.Terms{Burst: 2000, Rate: 2000, Worth: http2.WorthIdle, Bank: 16_000}
)

// idle counts a frame that moves nothing; too many of them are an attack.
func (m *mux) idle() *http2.Error {
	if !m.idles.Spend(idleTerms, m.s.sh.Loop.Now(), m.moved+http2.WorthOfData*m.datas) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many frames without content"}
	}
	return nil
}

// paced reports whether a PING that comes now is one of a client that waits for
// the answers: no flood while a request runs. The kernel is asked only when PINGs have used up half of what
// anybody may send.
func (m *mux) paced() bool {
	return len(m.streams) > 0 && m.idles.Spent > idleTerms.Burst/2 && len(m.out)+loop.Unacknowledged(m.s.FD()) <= http2.KeptUp
}

// takenBack counts a request that the client takes back, or has us break off
// with a frame that must not be: the work for it is done in vain either way.
func (m *mux) takenBack() *http2.Error {
	if !m.resets.Spend(resetTerms, m.s.sh.Loop.Now(), m.moved) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many requests taken back"}
	}
	return nil
}
