// Package loop is the event loop under the data path: one epoll instance on
// one locked OS thread, no goroutine per connection.
//
//  1. Run waits for readiness (edge-triggered; a file descriptor is registered
//     once in its life) and calls each descriptor's Handler, those first that other
//     handlers depend on (Early).
//  2. Handlers read and write with the raw system calls of sys.go: they never
//     block, so the scheduler need not hear of them.
//     Those of a turn that are alike may be put off to its end, and be made as one
//     (calls.go).
//  3. Other goroutines reach the loop through Post; slow work never runs here.
//  4. Due timers of the wheel expire, with millisecond resolution.
//  5. End-of-turn hooks run: what a turn gathered (log lines) leaves at once.
//
// Everything in a Loop is owned by its goroutine but Post and Close.
package loop
