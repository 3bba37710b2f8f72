// Package master is the parent of the workers. It owns the listening sockets,
// serves no traffic and never reads the configuration.
//
// The path of a reload:
//
//  1. somebody asks: `lb reload`, SIGUSR2, SIGHUP        cli.go, stop.go
//  2. requests that come while a reload runs are joined
//     into the next one                                  reload.go
//  3. a new worker is started from the binary on disk    child.go
//  4. it reads the configuration and says which sockets
//     it wants; what is missing is opened                sockets.go
//  5. it gets all of them, builds everything, is ready   worker.go
//  6. the old worker is told to drain, sockets that
//     nobody wants any more are closed, and everybody
//     whoever asked gets the outcome                     reload.go
//
// A failure between 3 and 5 leaves the old worker untouched: it does not even
// notice. A worker that dies while it serves is replaced on the same sockets
// (crash.go); a master that dies leaves its workers serving, and the next
// master takes them over (adopt.go). A reload may be a trial first: the new worker
// gets a share of what is new, and is judged by it (canary.go, judge.go).
//
// Operators ask on the master's socket (cli.go), which passes commands on to
// workers (forward.go) and shows them (proc.go). What the log and the service
// manager hear is in report.go and notify.go. `lb upgrade` replaces the master's
// own program and keeps the process (upgrade.go).
//
// One goroutine owns all state. Everything else (signals, connections to
// workers, the command socket, timers) posts functions to it.
package master
