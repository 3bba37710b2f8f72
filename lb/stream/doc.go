// Package stream carries requests: client connections, server connections and
// the exchange between them, on the event loops of package loop. An Engine has a
// Shard for each loop (engine.go, shard.go).
//
//  1. A Listener accepts and makes a session (session.go). It may begin with a
//     PROXY header (preface.go) and a TLS handshake (tls.go).
//  2. The session reads a request head (request.go); half of one waits in memory
//     of its own size (halfhead.go). In mode tcp it reads nothing (tunnel.go), or
//     what rules want to look into (inspect.go).
//  3. A request becomes an exchange, a txn, which goes from phase to phase (txn.go)
//     and waits for so long (deadline.go).
//  4. Rules and switching choose what answers (route.go): an answer of our own
//     (reply.go, tarpit.go), or a backend. Rules run once; the head for the server
//     is rendered then and kept (asked.go). They can wait for a body (await.go),
//     an agent (offload.go), a name (resolve.go) or a password (password.go). What
//     they count in stick tables is in track.go, what is captured in capture.go.
//  5. A place on a server is found by cookie (cookie.go) or algorithm, or waited
//     for (place.go). A request that waits holds memory of its own size (budget.go).
//  6. A connection to the server is taken from the idle ones (idle.go) or made
//     (connect.go, outbound.go, hello.go, secure.go). Failures are retried, before
//     the server was given the request (connect.go) and after (replay.go).
//  7. Bytes flow both ways with backpressure (forward.go). The server's head is
//     read by what it was asked, and the client's written by what is said
//     (response.go, after.go); the body goes from one framing to the other
//     (body.go), perhaps compressed (pack.go). A tunnel is the same without framing;
//     its small pieces take a shorter way (piece.go).
//     What cannot be read is kept (bad.go).
//  8. The exchange ends: log line, counters, and both connections are kept or
//     closed (finish.go).
//
// A connection to a server that speaks HTTP/2 is a link, whose streams are
// server connections of their own (link.go, lb/h2client).
//
// An HTTP/2 connection is a session whose streams are sessions of their own
// (mux.go, muxframe.go, muxstream.go; allowance.go has what it may do for nothing).
//
// Connections move to the next process (handover.go, parcel.go, adopt.go,
// muxmove.go), or a share of the new ones to one on trial (share.go). What is cut
// off is logged (cut.go), by the next process if this one was killed (flights.go).
//
// Each loop has a Shard, which owns its sessions, idle server connections and
// counters; nothing of it is locked. Shards meet in backend.Backend and in a
// few atomic counts of the Engine (limits.go, pace.go). What changes while all
// loops rest is in members.go, what operators ask in operator.go.
//
// Size: a session, its exchange and its HTTP/2 connection are one state machine
// on one loop, and each file has one concern of it. Parts of their own would have
// to share all of its state: what could be parted is in lb/wire, lb/http1,
// lb/http2, lb/backend and lb/rule.
package stream
