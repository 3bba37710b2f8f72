package stream

import (
	"net/netip"
	"slices"
	"time"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// What moves to the next generation (handover.go), and how a connection becomes
// it; adopt.go has the way back.

// Kind says what a Parcel holds.
type Kind string

// Kinds of parcels, with their descriptors.
const (
	ClientParcel Kind = "client" // a client between or at the beginning of a request, and the server connection that is its own, if there is one
	TunnelParcel Kind = "tunnel" // a client and its server
	ServerParcel Kind = "server" // an idle server connection

	// The same over TLS. A process that does not know them refuses them: it
	// would take what is encrypted for plain.
	SecureClientParcel Kind = "client-tls"
	SecureTunnelParcel Kind = "tunnel-tls"
	SecureServerParcel Kind = "server-tls"

	MuxParcel Kind = "client-h2" // a client that speaks HTTP/2, over TLS or not

	FreshParcel Kind = "fresh" // a client of which nothing has been read, TLS included (share.go)
)

// Parcel is one connection, or the pair of a tunnel, on its way to another
// process. Names tell where it belongs; the receiver refuses what its
// configuration does not have.
type Parcel struct {
	Kind Kind  `json:"kind"`
	FDs  []int `json:"-"`

	Frontend string `json:"frontend,omitempty"`
	Listener string `json:"listener,omitempty"`
	Backend  string `json:"backend,omitempty"`
	Server   string `json:"server,omitempty"`
	Address  string `json:"address,omitempty"` // the server's (Backend.reached)

	Peer     netip.AddrPort  `json:"peer"`
	Local    netip.AddrPort  `json:"local,omitzero"`     // what it connected to, if a PROXY header or a rule said so
	Upgraded bool            `json:"upgraded,omitempty"` // to HTTP, in a frontend in mode tcp
	Proxied  *sample.Proxied `json:"proxied,omitempty"`
	Accepted time.Time       `json:"accepted"`
	Since    int64           `json:"since"`             // wall clock, ms: the wait for the request began
	Began    int64           `json:"began"`             // wall clock, ms: its first byte; -1 before it
	Active   int64           `json:"active"`            // wall clock, ms: the client's last progress
	Waiting  int64           `json:"waiting,omitempty"` // wall clock, ms: the current request waits for a server since; 0 it does not
	Requests uint32          `json:"requests"`
	Need     int             `json:"need,omitempty"`    // connections to its server that were needed at once
	Private  bool            `json:"private,omitempty"` // the client's own server connection was authenticated: it may be nobody else's
	In       []byte          `json:"in,omitempty"`      // received, belongs to no exchange yet

	Vars *sample.Vars `json:"vars,omitempty"` // of scope sess

	// What it is counted in: the client, and a request that waits for a server.
	Tracks    []Tracked `json:"tracks,omitempty"`
	Suspended []Tracked `json:"suspended,omitempty"`

	Tunnel *TunnelState `json:"tunnel,omitempty"`
	Mux    *MuxState    `json:"mux,omitempty"` // of MuxParcel

	TLS    *wire.State `json:"tls,omitempty"`    // of the secure kinds
	Named  bool        `json:"named,omitempty"`  // the client asked for a name that a certificate had
	Verify string      `json:"verify,omitempty"` // what was demanded of the client's certificate

	BackTLS *wire.State `json:"back_tls,omitempty"` // of the connection to the server
	Demands string      `json:"demands,omitempty"`  // ServerTLS.Demands
}

// clear overwrites the secrets.
func (p *Parcel) clear() {
	p.TLS.Clear()
	p.BackTLS.Clear()
	for _, tunnel := range p.Mux.tunnels() {
		tunnel.BackTLS.Clear()
	}
}

// Secrets is where the secrets are, in an order that is always the same.
func (p *Parcel) Secrets() []*[]byte {
	all := append(p.TLS.Secrets(), p.BackTLS.Secrets()...)
	for _, tunnel := range p.Mux.tunnels() {
		all = append(all, tunnel.BackTLS.Secrets()...)
	}
	return all
}

// Needs is the version of the messages between workers (package succession)
// that a receiver has to speak to do right by p: one that does not know of what
// is new would serve it wrongly.
func (p *Parcel) Needs() int {
	switch {
	case p.Mux != nil && p.Mux.Connect:
		return 5
	case p.Kind == FreshParcel, p.Upgraded && p.Tunnel == nil:
		return 4
	case p.Mux != nil || p.TLS != nil || p.BackTLS != nil:
		return 3
	}
	if p.Private || p.Vars != nil || p.Proxied != nil || p.Local.IsValid() {
		return 2
	}
	return 1
}

// secure adds what TLS has besides the socket.
func (p *Parcel) secure(s *session) {
	if p.TLS = s.State(); p.TLS != nil {
		p.Named, p.Verify = s.ln.TLS.knows(p.TLS.SNI), s.ln.TLS.demands(p.TLS.SNI)
	}
	switch {
	case s.t != nil && s.t.c != nil:
		p.secureBack(s.t.c)
	case s.own != nil:
		p.secureBack(s.own)
	}
	p.setKind()
}

// secureBack is secure for the server's side.
func (p *Parcel) secureBack(c *serverConn) {
	if p.BackTLS = c.State(); p.BackTLS != nil {
		p.BackTLS.SNI, p.Demands = c.sni, c.be.TLS[c.srv].Demands
	}
}

// setKind makes the kind that of a parcel with TLS, if it has any.
func (p *Parcel) setKind() {
	if p.TLS == nil && p.BackTLS == nil {
		return
	}
	switch p.Kind {
	case ClientParcel:
		p.Kind = SecureClientParcel
	case TunnelParcel:
		p.Kind = SecureTunnelParcel
	case ServerParcel:
		p.Kind = SecureServerParcel
	}
}

// TunnelState is what a tunnel has besides its two sockets.
type TunnelState struct {
	ToServer   []byte        `json:"to_server,omitempty"` // received from the client, unsent
	ToClient   []byte        `json:"to_client,omitempty"` // received from the server, unsent
	ClientEOF  bool          `json:"client_eof,omitempty"`
	ServerEOF  bool          `json:"server_eof,omitempty"`
	ClientShut bool          `json:"client_shut,omitempty"` // our end was sent to the client
	ServerShut bool          `json:"server_shut,omitempty"`
	HeadAt     int64         `json:"head_at"` // wall clock, ms; 0 never
	Active     int64         `json:"active"`  // wall clock, ms: the server's last progress
	Record     sample.Record `json:"record"`
	Tracks     []Tracked     `json:"tracks,omitempty"` // the exchange's, besides the client's
}

// size is about what p takes when it is encoded, in bytes.
func (p *Parcel) size() int {
	n := 400 + len(p.In)*4/3 + p.TLS.Size() + len(p.Verify) + p.BackTLS.Size() + len(p.Demands)
	n += packedSize(p.Tracks) + packedSize(p.Suspended) + p.Mux.size()
	if p.Vars != nil {
		n += p.Vars.Size()
	}
	for _, tunnel := range p.Mux.tunnels() {
		n += tunnel.size()
	}
	if p.Tunnel != nil {
		n += packedSize(p.Tunnel.Tracks)
		n += (len(p.Tunnel.ToServer) + len(p.Tunnel.ToClient)) * 4 / 3
		n += recordSize(&p.Tunnel.Record)
	}
	return n
}

// recordSize is about what r takes. Of a text each byte may become an escape
// of six.
func recordSize(r *sample.Record) int {
	text := len(r.SNI) + len(r.Cookie) + len(r.SCookie)
	for _, list := range [...][]string{r.ReqCaptures, r.ResCaptures} {
		for _, s := range list {
			text += len(s) + 1
		}
	}
	return 1600 + (len(r.Method)+len(r.URI)+len(r.UniqueID))*4/3 + 6*text + r.Vars.Size()
}

// wallMs is a time of the loop's clock as wall clock time, ms.
func (sh *Shard) wallMs(ms int64) int64 { return sh.Loop.Time().UnixMilli() - (sh.Loop.Now() - ms) }

// loopMs is the way back.
func (sh *Shard) loopMs(wall int64) int64 { return sh.Loop.Now() - (sh.Loop.Time().UnixMilli() - wall) }

// parcel packs a session that is between requests.
func (s *session) parcel() Parcel {
	p := Parcel{
		Kind: ClientParcel, FDs: []int{s.FD()}, Frontend: s.fe.Proxy.Name, Listener: s.ln.Name, Peer: s.peer,
		Accepted: s.accepted, Since: s.sh.wallMs(s.since), Began: -1, Active: s.sh.wallMs(s.act), Requests: s.requests,
		Tracks: pack(&s.track), Suspended: pack(s.suspended),
	}
	p.Proxied, p.Upgraded = s.proxied, s.upgraded != nil
	if s.local.known {
		p.Local = s.local.addr
	}
	if s.waiting > 0 {
		p.Waiting = s.sh.wallMs(s.waiting)
	}
	if s.began >= 0 {
		p.Began = s.sh.wallMs(s.began)
	}
	if s.vars.Any() {
		p.Vars = &s.vars
	}
	p.In = slices.Clone(s.half())
	if s.in != nil {
		p.In = slices.Clone(s.in.Bytes())
	}
	return p
}

// packOwn has the server connection that is the client's own go along.
func (s *session) packOwn(p *Parcel) {
	if own := s.own; own != nil {
		own.leaving = true
		p.FDs = append(p.FDs, own.FD())
		p.Backend, p.Server, p.Address, p.Private = own.be.Proxy.Name, own.srv.Name, own.be.reached(own.srv, own.at.String()), own.private
	}
}

// unqueue takes a waiting request back to where it was read from: the
// receiver reads it again. Its flight goes to sh.unqueued.
func (s *session) unqueue() {
	t, sh := s.t, s.sh
	t.leaveQueue()
	if t.entered {
		t.be.Leave()
		sh.Back[t.be.Index].SessTotal--
	}
	sh.Front[s.fe.Index].ReqTotal--
	if t.h1 {
		sh.Front[s.fe.Index].H1.Streams--
	}
	t.suspend()
	s.requests--
	s.in.R = t.headOff
	s.scanned = 0
	s.waiting = t.start
	s.t, s.state = nil, reading
	if t.flight != nil {
		sh.unqueued = append(sh.unqueued, t.flight)
		t.flight = nil
	}
	sh.freeTxn(t)
}

// movableTunnel reports whether t is a tunnel whose unsent bytes are all in
// its two buffers, into which it puts those of a pipe. One whose server is
// still looked into stays: only this process's rules know what they are waiting
// for, and for how long.
func (t *txn) movableTunnel() bool {
	return t.phase == phaseForward && t.tunnel() && t.resKind == http1.Tunnel && t.resHeadDone &&
		t.resHead == nil && len(t.head) == 0 && t.lookUntil == 0 && t.c != nil && !t.c.Broken() && t.unpiped()
}

func (s *session) tunnelParcel() Parcel {
	p := s.parcel()
	p.Kind, p.In = TunnelParcel, nil
	s.t.packTunnel(&p)
	return p
}

// packTunnel adds what a tunnel has besides its client.
func (t *txn) packTunnel(p *Parcel) {
	s := t.s
	p.FDs = append(p.FDs, t.c.FD())
	p.Backend, p.Server, p.Address = t.be.Proxy.Name, t.srv.Name, t.be.reached(t.srv, t.srv.Addr().String())
	p.Tunnel = &TunnelState{
		ClientEOF: s.EOF(), ServerEOF: t.c.EOF(), ClientShut: s.Shut(), ServerShut: t.c.Shut(), Record: t.rec,
		Active: s.sh.wallMs(t.srvAct), Tracks: pack(&t.track),
	}
	if t.headAt > 0 {
		p.Tunnel.HeadAt = s.sh.wallMs(t.headAt)
	}
	if t.ready > 0 {
		p.Tunnel.ToServer = slices.Clone(t.src.Data[t.src.R : t.src.R+t.ready])
	}
	if t.resReady > 0 {
		p.Tunnel.ToClient = slices.Clone(t.res.Data[t.res.R : t.res.R+t.resReady])
	}
}
