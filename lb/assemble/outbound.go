package assemble

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/sample"
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
		from.Source, from.UseSource = p.Source.Source, p.Source.UseSource
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
