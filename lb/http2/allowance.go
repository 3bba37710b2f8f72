package http2

// Allowance is what a peer may have a connection do for nothing. It fills with
// time, and with the bytes of bodies that the connection moves: whoever measures a
// download with PINGs, or gives windows back in small pieces, moves something. The
// zero value is full.
type Allowance struct {
	Spent int64
	At    int64 // ms: time is accounted for until then
	moved int64 // and bytes until then
}

// Terms say how much an allowance has.
type Terms struct {
	Burst int64 // at once
	Rate  int64 // more each second
	Worth int64 // bytes moved that are worth one
	Bank  int64 // most that bytes add beyond Burst: their frames come back later
}

// WorthOfData is what a DATA frame counts, besides its bytes, against frames that
// move nothing: its windows are given back, however small it is.
const WorthOfData = 256

// WorthIdle is how many bytes moved are worth a frame that moves nothing.
const WorthIdle = 64

// KeptUp is how many bytes a peer that measures with PINGs may not have
// acknowledged when the next one comes: the answers to a dozen of them, over TLS.
// Whoever waits for the answers pays as much for each as we do, as for a request,
// and may have as many as there are round trips.
const KeptUp = 512

// Spend takes one, at the given time and with so many bytes moved so far; false
// when none is left.
func (a *Allowance) Spend(t Terms, now, moved int64) bool {
	if since := now - a.At; since > 0 {
		a.Spent -= min(min(since, 1000)*t.Rate/1000, max(a.Spent, 0))
		a.At = now
	}
	if n := (moved - a.moved) / t.Worth; n > 0 {
		a.Spent = max(a.Spent-n, -t.Bank)
		a.moved += n * t.Worth
	}
	if a.Spent >= t.Burst {
		return false
	}
	a.Spent++
	return true
}

// Left is what is spent at the given time, with so many bytes moved so far.
func (a *Allowance) Left(t Terms, now, moved int64) int64 {
	was := *a
	if was.Spend(t, now, moved) {
		was.Spent--
	}
	return was.Spent
}
