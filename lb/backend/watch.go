package backend

import "sync/atomic"

// Watch hears how a server's traffic fares (observe), and tells when there
// were too many errors in a row. Its methods are called from all loops; a nil
// Watch hears nothing.
type Watch struct {
	Layer7 bool // exchanges count, not connections alone
	Limit  int  // errors in a row
	// Tell is called after Limit errors in a row, and what the last one was. It
	// must not block.
	Tell func(errors int, last string)

	errors atomic.Int32
	told   atomic.Uint64
}

// What went wrong, in HAProxy's words.
const (
	ConnectError  = "L4 unsuccessful connection"
	WrongAnswer   = "Wrong http response"
	InvalidHead   = "Invalid http response (headers)"
	InvalidAnswer = "Invalid http response"
	ReadError     = "Read error (http)"
	ReadTimeout   = "Read timeout (http)"
	ServerClose   = "Close from server (http)"
)

// Connected reports a new connection that was made.
func (w *Watch) Connected() {
	if w != nil && !w.Layer7 {
		w.errors.Store(0)
	}
}

// ConnectFailed reports one that was not.
func (w *Watch) ConnectFailed() {
	if w != nil {
		w.fail(ConnectError)
	}
}

// Answered reports an answer with a status: those of a server that cannot do
// its work are errors.
func (w *Watch) Answered(status int) {
	switch {
	case w == nil || !w.Layer7:
	case status >= 500 && status != 501 && status != 505:
		w.fail(WrongAnswer)
	default:
		w.errors.Store(0)
	}
}

// Failed reports an exchange that the server broke.
func (w *Watch) Failed(why string) {
	if w != nil && w.Layer7 {
		w.fail(why)
	}
}

// Reset forgets the errors up to now: a check was good.
func (w *Watch) Reset() {
	if w != nil {
		w.errors.Store(0)
	}
}

// Told is how often Tell was called: failed health analyses.
func (w *Watch) Told() uint64 {
	if w == nil {
		return 0
	}
	return w.told.Load()
}

func (w *Watch) fail(why string) {
	if n := int(w.errors.Add(1)); n >= w.Limit {
		w.errors.Store(0)
		w.told.Add(1)
		w.Tell(n, why)
	}
}
