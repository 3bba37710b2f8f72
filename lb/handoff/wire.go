package handoff

import (
	"fmt"
	"time"
)

// The words that a master and a worker exchange. A worker begins:
//
//	worker                      master
//	Wanted, in parts, with Facts ->
//	                            <- Sockets, in parts, or Refused
//	Ready                      ->
//	                            <- Drain, Stop, Pause, Resume, Ask, Successor
//	Leaving (answers Drain)    ->
//	Tell (answers Ask)         ->
//
// A master that finds a worker of a dead master begins with Adopt; the worker
// answers with its Facts and all its sockets, then goes on as if nothing had
// happened.
const (
	Wanted  = "wanted"
	Ready   = "ready"
	Leaving = "leaving"
	Tell    = "tell"
	Adopted = "adopted"

	// Gave names the sockets that a worker gave to another process (_getsocks).
	// Their paths are that one's now.
	Gave = "gave"

	Sockets = "sockets"
	Refused = "refused"
	Drain   = "drain"
	Stop    = "stop"
	Pause   = "pause"
	Resume  = "resume"
	Ask     = "ask"

	// Successor comes with one end of a connection whose other end the new
	// worker finds among its sockets, as Former: over it a worker gives its
	// state and its connections to the next.
	Successor = "successor"

	// Meet comes to the serving worker with one end of a connection to a worker
	// that leaves and is not known to it: the master found that one when it was too
	// late to take it over. That one gets the other end, with Successor and Spare.
	Meet = "meet"

	// A worker may be on trial alongside the one that serves (a canary). Partner comes
	// to the latter with one end of a connection whose other end the former finds
	// among its sockets, as Back. Share says how many of the new connections the
	// successor gets, and Promote that the trial is over and it serves all.
	Partner = "partner"
	Share   = "share"
	Promote = "promote"

	// Flights brings the memory in which a worker notes its requests in
	// flight. Should it be killed, its master gives that memory with LostFlights to
	// the worker that serves then, which logs what was lost.
	Flights     = "flights"
	LostFlights = "wreck" // the word of older builds

	// Snapshot brings an adopted worker's configuration, as it came with Wanted
	// to the former master.
	Snapshot = "snapshot"

	// Converse brings one end of a connection, on which the worker answers as on
	// its stats socket, to an administrator.
	Converse = "converse"

	// Story tells the serving worker how reloads went, for its metrics.
	Story = "story"
	Adopt = "adopt"
)

// Former names the connection to the worker before among the descriptors of a
// Sockets order. No socket has this name.
const Former = "@former"

// Back is the name of the connection over which a worker on trial gives back what it
// got, among the descriptors of a Sockets order.
const Back = "@back"

// Facts is what a master has to know about a worker and its configuration.
// The master never reads the configuration itself.
type Facts struct {
	Pid        int           `json:"pid"`
	Generation int           `json:"generation"`
	Reloads    int           `json:"reloads"`
	Version    string        `json:"version"`
	Started    time.Time     `json:"started"`
	Digest     string        `json:"digest,omitempty"` // of the configuration's text
	Pidfile    string        `json:"pidfile,omitempty"`
	HardStop   time.Duration `json:"hardstop,omitempty"` // hard-stop-after; 0: no bound
	Shares     bool          `json:"shares,omitempty"`   // it can share its new connections with a worker on trial
}

// BackendStatus is how many servers of a backend are up.
type BackendStatus struct {
	Name string `json:"name"`
	Up   int    `json:"up"`
	Of   int    `json:"of"`
}

// LogStatus is how many log lines a receiver was sent, and how many were lost
// because it did not take them.
type LogStatus struct {
	Target string `json:"target"`
	Sent   uint64 `json:"sent"`
	Lost   uint64 `json:"lost"`
}

// MaxTroubled is how many backends a Status names.
const MaxTroubled = 20

// Status is a moment of a worker's life, for show proc and lb status. The
// totals are those of all generations as far as they are known to it.
type Status struct {
	Connections int64 `json:"connections"` // client connections that are open
	Total       int64 `json:"total"`       // client connections so far
	Requests    int64 `json:"requests"`    // requests so far
	Moved       int64 `json:"moved"`       // client connections that the next worker has taken
	Draining    bool  `json:"draining,omitempty"`
	Backends    int   `json:"backends,omitempty"` // that have servers
	// Troubled are the backends of which not all servers are up, the worst first,
	// and at most MaxTroubled.
	Troubled []BackendStatus `json:"troubled,omitempty"`
	Trouble  int             `json:"trouble,omitempty"` // how many they are in all
	Detail   string          `json:"detail,omitempty"`
	// Logs is what this worker alone has sent to each receiver of log lines.
	Logs []LogStatus `json:"logs,omitempty"`
	// Own is what this worker alone has counted.
	Own *Figures `json:"own,omitempty"`
}

// Figures are what a trial is judged by. They only grow, unless an operator clears
// the counters.
type Figures struct {
	Answers    [6]uint64 `json:"answers"`    // to requests: 1xx, 2xx, ... 5xx, others
	Sessions   uint64    `json:"sessions"`   // in mode tcp
	Unserved   uint64    `json:"unserved"`   // of those: no server could be reached
	Handshakes uint64    `json:"handshakes"` // of TLS that failed while the client was there
	Bounds     []uint32  `json:"bounds"`     // of the buckets of Upto, ms
	Upto       []uint64  `json:"upto"`       // how many exchanges took no longer than each bound; the last one is all
}

// Report is a message from a worker.
type Report struct {
	Kind     string   `json:"kind"`
	Facts    *Facts   `json:"facts,omitempty"`
	Wants    []Want   `json:"wants,omitempty"`
	Names    []string `json:"names,omitempty"`    // of the descriptors that come along
	More     bool     `json:"more,omitempty"`     // the next message goes on
	Draining bool     `json:"draining,omitempty"` // with Adopted: it is leaving already
	Status   *Status  `json:"status,omitempty"`
	Text     string   `json:"text,omitempty"`
}

// Order is a message from the master.
type Order struct {
	Kind   string      `json:"kind"`
	Names  []string    `json:"names,omitempty"` // of the descriptors that come along
	More   bool        `json:"more,omitempty"`
	Errors []WantError `json:"errors,omitempty"`
	Story  *Reloads    `json:"story,omitempty"`
	Spare  bool        `json:"spare,omitempty"`  // with Successor: for a worker that has none
	Retire bool        `json:"retire,omitempty"` // with Drain: sockets are retired (Retire), wait until what has begun is in their queues
	Share  int         `json:"share,omitempty"`  // of 10,000 new connections; 0: the trial is over, and was no success
}

// WantError says why a wanted socket cannot be had.
type WantError struct {
	Where string `json:"where"` // "lb.cfg:12"
	Text  string `json:"text"`  // "0.0.0.0:80 is taken by nginx (pid 812)"
}

func (e WantError) Error() string {
	if e.Where == "" {
		return e.Text
	}
	return fmt.Sprintf("parsing [%s] : %s", e.Where, e.Text)
}

// Batch is how many wants or sockets go into one message, so that neither
// MaxMessage nor MaxFDs is reached: a want takes less than 600 bytes.
const Batch = 100

// Reloads is how the reloads of a master went.
type Reloads struct {
	Total    int       `json:"total"`  // that were tried
	Failed   int       `json:"failed"` // of them
	LastGood time.Time `json:"last_good"`
	Refused  string    `json:"refused,omitempty"` // why the last one failed, if it did
}
