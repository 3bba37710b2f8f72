package http2

// SendWindow is how much we may still send, on a stream or on a connection
// (section 6.9). That of a stream may fall below 0 when the peer makes the
// initial window smaller.
type SendWindow int64

// Update takes a WINDOW_UPDATE by n bytes.
func (w *SendWindow) Update(n int64) *Error {
	if n == 0 {
		return &Error{ProtocolError, "WINDOW_UPDATE by nothing"}
	}
	if *w += SendWindow(n); *w > MaxWindow {
		return &Error{FlowControlError, "WINDOW_UPDATE makes a window too large"}
	}
	return nil
}

// Shift follows INITIAL_WINDOW_SIZE, which changed by some bytes.
func (w *SendWindow) Shift(by int64) *Error {
	if *w += SendWindow(by); *w > MaxWindow {
		return &Error{FlowControlError, "INITIAL_WINDOW_SIZE makes a window too large"}
	}
	return nil
}

// RecvWindow is how much the peer may still send, on a stream or on a
// connection.
type RecvWindow struct {
	Left     int
	Consumed int // read, and not given back to the peer yet
}

// Take counts n bytes of DATA against a connection's window, padding included.
func (w *RecvWindow) Take(n int) *Error {
	if w.Left -= n; w.Left < 0 {
		return &Error{FlowControlError, "more DATA than the connection's window"}
	}
	return nil
}

// Give widens the window by what was consumed, which the caller is to tell the
// peer in a WINDOW_UPDATE.
func (w *RecvWindow) Give() (n int) {
	n = w.Consumed
	w.Left += n
	w.Consumed = 0
	return n
}
