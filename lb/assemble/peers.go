package assemble

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/peers"
	"lbsyslogd/syslogd/message"
)

// peers makes the peers sections. Their listeners are the sections'.
func (b *builder) peers(socks *handoff.Set) {
	for _, c := range b.cfg.Peers {
		s := &peers.Section{Name: c.Name, Self: c.Self, Pid: b.env.Pid}
		for _, t := range c.Tables {
			s.Tables = append(s.Tables, peers.Table{Name: t.Name, Table: b.eng.Tables[t.Spec.Name]})
		}
		for i := range c.Binds {
			bind := &c.Binds[i]
			s.Addr = cmp.Or(s.Addr, want(bind).String())
			l, err := b.peersListener(bind, socks)
			if err != nil {
				b.refuse(bind.Pos, err)
				continue
			}
			s.Listeners = append(s.Listeners, l)
		}
		for i := range c.Nodes {
			n := &c.Nodes[i]
			p, err := b.peer(n)
			if err != nil {
				b.refuse(n.Pos, err)
				continue
			}
			s.Peers = append(s.Peers, p)
		}
		side, err := b.rt.side.open(b.logs.targets(c.Logs))
		if err != nil {
			b.refuse(c.Pos, err)
			continue
		}
		s.Report = func(text string, bad bool) {
			level, severity := slog.LevelInfo, message.Notice
			if bad {
				level, severity = slog.LevelWarn, message.Warning
			}
			b.rt.logEvent(level, "", text)
			side.write(severity, text)
		}
		b.rt.peers = append(b.rt.peers, s)
	}
}

// peersListener makes a listener of a bind line's socket.
func (b *builder) peersListener(bind *config.Bind, socks *handoff.Set) (net.Listener, error) {
	fd, err := take(socks, bind)
	if err != nil {
		return nil, err
	}
	b.rt.expose(want(bind).Key(), fd)
	f := os.NewFile(uintptr(fd), bind.Address)
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("listen for peers: %w", err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // other generations listen there too
	}
	if t := b.tls(bind); t != nil {
		l = tls.NewListener(l, t.Config)
	}
	return l, nil
}

// peer says how a peer is connected to.
func (b *builder) peer(n *config.Server) (*peers.Peer, error) {
	network, address := n.Network, n.Address()
	switch network {
	case "unix":
		address = n.Host
	case "abns":
		network, address = "unix", "@"+n.Host
	}
	dialer := &net.Dialer{Control: peerSocket(&n.ServerSocket)}
	if from := n.Source; from.IsValid() && network == "tcp" {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	var secure *tls.Config
	if n.TLS.On {
		o := clientOptions(&n.TLS)
		o.ALPN = n.TLS.Offer
		var err error
		if secure, err = b.certificates().Client(o); err != nil {
			return nil, err
		}
	}
	return &peers.Peer{Name: n.Name, Addr: n.Address(), Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil || secure == nil {
			return conn, err
		}
		over := tls.Client(conn, secure)
		if err := over.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return over, nil
	}}, nil
}

// peerSocket sets what a peer's line says of the socket.
func peerSocket(s *config.ServerSocket) func(string, string, syscall.RawConn) error {
	if s.Interface == "" && s.UserTimeout == 0 {
		return nil
	}
	return func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) {
			if s.Interface != "" {
				err = unix.BindToDevice(int(fd), s.Interface)
			}
			if err == nil && s.UserTimeout != 0 {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.UserTimeout.Milliseconds()))
			}
		})
		return cmp.Or(failed, err)
	}
}

// Peers implements control.Runtime.
func (rt *Runtime) Peers() peers.Set { return rt.peers }
