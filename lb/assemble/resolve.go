package assemble

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"lbsyslogd/lb/config"
)

// lookupTime bounds the lookup of one server name at start.
const lookupTime = 10 * time.Second

// lookup resolves a server name, IPv4 first as HAProxy does by default.
func lookup(host string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("could not resolve address '%s': %w", host, err)
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			return ip, nil
		}
	}
	if len(ips) == 0 {
		return netip.Addr{}, fmt.Errorf("could not resolve address '%s': the name has no address", host)
	}
	return ips[0], nil
}

// spareFDs are descriptors that are not connections: epoll, listeners, logs,
// checks, control sockets.
const spareFDs = 100

// maxConn is the limit of client connections: the configuration's, or what
// the descriptors allow at two a connection.
func maxConn(cfg *config.Config) int {
	if cfg.Global.MaxConn > 0 {
		return cfg.Global.MaxConn
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 2000 // HAProxy's default
	}
	return max(int(min(lim.Cur, 1<<22)-spareFDs)/2, 100)
}
