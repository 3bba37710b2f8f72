// Package tlsrecord is the record layer of TLS 1.3 (RFC 8446) and 1.2 (RFC 5246)
// for connections whose handshake crypto/tls has done. It has no socket and no
// buffer: records are opened and sealed in the caller's memory, without
// allocation, and what a connection consists of can be taken to another process.
//
//  1. A Watch accompanies the handshake: it is the configuration's
//     KeyLogWriter and sees the bytes that crypto/tls sends and receives
//     (watch.go). crypto/tls must be given one record at a time, so that it reads
//     nothing of what comes after the handshake.
//  2. Watch.Conn makes a Conn of it (suite.go derives the keys). Suites that are
//     not authenticated encryption, CBC, are left to crypto/tls.
//  3. Size finds the records in what came, Open decrypts each (open.go), and
//     answers what is no data by itself: key updates, alerts, tickets.
//  4. Seal encrypts, CloseNotify and Alert end the connection (seal.go).
//  5. Conn.AppendState and Restore take it to another process (state.go).
package tlsrecord
