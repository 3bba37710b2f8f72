// Package health finds out whether servers can do their work, by asking them
// at intervals as HAProxy does.
//
//  1. Checker.Run waits for the first turn, which is spread over the interval
//     so that a hundred servers are not asked at once.
//  2. A probe (run.go) does the steps of the Spec's Script: it connects, sends
//     and judges what comes (http.go for HTTP, protocols.go for others), or
//     asks the server's agent (agent.go). It ends with a Status.
//  3. Counting: rise successes make a server go up, fall failures make it go
//     down; between them its health moves by one.
//     Errors of the traffic count too, if they are told (observe.go).
//  4. The Report goes to the function given to New, on the checker's goroutine.
//
// There is one goroutine for each server, at most one check in flight for it,
// and none of the checks outlives its timeout.
package health
