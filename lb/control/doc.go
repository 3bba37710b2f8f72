// Package control answers on the stats socket in HAProxy's command language,
// so that operators' scripts, hatop, exporters and HAProxy itself (for
// _getsocks) can talk to a running balancer.
//
//  1. Server.Serve accepts; each connection has one goroutine, which ends with
//     it.
//  2. A line is split into commands at ";" and each command into words.
//  3. The command table finds the longest command the words begin with, checks
//     the level of the socket, and runs it against a Runtime.
//  4. The answer ends with an empty line. Without `prompt` the connection ends
//     after one line.
package control
