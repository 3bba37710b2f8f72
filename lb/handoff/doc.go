// Package handoff moves sockets between processes: from the master to its
// workers, from an old master to a new one, and from HAProxy to lb and back.
//
// The way of a listening socket:
//
//  1. a worker says what it wants to listen on        Want, named by its Key
//  2. the master opens what it does not have yet      Opener
//  3. the master sends all of them to the worker      Conn, SCM_RIGHTS
//  4. the worker builds its listeners from the set    Set
//  5. the next worker wants the same names and gets the same sockets
//
// A socket is known by what it is (protocol, address, the options that are
// fixed when it is bound), never by its place in a list: a configuration in
// which lines move keeps its sockets.
package handoff
