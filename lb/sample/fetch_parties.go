package sample

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
)

// fetchesParties look at both connections and at the proxies and servers that
// an exchange is between (HAProxy configuration manual, section 7.3.3).
var fetchesParties = []fetchRow{
	{name: "bc_be_queue", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.BeQueue)), true }}, // 2.9
	{name: "bc_dst", kind: Addr, where: InResponse | InLog, get: addrOf(serverAddr)},
	{name: "bc_dst_port", kind: Int, where: InResponse | InLog, get: portOf(serverAddr)},
	{name: "bc_err", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) {
		f := x.Rec.BackTLS.NotMade
		return IntValue(f.number()), f != nil || x.Rec.Answered
	}},
	{name: "bc_err_str", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) {
		f := x.Rec.BackTLS.NotMade
		return stringValue(x, f.words()), f != nil || x.Rec.Answered
	}},
	{name: "bc_http_major", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.ServerHTTP2 {
			return IntValue(2), x.Rec.Answered
		}
		return IntValue(1), x.Rec.Answered
	}},
	{name: "bc_src", kind: Addr, where: InResponse | InLog, needs: NeedsBackAddr, get: addrOf(backAddr)},
	{name: "bc_src_port", kind: Int, where: InResponse | InLog, needs: NeedsBackAddr, get: portOf(backAddr)},
	{name: "bc_srv_queue", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.SrvQueue)), true }}, // 2.9
	{name: "be_connect_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.ConnectTimeout })},
	{name: "be_id", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return int64(s.ID) })},
	{name: "be_name", kind: Str, where: Everywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Backend) }},
	{name: "be_queue_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.QueueTimeout })},
	{name: "be_server_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.ServerTimeout })},
	{name: "be_tarpit_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.TarpitTimeout })},
	{name: "be_tunnel_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.TunnelTimeout })},
	{name: "cur_client_timeout", kind: Int, where: Anywhere, get: sideOf(true, func(s *Side) int64 { return s.ClientTimeout })},
	{name: "cur_connect_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.ConnectTimeout })},
	{name: "cur_queue_timeout", kind: Int, where: Anywhere, get: sideOf(false, func(s *Side) int64 { return s.QueueTimeout })},
	{name: "cur_server_timeout", kind: Int, where: InRequest | InResponse | InLog, get: currentTimeout(func(r *Record) int64 { return r.ServerTimeout }, func(s *Side) int64 { return s.ServerTimeout })},
	{name: "cur_tarpit_timeout", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		s := cmp.Or(x.Back, x.Front) // nobody is held by a backend that is not chosen
		if s == nil {
			return Value{}, false
		}
		return IntValue(s.TarpitTimeout), true
	}},
	{name: "cur_tunnel_timeout", kind: Int, where: InRequest | InResponse | InLog, get: currentTimeout(func(r *Record) int64 { return r.TunnelTimeout }, func(s *Side) int64 { return s.TunnelTimeout })},
	{name: "dst_conn", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Listener == nil || x.Listener.Conns == nil {
			return Value{}, false
		}
		return IntValue(x.Listener.Conns()), true
	}},
	{name: "dst_is_local", kind: Bool, where: Anywhere, needs: NeedsFrontAddr, get: isLocal(frontAddr)},
	{name: "fc_dst", kind: Addr, where: Anywhere, needs: NeedsFrontAddr, get: addrOf(localEnd)},
	{name: "fc_dst_is_local", kind: Bool, where: Anywhere, needs: NeedsFrontAddr, get: isLocal(localEnd)},
	{name: "fc_dst_port", kind: Int, where: Anywhere, needs: NeedsFrontAddr, get: portOf(localEnd)},
	{name: "fc_err_str", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return stringValue(x, x.Rec.NotMade.words()), true }},
	{name: "fc_fackets", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Fackets })},
	{name: "fc_http_major", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.HTTP2 {
			return IntValue(2), true
		}
		return IntValue(1), x.Req != nil || len(x.Rec.Method) > 0
	}},
	{name: "fc_lost", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Lost })},
	{name: "fc_reordering", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Reordering })},
	{name: "fc_retrans", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Retrans })},
	{name: "fc_rtt", args: "s?", kind: Int, where: Anywhere, check: checkTCPUnit, get: tcpTime(func(f *TCPFacts) uint32 { return f.RTT })},
	{name: "fc_rttvar", args: "s?", kind: Int, where: Anywhere, check: checkTCPUnit, get: tcpTime(func(f *TCPFacts) uint32 { return f.RTTVar })},
	{name: "fc_sacked", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Sacked })},
	{name: "fc_src", kind: Addr, where: Anywhere, get: addrOf(peerEnd)},
	{name: "fc_src_is_local", kind: Bool, where: Anywhere, get: isLocal(peerEnd)},
	{name: "fc_src_port", kind: Int, where: Anywhere, get: portOf(peerEnd)},
	{name: "fc_unacked", kind: Int, where: Anywhere, get: tcpOf(func(f *TCPFacts) uint32 { return f.Unacked })},
	{name: "fe_client_timeout", kind: Int, where: Anywhere, get: sideOf(true, func(s *Side) int64 { return s.ClientTimeout })},
	{name: "fe_defbe", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Front == nil {
			return Value{}, false
		}
		return named(x, x.Front.Default)
	}},
	{name: "fe_id", kind: Int, where: Anywhere, get: sideOf(true, func(s *Side) int64 { return int64(s.ID) })},
	{name: "fe_tarpit_timeout", kind: Int, where: Anywhere, get: sideOf(true, func(s *Side) int64 { return s.TarpitTimeout })},
	{name: "so_id", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Listener == nil {
			return Value{}, false
		}
		return IntValue(int64(x.Listener.ID)), true
	}},
	{name: "so_name", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Listener == nil {
			return Value{}, false
		}
		return named(x, x.Listener.Name)
	}},
	{name: "src_is_local", kind: Bool, where: Anywhere, get: isLocal(clientAddr)},
	{name: "srv_id", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) {
		return IntValue(int64(x.Rec.ServerID)), x.Rec.ServerID > 0
	}},
}

