// Package assemble makes an engine of an accepted configuration and its
// listening sockets, and runs what belongs to it.
//
//  1. Check refuses what only building finds out (build.go).
//  2. Wants names the sockets that are needed (wants.go).
//  3. Build makes frontends, backends and servers (build.go, balance.go,
//     outbound.go), and for them rules' tables and numbers (tables.go, gauges.go),
//     log targets (logs.go), peers (peers.go), TLS (tls.go), checks (checks.go), name servers
//     (resolvers.go) and stats sockets (runtime.go).
//  4. Runtime.Start takes over from the worker before, accepts, checks and answers
//     (runtime.go).
//  5. It shows what is counted (rows.go, pulse.go), as a page (page.go), as metrics
//     (metrics.go), on the stats sockets (operator.go). Operators change servers
//     (servers.go); what they changed survives a reload (changes.go, operated.go),
//     and a restart where a file has it (saved.go).
//  6. Drain and Stop end it (runtime.go).
//
// Size: one file for each thing that a configuration may have (peers, resolvers,
// stick tables, log targets, ...), which share the Runtime.
//
// It is the one place that sees both the configuration's shape and the
// engine's.
package assemble
