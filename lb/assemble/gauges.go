package assemble

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stream"
)

// gauges gives the rules the numbers that they ask for.
func (b *builder) gauges() {
	for _, g := range b.cfg.Gauges {
		if g.Named {
			g.Of = b.namedGauge(g.What)
			continue
		}
		g.Read = b.gauge(g)
	}
}

// namedGauge reads a number of what is named when it is asked for; -1 for a name
// that nobody has.
func (b *builder) namedGauge(what string) func(name string) int64 {
	read := map[string]func() int64{}
	for name, be := range b.nodes {
		if what != "srv_queue" {
			read[name] = backendGauge(what, be)
			continue
		}
		for _, srv := range be.Servers {
			read[name+"/"+srv.Name] = serverGauge(what, be, srv)
		}
	}
	if (&sample.Gauge{What: what}).OfFrontend() {
		clear(read)
		for _, fe := range b.eng.Frontends {
			read[fe.Name] = frontendGauge(what, fe)
		}
	}
	return func(name string) int64 {
		if get := read[name]; get != nil {
			return get()
		}
		return -1
	}
}

// gauge finds where a number is read. Of a proxy that is disabled all is 0.
func (b *builder) gauge(g *sample.Gauge) func() int64 {
	switch {
	case g.OfProcess():
		return func() int64 { return oneIf(b.eng.Draining()) }
	case g.OfFrontend():
		for _, fe := range b.eng.Frontends {
			if fe.Name == g.Proxy {
				return frontendGauge(g.What, fe)
			}
		}
		return func() int64 { return 0 }
	}
	be := b.nodes[g.Proxy]
	if be == nil {
		return func() int64 { return 0 }
	}
	if g.Server == "" {
		return backendGauge(g.What, be)
	}
	srv := serverNamed(be.Servers, g.Server)
	if srv == nil {
		return func() int64 { return 0 }
	}
	return serverGauge(g.What, be, srv)
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// paced makes the counter that a rule asks for, unless another rule has.
func paced(p **stream.Pace) func() int64 {
	if *p == nil {
		*p = stream.NewPace()
	}
	return (*p).Value
}

func frontendGauge(what string, fe *stream.Frontend) func() int64 {
	switch what {
	case "fe_req_rate":
		return paced(&fe.Paces.Requests)
	case "fe_sess_rate":
		return paced(&fe.Paces.Sessions)
	}
	return func() int64 { cur, _ := fe.Load(); return int64(cur) }
}

func backendGauge(what string, be *stream.Backend) func() int64 {
	switch what {
	case "avg_queue":
		return func() int64 {
			n := int64(queued(be))
			if u := usable(be); u > 0 {
				return (n + u - 1) / u
			}
			return n * 0xffffffff // nobody will take them
		}
	case "be_conn_free":
		return func() (n int64) { return freeConns(be) }
	case "be_conn":
		return func() int64 { return int64(be.Stats().Cur) }
	case "be_sess_rate":
		return paced(&be.Paces.Sessions)
	case "connslots":
		return func() int64 { return connSlots(be) }
	case "nbsrv":
		return func() int64 { return usable(be) }
	}
	return func() int64 { return int64(queued(be)) }
}

func serverGauge(what string, be *stream.Backend, srv *backend.Server) func() int64 {
	switch what {
	case "srv_is_up":
		return func() int64 { return oneIf(srv.Stats().Usable) }
	case "srv_iweight":
		return func() int64 { return int64(srv.Initial) }
	case "srv_sess_rate":
		if be.Paces.Servers == nil {
			be.Paces.Servers = map[*backend.Server]*stream.Pace{}
		}
		p := be.Paces.Servers[srv]
		get := paced(&p)
		be.Paces.Servers[srv] = p
		return get
	case "srv_conn_free":
		return func() int64 {
			if srv.MaxConn == backend.Unlimited {
				return -1
			}
			return int64(max(srv.MaxConn-srv.Stats().Cur, 0))
		}
	case "srv_queue":
		return func() int64 { return int64(srv.Stats().Queued) }
	case "srv_weight", "srv_uweight":
		return func() int64 { return int64(srv.Stats().Weight) }
	}
	return func() int64 { return int64(srv.Stats().Cur) }
}

// usable is how many servers take requests: the backups count when there are no
// others, all of them or only the first.
func usable(be *stream.Backend) int64 {
	st := be.Stats()
	if unnamed(be) {
		return 0
	}
	if st.Active > 0 {
		return int64(st.Active)
	}
	if be.AllBackups {
		return int64(st.Backup)
	}
	return int64(min(st.Backup, 1))
}

// queued is how many requests wait, for any server or for a certain one.
func queued(be *stream.Backend) int {
	n := be.Stats().Queued
	for _, s := range be.Servers {
		n += s.Stats().Queued
	}
	return n
}

// freeConns is how many more connections there may be to servers that are up, -1
// without limit.
func freeConns(be *stream.Backend) (n int64) {
	for _, s := range be.Servers {
		switch st := s.Stats(); {
		case !st.Usable:
		case s.MaxConn == backend.Unlimited:
			return -1
		default:
			n += int64(max(s.MaxConn-st.Cur, 0))
		}
	}
	return n
}

// connSlots is how many more connections and places in queues there are; -1
// without limit.
func connSlots(be *stream.Backend) (n int64) {
	for _, s := range be.Servers {
		st := s.Stats()
		switch {
		case !st.Usable:
		case s.MaxConn == backend.Unlimited || s.MaxQueue == backend.Unlimited:
			return -1
		default:
			n += int64(s.MaxConn-st.Cur) + int64(s.MaxQueue-st.Queued)
		}
	}
	return n
}
