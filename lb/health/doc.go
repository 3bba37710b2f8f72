// Package health finds out whether servers can do their work, by asking them
// at intervals as HAProxy does.
//
//  1. A Scheduler waits for the next turn of all Checkers. The first turns are
//     spread over the interval, so that no two servers are asked at once more
//     than must be.
//  2. A check that only connects is begun, and mostly over, at once (connect.go).
//     For any other a probe (run.go) does the steps of the Spec's Script: it connects, sends
//     and judges what comes (http.go for HTTP, protocols.go for others), or
//     asks the server's agent (agent.go), or runs a program (program.go). It ends with a Status.
//  3. Counting: rise successes make a server go up, fall failures make it go
//     down; between them its health moves by one.
//     Errors of the traffic count too, if they are reported (observe.go).
//  4. The Report goes to the function given to New, one at a time.
//
// A server has at most one check in flight, which has a goroutine only while it
// waits for the network, and none outlives its timeout.
package health
