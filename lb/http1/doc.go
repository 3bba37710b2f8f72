// Package http1 reads and writes HTTP/1 message heads and body framing
// (RFC 9112). It is pure: bytes in, views and bytes out, no I/O, no
// allocation after a Head's first use.
//
//  1. ParseRequest or ParseResponse takes the received bytes and gives a Head,
//     strictly: whatever two parsers could read differently is refused.
//  2. The Head's framing facts (Length, Chunked, Close, ...) say how the body
//     ends and whether the connection may be kept.
//  3. Rules edit the Head: Del, Add, Set, SetURI, ...
//  4. Append renders it for the other side.
//  5. Chunks follows a chunked body, byte by byte checked, as it passes.
package http1
