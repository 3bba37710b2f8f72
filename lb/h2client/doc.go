// Package h2client is the client's side of HTTP/2 (RFC 9113): connections to
// servers, each of which carries the exchanges of many clients.
//
//  1. New makes a Conn of a connection that stands. It says hello at once; requests
//     wait for the server's settings (conn.go).
//  2. Open makes a Stream for one exchange (stream.go). To its user it is a
//     connection of HTTP/1.1: what is written is a request, and its head leaves as
//     HEADERS, its body as DATA within the server's windows (send.go).
//  3. Pump reads frames (frame.go). What is for a stream is kept by it, within the
//     window that the server was given, until its user reads it as an answer in
//     HTTP/1.1 (receive.go). Wake tells the user.
//  4. A stream ends when both sides have, or with the server's RST_STREAM or GOAWAY;
//     Unprocessed says that the server has not seen the request, so that it may be
//     sent elsewhere. A server that breaks the rules loses the connection, and the
//     reason is reported.
//
// A Conn and all of its streams belong to their loop.
package h2client
