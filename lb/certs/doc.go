// Package certs holds the certificate files of a configuration and turns them
// into tls.Configs, and gives TLS versions and cipher suites their OpenSSL names.
//
//  1. A Store reads each file once, on all cores (store.go): chains and keys in
//     any order (pem.go), what lies next to them (pair.go), crt-lists (list.go).
//     Keys are parsed when they first sign (lazy.go).
//  2. Load files each certificate of a bind line under the names that it is good
//     for, or the filters of its line (load.go, choose.go).
//  3. At a handshake the client's SNI finds the candidates (exact name, then
//     wildcard, then the default), and the first whose key the client can use
//     is taken, ECDSA before RSA. Its line's settings hold, for sessions that
//     are resumed, too. Where a line says so, one is made for a name that no
//     certificate has (generate.go).
//  4. Clients' certificates are judged (verify.go, revoked.go).
//  5. Operators change all of it while it is served (transaction.go).
package certs
