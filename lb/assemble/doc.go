// Package assemble makes an engine of an accepted configuration and its
// listening sockets, and runs what belongs to it.
//
//  1. Check refuses what only building finds out              build.go
//  2. Wants names the sockets that are needed                 wants.go
//  3. Build makes frontends, backends, servers, rules' tables,
//     log targets, TLS, checks and stats sockets              build.go, tables.go, logs.go, tls.go, checks.go
//  4. Runtime.Start takes over from the worker before, accepts,
//     checks and answers                                      runtime.go
//  5. it shows what is counted                                rows.go, page.go, metrics.go
//  6. Drain and Stop end it                                   runtime.go
//
// It is the one place that sees both the configuration's shape and the
// engine's.
package assemble
