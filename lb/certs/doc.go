// Package certs turns the certificate files of a bind line into a tls.Config,
// and gives TLS versions and cipher suites their OpenSSL names.
//
//  1. Load reads every file: certificate chains and keys in any order.
//  2. Each certificate is filed under the names it is good for.
//  3. At a handshake the client's SNI finds the candidates (exact name, then
//     wildcard, then the default), and the first whose key the client can use
//     is taken, ECDSA before RSA.
package certs
