// Package receive takes messages from sockets as fast as the kernel delivers them and counts those it had to drop.
//
// The way of a datagram:
//
//  1. the kernel queues it in the socket's buffer, which is as large as the kernel allows (socket.go),
//  2. a Reader takes up to some hundred with one recvmmsg (batch.go),
//  3. gives each to its Handler as a view of the buffer it arrived in, with the sender (sender.go),
//  4. ends the batch, upon which the Handler hands on what it made of it,
//  5. and gathers for a few milliseconds before the next recvmmsg when messages come thick, or waits when they do not (reader.go).
//
// A Stream does the same for TCP and TLS (stream.go), cutting messages from each connection by RFC 6587 (frame.go), or
// speaking RELP, whose clients hear of each message when it is written (relp.go).
package receive

import "time"

// A Handler makes something of messages. Each Reader and each connection has one of its own, so it needs no locks.
type Handler interface {
	// Begin starts a batch: every message of it arrived at about now.
	Begin(now time.Time)
	// Message takes one message. b is valid until Message returns. size is how large the message was when it was sent, which
	// is more than len(b) if it did not fit. A negative one is the size that was announced of a message that broke off: the rest never came.
	Message(from *Sender, b []byte, size int)
	// End ends the batch. No message stays in the Handler.
	End()
}

// A Chooser is a Handler that says whether anything depends on which address a message came from. Where nothing does, a Reader whose
// socket only this host can reach does not ask the kernel for it, which is a twentieth of what a message costs; all messages are then
// from the address where the socket listens.
type Chooser interface {
	NeedsAddress() bool
}
