// Package stream carries requests: client connections, server connections and
// the exchange between them, on the event loops of package loop.
//
//  1. A Listener accepts and makes a session (session.go).
//  2. The session reads a request head, or in TCP mode nothing (request.go).
//  3. Rules, switching and balancing choose what answers (route.go): an answer
//     of our own (reply.go), or a server. Rules run once; the head for the server
//     is rendered then and kept (asked.go). They can wait for a body (await.go) or an agent
//     (offload.go).
//  4. A server connection is taken from the idle ones (idle.go) or opened;
//     failures are retried (connect.go). A request that waits for a place holds
//     memory of its own size (budget.go).
//  5. Bytes flow both ways with backpressure (forward.go). The server's head is
//     read by what it was asked, and the client's written by what is said
//     (response.go); the body goes from one framing to the other (body.go). A
//     tunnel is the same without framing; compression is in pack.go. What cannot be read is kept (bad.go).
//     What rules count in stick tables meanwhile is in track.go.
//  6. The exchange ends: log line, counters, and both connections are kept or
//     closed (finish.go).
//
// A connection to a server that speaks HTTP/2 is a link, whose streams are
// server connections of their own (link.go, lb/h2client).
//
// An HTTP/2 connection is a session whose streams are sessions of their own
// (mux.go, muxframe.go, muxstream.go; allowance.go has what it may do for nothing).
//
// Each loop has a Shard, which owns its sessions, idle server connections and
// counters; nothing of it is locked. Shards meet in backend.Backend and in a
// few atomic counts of the Engine.
//
// Size: a session, its exchange and its HTTP/2 connection are one state machine
// on one loop, and each file has one concern of it. Parts of their own would have
// to share all of its state: what could be parted is in lb/wire, lb/http1,
// lb/http2, lb/backend and lb/rule.
package stream
