package assemble

import (
	"fmt"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
)

// Wants lists the listening sockets that a configuration needs, those of the
// stats sockets and for peers included.
func Wants(cfg *config.Config) []handoff.Want {
	var wants []handoff.Want
	for i := range cfg.Global.StatsSockets {
		wants = append(wants, want(&cfg.Global.StatsSockets[i].Bind))
	}
	for _, p := range cfg.Proxies {
		if p.Disabled {
			continue
		}
		for i := range p.Binds {
			wants = append(wants, want(&p.Binds[i]))
		}
	}
	for _, s := range cfg.Peers {
		for i := range s.Binds {
			wants = append(wants, want(&s.Binds[i]))
		}
	}
	return wants
}

// want is one bind line as the sockets' owner sees it.
func want(b *config.Bind) handoff.Want {
	return handoff.Want{
		Network: b.Network, Address: b.Address,
		V6Only: b.V6Only, V4V6: b.V4V6, Interface: b.Interface, Transparent: b.Transparent,
		Backlog: b.Backlog, DeferAccept: b.DeferAccept, TFO: b.TFO,
		Namespace: b.Namespace, MSS: b.MSS, UserTimeout: int(b.UserTimeout.Milliseconds()),
		KeepAlive: b.Probes.On, KeepIdle: int(b.Probes.Idle.Seconds()),
		KeepIntvl: int(b.Probes.Intvl.Seconds()), KeepCount: b.Probes.Count,
		Mode: b.Mode, UID: b.UID, GID: b.GID, User: b.User, Group: b.Group,
		Where: b.Pos.String(),
	}
}

// take gives the socket of a bind line, which is the caller's from now on.
func take(socks *handoff.Set, b *config.Bind) (int, error) {
	w := want(b)
	fd, ok := socks.Take(w.Key())
	if !ok {
		return -1, fmt.Errorf("%s: the socket for %s was not handed over", b.Pos, w)
	}
	return fd, nil
}
