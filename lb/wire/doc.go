// Package wire is the connections of a loop, those of clients and those to
// servers: one type, Conn, whatever carries its bytes.
//
//  1. Open makes a Conn of a socket (conn.go). It knows from events and calls
//     whether a read or a write could give something, and is registered with
//     epoll when it first has to wait.
//  2. Plain bytes go to the socket as they are (plain.go).
//  3. StartHandshake makes it a TLS connection (handshake.go): crypto/tls does the
//     handshake on the loop or on a goroutine, lb/tlsrecord the rest on the loop (secure.go).
//     What tlsrecord does not do, suites with CBC, stays with crypto/tls
//     (library.go).
//  4. A Conn may be a stream of another one: HTTP/2 (Stream).
//
// What a connection consists of besides its socket can be taken to another
// process: Movable says whether.
//
// A Conn and all of its methods belong to its loop.
package wire
