package stream

import "lbsyslogd/lb/http2"

// What a client may have an HTTP/2 connection do for nothing. Each allowance
// fills with time, and with the bytes of bodies that the connection moves: who
// measures a download with PINGs, or gives windows back in small pieces, moves
// something.

// allowance is one of them. The zero value is full.
type allowance struct {
	spent int64
	at    int64 // ms: time is accounted for until then
	moved int64 // and bytes until then
}

// terms say how much an allowance has.
type terms struct {
	burst int64 // at once
	rate  int64 // more each second
	worth int64 // bytes moved that are worth one
	bank  int64 // most that bytes add beyond burst: their frames come back later
}

// left is what of an allowance is spent at the given time, with so many bytes
// moved so far.
func (a *allowance) left(t terms, now, moved int64) int64 {
	was := *a
	if was.spend(t, now, moved) {
		was.spent--
	}
	return was.spent
}

// worthOfData is what a DATA frame counts besides its bytes against frames that
// move nothing.
const worthOfData = 256

var (
	// Requests that a client takes back, or has us break off: each costs a server
	// something. A page with a hundred images may be left a few times in a row.
	resetTerms = terms{burst: 600, rate: 100, worth: 64 << 10}
	// Frames that move nothing themselves: each costs us next to nothing. A DATA
	// frame is worth some, however small it is, as its windows are given back.
	idleTerms = terms{burst: 2000, rate: 2000, worth: 64, bank: 16_000}
)

// spend takes one, at the given time and with so many bytes moved so far; false
// when none is left.
func (a *allowance) spend(t terms, now, moved int64) bool {
	if since := now - a.at; since > 0 {
		a.spent -= min(min(since, 1000)*t.rate/1000, max(a.spent, 0))
		a.at = now
	}
	if n := (moved - a.moved) / t.worth; n > 0 {
		a.spent = max(a.spent-n, -t.bank)
		a.moved += n * t.worth
	}
	if a.spent >= t.burst {
		return false
	}
	a.spent++
	return true
}

// idle counts a frame that moves nothing; too many of them are an attack.
func (m *mux) idle() *http2.Error {
	if !m.idles.spend(idleTerms, m.s.sh.Loop.Now(), m.moved+worthOfData*m.datas) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many frames without content"}
	}
	return nil
}

// takenBack counts a request that the client takes back, or has us break off
// with a frame that must not be: the work for it is done in vain either way.
func (m *mux) takenBack() *http2.Error {
	if !m.resets.spend(resetTerms, m.s.sh.Loop.Now(), m.moved) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many requests taken back"}
	}
	return nil
}
