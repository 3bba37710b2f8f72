// Command cmd checks a log against a run of the load client, and exits 1 unless each request has exactly one line:
//
//	go run ./test/ledger/cmd -run load -n 50000 /var/log/lb/lb.log
package main

import (
	"flag"
	"fmt"
	"os"

	"lbsyslogd/test/ledger"
)

func main() {
	run := flag.String("run", "load", "the run's name, as in /r/RUN/N")
	n := flag.Int("n", 10000, "requests the run sent")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "ledger: name one log file; its rotated siblings are found next to it")
		os.Exit(2)
	}
	l := ledger.New(*run, *n)
	if err := l.ReadAll(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
	fmt.Println(l.Report())
	if !l.Report().Balanced() {
		os.Exit(1)
	}
}
