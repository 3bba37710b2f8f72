package worker

import (
	"net"
	"os"

	"lbsyslogd/lb/handoff"
)

// Engine is what serves: the event loops with everything that hangs on them.
// Build makes one from a configuration and its sockets. The methods are called
// by one goroutine.
type Engine interface {
	// Start begins to accept. An error means that nothing was started.
	Start() error

	// Drain takes what the accept queues hold, stops accepting, closes the
	// listeners and finishes the connections politely. It returns at once.
	Drain()

	// Done is closed when nothing is left after Drain, or after Stop.
	Done() <-chan struct{}

	// Stop ends everything now and closes all that is open.
	Stop()

	// Pause stops accepting, or begins again. The listeners stay open.
	Pause(bool)

	// Successor introduces the process that will take over: it is given what it
	// asks for, and at Drain the connections. The engine owns the connection.
	Successor(next *handoff.Conn)

	// Succeeded reports whether there is a successor that listens.
	Succeeded() bool

	// Meet introduces a process that leaves, and that this one does not know. The
	// engine owns the connection.
	Meet(former *handoff.Conn)

	// Partner introduces a process that is on trial: it has back for its successor,
	// should the trial fail. The engine owns the connection.
	Partner(back *handoff.Conn)

	// Share has the successor, which is on trial, get that many of 10,000 new
	// connections. 0 ends the trial: there is no successor.
	Share(of int)

	// Promote ends the trial of this process: it serves all.
	Promote()

	// Flights is the memory that tells what was in flight should this process
	// be killed; nil if there is none. Its descriptor is the engine's.
	Flights() *os.File

	// LogLost logs what was in flight in a worker that was killed. It owns f.
	LogLost(f *os.File)

	// SetReloads takes over how the master's reloads went, for the metrics.
	SetReloads(handoff.Reloads)

	// Converse answers on a connection as on a stats socket of level admin. It
	// returns at once; the engine owns the connection.
	Converse(net.Conn)

	// Status tells what the engine does at the moment. It looks at every server.
	Status() Status

	// Clients is how many client connections are open, and how many the next
	// worker has taken. It costs next to nothing.
	Clients() (open, moved int64)
}

// Status is a moment of a worker's life, for show proc and lb status.
type Status = handoff.Status
