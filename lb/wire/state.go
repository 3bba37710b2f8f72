package wire

import (
	"slices"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/secret"
	"lbsyslogd/lb/tlsrecord"
)

// State is what a TLS connection consists of besides its socket. It holds the
// connection's secrets: they are not part of its JSON, whose encoder would keep a
// copy, and whoever has sent it clears it.
type State struct {
	Info
	Record   []byte `json:"-"`             // of lb/tlsrecord
	In       []byte `json:"in,omitempty"`  // ciphertext, unread
	Plain    []byte `json:"-"`             // decrypted, not taken
	Out      []byte `json:"out,omitempty"` // encrypted, unsent
	Shutdown bool   `json:"shutdown,omitempty"`
}

// Clear overwrites what is secret.
func (s *State) Clear() {
	if s != nil {
		clear(s.Record)
		clear(s.Plain)
		s.Record, s.Plain = nil, nil
	}
}

// Secrets is where the secrets are, in an order that is always the same.
func (s *State) Secrets() []*[]byte {
	if s == nil {
		return nil
	}
	return []*[]byte{&s.Record, &s.Plain}
}

// Size is about how many bytes the state takes when it is encoded.
func (s *State) Size() int {
	if s == nil {
		return 0
	}
	return 400 + (len(s.Record)+len(s.In)+len(s.Plain)+len(s.Out))*4/3 + len(s.SNI) + len(s.ALPN) + s.Detail.size()
}

// Movable reports whether the connection could go on in another process.
func (c *Conn) Movable() bool {
	return c.hs == nil && !c.broken && (c.kind == Plain || c.kind == Secure)
}

// State is the connection's state; nil of a plain one. Whoever resumes it goes
// on in its place: if nobody does, this one may, and else it may only Forget.
func (c *Conn) State() *State {
	if c.kind != Secure {
		return nil
	}
	t := c.tls
	s := &State{
		Info: t.Info, Record: t.rec.AppendState(make([]byte, 0, tlsrecord.StateSize)),
		In: slices.Clone(t.buffered()), Plain: slices.Clone(t.plain), Shutdown: t.shutdown,
	}
	secret.Registers()
	if t.out != nil {
		s.Out = slices.Clone(t.out.Bytes())
	}
	return s
}

// Valid reports whether Resume can go on with the state; a nil one is of a
// plain connection. One of another build may be in a form that is not known.
func (s *State) Valid() bool {
	if s == nil {
		return true
	}
	// Decrypted bytes lie before the ciphertext in one buffer.
	if len(s.Plain)+len(s.In) > loop.BufferSize || len(s.Out) > SealedSize(loop.BufferSize) {
		return false
	}
	c, err := tlsrecord.Restore(s.Record)
	if err != nil {
		return false
	}
	c.Forget()
	return true
}

// Resume makes a connection that was just opened go on as s says, which must be
// valid.
func (c *Conn) Resume(s *State) {
	rec, err := tlsrecord.Restore(s.Record)
	if err != nil {
		c.broken = true
		return
	}
	t := &TLS{Info: s.Info, rec: rec, shutdown: s.Shutdown}
	c.kind, c.tls = Secure, t
	switch {
	case len(s.Plain) > 0:
		t.getIn(c)
		t.in.W = copy(t.in.Data[:], s.Plain)
		t.plain = t.in.Data[:t.in.W]
		t.in.R = t.in.W
		t.in.W += copy(t.in.Data[t.in.W:], s.In)
	case len(s.In) > 0:
		t.part = slices.Clone(s.In)
	}
	if len(s.Out) > 0 {
		t.getOut(c)
		if len(s.Out) > len(t.out.Data) { // of a process with larger buffers
			t.out.Data = make([]byte, len(s.Out))
		}
		t.out.W = copy(t.out.Data, s.Out)
	}
}
