package assemble

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/spop"
	"lbsyslogd/lb/stream"
)

// follow says what of a server's address is the client's destination.
func follow(s *config.Server) backend.Follow {
	if s.Network != "tcp" {
		return backend.Follow{}
	}
	return backend.Follow{Host: s.Addr.IsUnspecified(), Port: s.Port == 0, Offset: s.PortOffset}
}

// outbound is how connections to a server are made; nil for the usual way.
func outbound(p *config.Proxy, s *config.Server) *stream.Outbound {
	from := s.ServerSocket
	if !from.Source.IsValid() && from.UseSource == "" {
		from.Source, from.SourceLast, from.UseSource = p.Source.Source, p.Source.SourceLast, p.Source.UseSource
	}
	if from.Interface == "" {
		from.Interface = p.Source.Interface
	}
	probes := p.KeepAlive.Server
	o := stream.Outbound{
		Source: from.Source, Interface: from.Interface, UserTimeout: int(from.UserTimeout.Milliseconds()),
		KeepAlive: probes.On, SendProxy: stream.SendProxy(from.Proxy),
	}
	if o.Source.Addr().IsUnspecified() && o.Source.Port() == 0 {
		o.Source = stream.Outbound{}.Source
	}
	switch from.UseSource {
	case "client":
		o.Client = stream.Client
	case "clientip":
		o.Client = stream.ClientIP
	}
	if from.SourceLast > from.Source.Port() {
		o.Ports = &stream.Ports{First: from.Source.Port(), Last: from.SourceLast}
	}
	if o == (stream.Outbound{}) {
		return nil
	}
	if probes.On {
		o.KeepIdle, o.KeepIntvl, o.KeepCount = int(probes.Idle.Seconds()), int(probes.Intvl.Seconds()), probes.Count
	}
	return &o
}

// preface is what connections to a bind line begin with.
func preface(b *config.Bind) sample.Preface {
	switch {
	case b.AcceptProxy:
		return sample.ProxyHeader
	case b.AcceptCIP:
		return sample.NetScalerCIP
	}
	return sample.NoPreface
}

// offloads makes the agents of the proxies, when all backends are there.
func (b *builder) offloads() {
	for i, p := range b.rt.frontends {
		for _, o := range p.Offloads {
			off := b.offload(o)
			b.eng.Frontends[i].Offloads = append(b.eng.Frontends[i].Offloads, off)
			b.eng.Agents = append(b.eng.Agents, off.Agent)
		}
	}
	for i, p := range b.rt.backends {
		if p.Frontend { // a listen section's are its frontend's
			continue
		}
		for _, o := range p.Offloads {
			off := b.offload(o)
			b.eng.Backends[i].Offloads = append(b.eng.Backends[i].Offloads, off)
			b.eng.Agents = append(b.eng.Agents, off.Agent)
		}
	}
}

func (b *builder) offload(o *config.Offload) *stream.Offload {
	off := &stream.Offload{
		Engine: o.Engine, Prefix: o.Prefix, OnError: o.OnError, ProcessTime: o.ProcessTime, TotalTime: o.TotalTime,
		Continue: o.Continue, Proc: o.Proc, Groups: o.Groups,
		Agent: &spop.Agent{
			EngineID: rand.Text(), MaxFrame: o.MaxFrame, MaxWaiting: o.MaxWaiting, Alone: o.Alone,
			Hello: o.Hello, Idle: o.Idle, Processing: o.Processing,
		},
	}
	off.Events = o.Events
	off.Agent.Dial = dialer(b.nodes[o.Backend])
	return off
}

var errNoAgent = errors.New("no server of the agent's backend is up")

// dialer connects to a server of a backend, by its own balancing.
func dialer(be *stream.Backend) func(ctx context.Context) (net.Conn, func(), error) {
	return func(ctx context.Context) (net.Conn, func(), error) {
		var avoid *backend.Server
		for try := 0; ; try++ {
			srv, got := be.Pick(0, avoid)
			if got != backend.Picked {
				return nil, nil, errNoAgent
			}
			network, address := "tcp", srv.Addr().IP.String()
			if path := srv.Addr().Path; path != "" {
				network, address = "unix", path
			}
			d := net.Dialer{Timeout: time.Duration(be.Timeouts.Connect) * time.Millisecond}
			c, err := d.DialContext(ctx, network, address)
			if err == nil {
				return c, func() { be.Release(srv) }, nil
			}
			be.Release(srv)
			if avoid = srv; try >= be.Retries || ctx.Err() != nil {
				return nil, nil, err
			}
		}
	}
}
