// Package stream carries requests: client connections, server connections and
// the exchange between them, on the event loops of package loop.
//
//  1. A Listener accepts and makes a session (session.go).
//  2. The session reads a request head, or in TCP mode nothing (request.go).
//  3. Rules, switching and balancing choose what answers (route.go): an answer
//     of our own (reply.go), or a server.
//  4. A server connection is taken from the idle ones or opened; failures are
//     retried (connect.go).
//  5. Bytes flow both ways with backpressure, checked against the framing as
//     they pass (forward.go, response.go). A tunnel is the same without framing.
//     What rules count in stick tables on the way is in track.go.
//  6. The exchange ends: log line, counters, and both connections are kept or
//     closed (finish.go).
//
// An HTTP/2 connection is a session whose streams are sessions of their own
// (mux.go, muxframe.go, muxstream.go).
//
// Each loop has a Shard, which owns its sessions, idle server connections and
// counters; nothing of it is locked. Shards meet in backend.Backend and in a
// few atomic counts of the Engine.
package stream
