package main

import (
	"context"
	"fmt"
	"time"

	"lbsyslogd/test/rig"
)

// Every TCP connection of the worker has to be accounted for when no client is there any more: it goes to a server, and lb counts it as idle.

// conns are the TCP connections of a process, by whom they go to.
type conns struct {
	clients, servers, others int
}

// rest waits until each connection of the worker is one to a server that lb counts as idle, and says what is wrong if that does not come.
func (s *site) rest(ctx context.Context, worker int) (held conns, wrong string, err error) {
	// A health check is a connection, too, for a moment.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if held, err = s.connections(worker); err != nil {
			return held, "", err
		}
		idle, _, err := s.lb.IdleServerConnections()
		if err != nil {
			return held, "", err
		}
		switch most := atOnce() * len(s.servers); {
		case held.clients == 0 && held.others == 0 && held.servers == idle && idle <= most:
			return held, "", nil
		case time.Now().After(end) || ctx.Err() != nil:
			return held, fmt.Sprintf("no client is there, and the worker has %d connections to clients, %d to nobody known and %d to servers, of which it counts %d as idle; at most %d were needed at once",
				held.clients, held.others, held.servers, idle, most), nil
		}
	}
}

// connections counts the worker's TCP connections.
func (s *site) connections(pid int) (c conns, err error) {
	list, err := rig.Connections(pid)
	if err != nil {
		return c, err
	}
	servers := map[string]bool{s.echo.Addr(): true}
	for _, w := range append(s.servers[:len(s.servers):len(s.servers)], s.names.servers...) {
		servers[w.addr] = true
	}
	for _, t := range list {
		switch {
		case t.Local == s.http || t.Local == s.https || t.Local == s.tcp:
			c.clients++
		case servers[t.Remote]:
			c.servers++
		default:
			c.others++
		}
	}
	return c, nil
}
