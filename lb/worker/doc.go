// Package worker is the process that serves: it reads a configuration, gets
// its listening sockets, builds the engine and keeps it running until it is
// told to leave.
//
// The life of a worker:
//
//  1. load the configuration                      Process.Load -> Plan
//  2. get the sockets it wants                    Source: the master, or Local
//  3. build the engine                            Plan.Build (package assemble)
//  4. raise the limit of open files, give up root privilege.go
//  5. start to accept, say that it is ready       Process.Run
//  6. obey signals and the master's orders        serve.go
//  7. drain, or stop, and end
//
// Whatever goes wrong before 5 ends the process with the reason on stderr,
// and nobody else notices. With a master the orders come over a connection
// (package handoff); without one the same code runs alone.
package worker
