package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"sync"

	"lbsyslogd/test/load"
)

// kind is one kind of client.
type kind struct {
	name  string
	share int // of the requests, in percent; of tunnels and streams of gRPC, that many a second
	client

	tunnel  bool
	streams bool // of gRPC
}

// client is a program that sends requests.
type client struct {
	run    func(s *site, ctx context.Context, r *run, rate int)
	atOnce int // most connections to servers that it needs at once and that can become idle
}

// atOnce is how many connections to servers all clients need at once, at most.
func atOnce() (n int) {
	for _, k := range kinds {
		n += k.atOnce
	}
	return n
}

// plainTunnel is the kind whose sessions have no request.
const plainTunnel = "tcp"

// kinds is never written to. Most requests are bulk, which costs a third of the others for each: it makes runs long in requests, and the others make them broad.
var kinds = []kind{
	{name: "bulk", share: 64, client: loaded(load.Options{Conns: 40, Pipeline: 8})},
	{name: "kept", share: 10, client: loaded(load.Options{Conns: 20, PostEach: 5})},
	{name: "new", share: 2, client: loaded(load.Options{Conns: 8, PerConn: 1, PostEach: 7})},
	{name: "some", share: 3, client: loaded(load.Options{Conns: 10, PerConn: 20, PostEach: 3, BodySize: 20_000})},
	{name: "chunked", share: 2, client: loaded(load.Options{Conns: 5, PostEach: 1, BodySize: 8000, Chunked: true})},
	{name: "pipelined", share: 5, client: loaded(load.Options{Conns: 5, PostEach: 6, Pipeline: 5})},
	{name: "tls", share: 5, client: loaded(load.Options{Conns: 10, PerConn: 200, PostEach: 4, TLS: &tls.Config{}})},
	{name: "h2", share: 2, client: overH2(h2Options{conns: 6, streams: 5, postEach: 4, bodySize: 3000, secure: true})},
	{name: "h2c", share: 1, client: overH2(h2Options{conns: 3, streams: 3, perConn: 90, postEach: 2, bodySize: 9000})},
	{name: mapped, share: 2, client: loaded(load.Options{Conns: 4, PostEach: 4})},
	{name: listed, share: 2, client: loaded(load.Options{Conns: 4, PostEach: 4})},
	{name: named, share: 2, client: loaded(load.Options{Conns: 4, PostEach: 4})},
	{name: streamed, share: 6, streams: true, client: overGRPC(5)},
	{name: "ws", share: 3, tunnel: true, client: tunnelled(tunnelOptions{conns: 10, upgrade: true})},
	{name: "wss", share: 2, tunnel: true, client: tunnelled(tunnelOptions{conns: 6, upgrade: true, secure: true})},
	{name: plainTunnel, share: 4, tunnel: true, client: tunnelled(tunnelOptions{conns: 12})},
}

// loaded is a client of test/load.
func loaded(opt load.Options) client {
	return client{atOnce: opt.Conns, run: func(s *site, ctx context.Context, r *run, rate int) {
		opt := opt
		opt.Addr, opt.Run, opt.Rate, opt.Requests, opt.Timeout = s.http, r.name, rate, math.MaxInt, patience
		if opt.TLS != nil {
			opt.Addr, opt.TLS = s.https, &tls.Config{RootCAs: s.trust(), ServerName: "localhost"}
		}
		opt.Each = func(q load.Request) { r.note(s.epoch, q) }
		load.New(opt).Run(ctx)
	}}
}

// send runs all clients until ctx ends, and returns when each request has its outcome.
func (s *site) send(ctx context.Context, runs []*run, rate int) {
	var all sync.WaitGroup
	for i, k := range kinds {
		rate := max(rate*k.share/100, 1)
		if k.tunnel || k.streams {
			rate = k.share
		}
		all.Go(func() { k.run(s, ctx, runs[i], rate) })
	}
	all.Wait()
}

// newRuns are the runs of a round, one for each kind.
func newRuns(round int) []*run {
	var list []*run
	for _, k := range kinds {
		list = append(list, &run{name: fmt.Sprintf("%s-%d", k.name, round), kind: k.name, round: round, tunnel: k.tunnel, plain: k.name == plainTunnel})
	}
	return list
}
