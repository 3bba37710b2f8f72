// Command soak does to lb and syslogd, under load, what happens to them in years, and keeps four books that have to agree request by request.
//
//  1. A plan (plan.go) says what happens when: drawn from a seed, or read from a case file.
//  2. A site (site.go) is lb, syslogd and servers; it lives through many rounds.
//  3. In a round (round.go) clients send numbered requests and never send one twice (clients.go, h2.go, grpc.go, tunnel.go), servers note what they
//     served (servers.go), and hands do what the plan says (deeds.go, troubles.go, scarce.go, disk.go).
//  4. At the round's end the log files are read (lines.go), and the books are compared (judge.go), also with what a receiver of syslogd's got (sink.go).
//     Whatever does not agree has to be permitted by the one table that says what each fault may cost (faults.go). Requests whose route changed at run
//     time (routes.go, names.go) have to have gone where they should.
//  5. The daemons themselves are looked at: descriptors, pipes, threads, goroutines, memory (procs.go).
//  6. A round that fails is run again with parts of its plan until no part can be left out (shrink.go), and is kept as a case file.
//
// docs/proof.md says what this proves, and what it does not.
//
// Size: one program, whose parts share the books; a file for each party to them.
package main
