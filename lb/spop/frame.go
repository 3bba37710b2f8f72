// Package spop speaks HAProxy's Stream Processing Offload Protocol, version 2.0,
// to agents: what a proxy wants to know of a request goes out in NOTIFY frames,
// and what the agent makes of it comes back in ACK frames (HAProxy's
// doc/SPOE.txt, section 3).
//
//  1. Message and its kin append what an agent is told (value.go).
//  2. Agent.Ask sends it over one of its connections, each of which began with a
//     HELLO of both sides (agent.go, conn.go).
//  3. The frame that answers is taken apart into Actions (frame.go).
package spop

import (
	"encoding/binary"
	"errors"
)

// Types of frames.
const (
	hello           = 1
	disconnect      = 2
	notify          = 3
	agentHello      = 101
	agentDisconnect = 102
	ack             = 103
)

// Flags of a frame.
const (
	flagFin   = 1
	flagAbort = 2
)

// Statuses of DISCONNECT frames.
const (
	statusNone       = 0
	statusIO         = 1
	statusTimeout    = 2
	statusTooBig     = 3
	statusInvalid    = 4
	statusNoVersion  = 5
	statusNoSize     = 6
	statusNoCaps     = 7
	statusBadVersion = 8
	statusBadSize    = 9
	statusUnknown    = 99
)

// reasons are HAProxy's words for statuses.
var reasons = [...]string{
	statusNone: "normal", statusIO: "I/O error", statusTimeout: "a timeout occurred", statusTooBig: "frame is too big", statusInvalid: "invalid frame received",
	statusNoVersion: "version value not found", statusNoSize: "max-frame-size value not found", statusNoCaps: "capabilities value not found",
	statusBadVersion: "unsupported version", statusBadSize: "max-frame-size too big or too small", 10: "fragmentation not supported",
	11: "invalid interlaced frames", 12: "frame-id not found (it does not match any referenced frame)", 13: "resource allocation error",
	statusUnknown: "an unknown error occurred",
}

var errFrame = errors.New("a frame that is not valid")

// frame is one frame without its length.
type frame struct {
	kind       byte
	flags      uint32
	stream, id uint64
	payload    []byte
}

// parseFrame reads a frame; its payload is a view of b.
func parseFrame(b []byte) (f frame, err error) {
	if len(b) < 5 {
		return f, errFrame
	}
	f.kind, f.flags = b[0], binary.BigEndian.Uint32(b[1:])
	r := reader{b: b[5:]}
	f.stream, f.id = r.varint(), r.varint()
	f.payload = r.b
	return f, r.err
}

// begin appends a frame up to its payload, with room for its length: end fills
// that in.
func begin(dst []byte, kind byte, stream, id uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, kind, 0, 0, 0, flagFin)
	return AppendVarint(AppendVarint(dst, stream), id)
}

func end(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// Scopes of variables.
var scopes = [...]string{"proc", "sess", "txn", "req", "res"}

// Action is what an agent wants of a variable.
type Action struct {
	Unset bool
	Scope string // proc, sess, txn, req or res
	Name  string
	Value Value
}

// parseActions reads the payload of an ACK.
func parseActions(b []byte) (list []Action, err error) {
	r := reader{b: b}
	for len(r.b) > 0 && r.err == nil {
		kind, args, scope := r.byte(), r.byte(), r.byte()
		if int(scope) >= len(scopes) || kind == 1 && args != 3 || kind == 2 && args != 2 || kind < 1 || kind > 2 {
			return nil, errFrame
		}
		a := Action{Unset: kind == 2, Scope: scopes[scope], Name: string(r.text())}
		if kind == 1 {
			a.Value = r.value()
		}
		if r.err == nil {
			list = append(list, a)
		}
	}
	return list, r.err
}

// parseList reads the key-value list of a HELLO or a DISCONNECT.
func parseList(b []byte) (map[string]Value, error) {
	r, list := reader{b: b}, map[string]Value{}
	for len(r.b) > 0 && r.err == nil {
		name := string(r.text())
		list[name] = r.value()
	}
	return list, r.err
}
