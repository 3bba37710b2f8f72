package assemble

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/netns"
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
func (b *builder) outbound(p *config.Proxy, s *config.Server) (*stream.Outbound, error) {
	from := s.ServerSocket
	if !from.Source.IsValid() && from.UseSource.Whose == "" {
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
	if from.SOCKS4.IsValid() {
		o.SOCKS4 = new(backend.TCPAddr(from.SOCKS4))
	}
	if o.Source.Addr().IsUnspecified() && o.Source.Port() == 0 {
		o.Source = stream.Outbound{}.Source
	}
	switch from.UseSource.Whose {
	case "client":
		o.Client = stream.Client
	case "clientip":
		o.Client = stream.ClientIP
	case "field":
		o.Client, o.Field = stream.FieldIP, from.UseSource.Format
	case "address":
		o.Client, o.Source = stream.Fixed, from.UseSource.Addr
	}
	var err error
	if o.Namespace, err = b.namespace(from.Namespace); err != nil {
		return nil, err
	}
	if from.SourceLast > from.Source.Port() {
		o.Ports = &stream.Ports{First: from.Source.Port(), Last: from.SourceLast}
	}
	if o == (stream.Outbound{}) {
		return nil, nil
	}
	if probes.On {
		o.KeepIdle, o.KeepIntvl, o.KeepCount = int(probes.Idle.Seconds()), int(probes.Intvl.Seconds()), probes.Count
	}
	return new(o), nil // a copy: o itself is on the stack for all that need none
}

// namespace opens a network namespace once; "" is our own.
func (b *builder) namespace(name string) (*netns.Namespace, error) {
	if name == "" {
		return nil, nil
	}
	if n := b.namespaces[name]; n != nil {
		return n, nil
	}
	n, err := netns.Open(name)
	if err != nil {
		return nil, err
	}
	if b.namespaces == nil {
		b.namespaces = map[string]*netns.Namespace{}
	}
	b.namespaces[name] = n
	return n, nil
}

// dial makes connections of checks and agents, which come from where those of requests come from as far as a server's line says; nil: as usual.
func (b *builder) dial(p *config.Proxy, s *config.Server) (health.Dial, error) {
	o, err := b.outbound(p, s)
	if err != nil || o == nil {
		return nil, err
	}
	from := o.Source.Addr()
	if o.Client == stream.Fixed {
		from = cmp.Or(s.Source, p.Source.Source).Addr()
	}
	return func(ctx context.Context, d net.Dialer, network, address string) (c net.Conn, err error) {
		if network == "tcp" {
			if to, err := netip.ParseAddrPort(address); err == nil && from.IsValid() && from.Is4() == to.Addr().Unmap().Is4() {
				d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
			}
			d.Control = peerSocket(&config.ServerSocket{Interface: o.Interface, UserTimeout: time.Duration(o.UserTimeout) * time.Millisecond})
		}
		err = o.Namespace.Do(func() error {
			c, err = d.DialContext(ctx, network, address)
			return err
		})
		return c, err
	}, nil
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
