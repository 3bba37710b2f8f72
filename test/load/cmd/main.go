// Command cmd offers numbered load and exits 1 unless every request was answered rightly:
//
//	go run ./test/load/cmd -n 50000 -c 50 127.0.0.1:8080
//
// What stands behind the address must be a backend of lbsyslogd/test/backend.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"

	"lbsyslogd/test/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var opt load.Options
	flag.IntVar(&opt.Requests, "n", 10000, "requests to send; 0 for as many as there is time for until SIGINT or SIGTERM")
	flag.IntVar(&opt.Least, "least", 0, "requests to send even if SIGINT or SIGTERM comes before")
	flag.IntVar(&opt.Conns, "c", 10, "connections at once")
	flag.IntVar(&opt.PerConn, "per-conn", 0, "requests on one connection; 0 for no end, 1 for a new one each")
	flag.IntVar(&opt.Rate, "rate", 0, "requests a second; 0 for as fast as answers come")
	flag.IntVar(&opt.PostEach, "post-each", 0, "post a body with every Nth request; 0 for never")
	flag.IntVar(&opt.BodySize, "body", 1000, "bytes of a posted body")
	flag.DurationVar(&opt.Timeout, "timeout", 0, "for one answer; 0 for 30s")
	flag.StringVar(&opt.Run, "run", "load", "names the run in the path, /r/RUN/N")
	secure := flag.Bool("tls", false, "speak TLS and believe any certificate")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "load: name one address, as in 127.0.0.1:8080")
		os.Exit(2)
	}
	opt.Addr = flag.Arg(0)
	endless := opt.Requests == 0
	if endless {
		opt.Requests = math.MaxInt
	}
	if *secure {
		opt.TLS = &tls.Config{InsecureSkipVerify: true}
	}

	result := load.New(opt).Run(ctx)
	fmt.Println(result)
	if result.Failed() > 0 || !endless && result.OK() != uint64(opt.Requests) {
		os.Exit(1)
	}
}
