// Package health finds out whether servers can do their work, by asking them
// at intervals as HAProxy does.
//
//  1. Checker.Run waits for the first turn, which is spread over the interval
//     so that a hundred servers are not asked at once.
//  2. A probe connects (TCP), and if the Spec says so sends a request and
//     judges the answer (HTTP). It ends with a Status.
//  3. Counting: rise successes make a server go up, fall failures make it go
//     down; between them its health moves by one.
//  4. The Report goes to the function given to New, on the checker's goroutine.
//
// There is one goroutine for each server, at most one check in flight for it,
// and none of the checks outlives its timeout.
package health