// peerEnd and localEnd are the ends of the client's connection itself.
func peerEnd(x *Ctx) netip.AddrPort {
	if x.Client == nil {
		return x.Rec.Client
	}
	peer, _ := x.Client.Ends()
	return peer
}

func localEnd(x *Ctx) netip.AddrPort {
	if x.Client == nil {
		return x.Rec.FrontAddr
	}
	_, local := x.Client.Ends()
	return local
}

// What a PROXY header or a rule says of the client's connection counts here.
func clientAddr(x *Ctx) netip.AddrPort { return x.Rec.Client }
func frontAddr(x *Ctx) netip.AddrPort  { return x.Rec.FrontAddr }
func serverAddr(x *Ctx) netip.AddrPort { return x.Rec.ServerAddr }
func backAddr(x *Ctx) netip.AddrPort   { return x.Rec.BackAddr }

func addrOf(get func(*Ctx) netip.AddrPort) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		a := get(x)
		return AddrValue(a.Addr().Unmap()), a.IsValid()
	}
}

func portOf(get func(*Ctx) netip.AddrPort) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		a := get(x)
		return IntValue(int64(a.Port())), a.IsValid()
	}
}

// sideOf reads a fact of a proxy: the frontend, or the backend.
func sideOf(front bool, get func(*Side) int64) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		s := x.Back
		if front {
			s = x.Front
		}
		if s == nil {
			return Value{}, false
		}
		return IntValue(get(s)), true
	}
}

// currentTimeout is what set-timeout asked for, or the backend's once a server is
// connected.
func currentTimeout(set func(*Record) int64, own func(*Side) int64) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		if n := set(x.Rec); n > 0 {
			return IntValue(n), true
		}
		if x.Back == nil {
			return Value{}, false
		}
		if x.Rec.Tc < 0 {
			return IntValue(0), true // as in HAProxy: nothing runs yet
		}
		return IntValue(own(x.Back)), true
	}
}

// isLocal tells whether an address is one of this machine's, as HAProxy does: by
// trying to bind a socket to it. Those of a unix socket are.
func isLocal(get func(*Ctx) netip.AddrPort) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		a := get(x).Addr()
		if !a.IsValid() || a.IsLoopback() {
			return BoolValue(true), true
		}
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return BoolValue(false), true
		}
		c.Close()
		return BoolValue(true), true
	}
}

func tcpOf(get func(*TCPFacts) uint32) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, _ *args) (Value, bool) {
		if x.Client == nil {
			return Value{}, false
		}
		f, ok := x.Client.TCP()
		return IntValue(int64(get(&f))), ok
	}
}

// tcpTime is tcpOf for a time: in milliseconds, or with "us" in microseconds.
func tcpTime(get func(*TCPFacts) uint32) func(*Ctx, *args) (Value, bool) {
	read := tcpOf(get)
	return func(x *Ctx, a *args) (Value, bool) {
		v, ok := read(x, a)
		if a.s[0] != "us" {
			v.n = (v.n + 500) / 1000
		}
		return v, ok
	}
}

func checkTCPUnit(a *args) error {
	switch a.s[0] {
	case "", "ms", "us":
		return nil
	}
	return fmt.Errorf("'%s' is not a unit; use ms or us", a.s[0])
}
