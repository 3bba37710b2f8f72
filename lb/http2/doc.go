// Package http2 reads and writes HTTP/2 (RFC 9113) for a load balancer that
// works with HTTP/1 messages inside: a request becomes an HTTP/1.1 head, and an
// HTTP/1.1 response head becomes a block of fields. It does no I/O.
//
//  1. ParseHeader reads a frame's nine bytes (frame.go).
//  2. A Decoder turns a field block into a request's head, or refuses what could
//     smuggle another request into it (request.go).
//  3. An Encoder turns a response's head into a field block (response.go).
//
// To a server it is the other way round: an Encoder turns a request's head into
// a block (ask.go), an AnswerDecoder a block into an answer's head (answer.go).
//
// Connections, streams and their windows are in packages stream (clients')
// and h2client (servers').
package http2
