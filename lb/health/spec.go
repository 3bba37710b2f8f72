package health

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Spec says how a server is checked. Immutable after New.
type Spec struct {
	Network string // "tcp" or "unix"
	Address string // "192.0.2.1:80" or a path
	// Where gives the address at the time of a check, in place of Address; nil
	// for one that never changes.
	Where func() string

	// Dial makes connections, by a dialer with their deadline; nil dials with that.
	Dial Dial
	// SOCKS4 is the proxy that connects to the server, for those connections that
	// say so, and with ViaSOCKS4 for those that do as the server line says; invalid:
	// none does.
	SOCKS4    netip.AddrPort
	ViaSOCKS4 bool

	Inter     time.Duration // between checks of a server that is surely up or down; 2s when 0
	FastInter time.Duration // between checks while health is on its way; Inter when 0
	DownInter time.Duration // between checks of a server that is down; Inter when 0
	Rise      int           // 2 when 0
	Fall      int           // 3 when 0

	// Check bounds the time from the connection to the end of the answer, and
	// Connect the connection before it (at most Inter). Without Check the whole
	// of a check must end within Inter.
	Connect time.Duration
	Check   time.Duration

	// SpreadPct moves each turn by up to that share of the interval, in
	// percent, either way (spread-checks).
	SpreadPct int

	// Script is what is done; without steps a connection is enough.
	Script Script
	// Program is run in its place; nil for none. Subject gives its arguments,
	// and the variables that tell which server it is about, at the time of a check.
	Program *Program
	Subject func() (args, env []string)

	TLS         *tls.Config // of connections over TLS
	HTTP2       bool        // HTTP checks speak HTTP/2; else only where TLS agrees on it
	Secure      bool        // connections that do as the server line says are such
	ProxyHeader int         // version of the PROXY header such connections begin with; 0: none
	NeverLocal  bool        // one of version 2 has the connection's addresses

	Scope Scope // what expressions and formats of the script see

	// DisableOn404 makes the answer 404 of a server that is up mean that it
	// wants no new clients (http-check disable-on-404).
	DisableOn404 bool
	// InService reports whether the server takes traffic, whatever keeps it from
	// that; nil goes by these checks alone.
	InService func() bool
	// State gives the X-Haproxy-Server-State header of requests; nil sends
	// none (http-check send-state).
	State func() string

	// Agent makes the check an agent's: what it says is more than good or bad,
	// and that nobody answers means nothing.
	Agent bool

	quick  bool   // nothing but a connection to target
	target []byte // Address as the kernel has it; nil for one that needs a lookup
}

// resolve looks what can be known of the spec before a check.
func (s *Spec) resolve() {
	s.target = s.sockaddr()
	s.quick = s.plain()
}

// Report is the outcome of one check, and what became of the server's health.
type Report struct {
	Up       bool   // the server is up now
	Changed  bool   // and was not before, or the other way round
	Passed   bool   // this check was good
	Agent    bool   // it was the agent's
	Orders   Orders // what the agent wants
	First    bool   // the first check of this server
	Counted  bool   // it failed and there was health to lose: chkfail grows
	Status   Status
	Code     int           // HTTP status code, 0 if there was none
	Duration time.Duration // of this check
	Info     string        // detail, "Connection refused"; may be empty
	Health   int           // 0..Rise+Fall-1
	Rise     int
	Fall     int

	Unweighted bool // the server has a weight of 0: it is up for those that know it
}

// Dial makes a connection with a dialer that has its deadline.
type Dial func(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error)
