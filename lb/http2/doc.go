// Package http2 reads and writes HTTP/2 (RFC 9113) for a load balancer that
// works with HTTP/1 messages inside: a request becomes an HTTP/1.1 head, and an
// HTTP/1.1 response head becomes a block of fields. It does no I/O.
//
//  1. A Reader cuts bytes into frames and checks what holds for each, whichever
//     role has sent it: sizes, padding, the order of field blocks (reader.go).
//  2. A Decoder turns a field block into a request's head, or refuses what could
//     smuggle another request into it (request.go).
//  3. DATA becomes the body of an Incoming, which is read in HTTP/1.1 (incoming.go).
//  4. An Encoder turns a response's head into a field block (response.go), and
//     the Append functions write frames (frame.go), as far as a SendWindow
//     (window.go) and the peer's SETTINGS (peer.go) allow.
//
// To a server it is the other way round: an Encoder turns a request's head into
// a block (ask.go), an AnswerDecoder a block into an answer's head (answer.go).
//
// Package stream has the connections of clients and their streams, h2client those
// to servers: what a frame means for a stream depends on the role.
package http2
