package forward

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"lbsyslogd/syslogd/peers"
)

// With several peers:
//
//  1. a session begins with the first of them that can be reached; one that has failed lately comes last (dial),
//  2. the next session is with the same one, whose life it proves: that another peer stands says nothing of it (session),
//  3. when it cannot be reached any more, everything that it has not settled is sent to the next peer: it may arrive at both (moved),
//  4. when one that is wanted more can be reached again, the session ends as always, the next one only waits until that has settled, and then
//     the better one has its turn (leave).

// dial connects to the first peer that can be reached.
func (f *Forwarder) dial(ctx context.Context) (*link, error) {
	targets, err := f.Peers.Order(ctx)
	problems := []error{err}
	for _, t := range targets {
		l, err := f.dialTarget(ctx, t)
		if err == nil {
			f.Peers.Works(t)
			return l, nil
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
		f.Peers.Failed(t)
	}
	return nil, peers.Join(problems...)
}

// dialTarget connects to one peer.
func (f *Forwarder) dialTarget(ctx context.Context, t peers.Target) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	l := &link{tcp: c.(*net.TCPConn), target: t}
	if l.conn = l.tcp; f.TLS == nil {
		return l, nil
	}
	if f.settings[t.Name] == nil {
		f.settings = map[string]*tls.Config{t.Name: f.TLS(t.Name)}
	}
	secure := tls.Client(&watched{Conn: c}, f.settings[t.Name])
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("TLS with %s: %w", t.Address, err)
	}
	l.conn = secure
	return l, nil
}

// moved notes which peer a session is with. What another one has not settled is sent again.
func (f *Forwarder) moved(t peers.Target) error {
	if t.Address == f.target.Address {
		return nil
	}
	last := f.target
	f.target = t
	f.leave()
	if f.Peers.Single() {
		return nil
	}
	watch, cancel := context.WithCancel(context.Background())
	f.better, f.unwatch = f.Peers.Watch(watch, t), cancel
	f.mu.Lock()
	f.counts.Peer = t.Address
	f.mu.Unlock()
	if last.Address == "" {
		return nil
	}
	f.Queue.Log.Info("forwarding to another peer", "to", t.Address, "from", last.Address, "path", f.Queue.File.Path())
	if len(f.settling) == 0 {
		return nil
	}
	return f.rewind()
}

// leaving says whether a peer that is wanted more than the current one can be reached.
func (f *Forwarder) leaving() bool {
	select {
	case <-f.better:
		return true
	default:
		return false
	}
}

// leave forgets what was watched for.
func (f *Forwarder) leave() {
	if f.unwatch != nil {
		f.unwatch()
	}
	f.better, f.unwatch = nil, nil
}
