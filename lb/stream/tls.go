package stream

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
	"lbsyslogd/syslogd/message"
)

// TLS is how a listener terminates TLS.
type TLS struct {
	Config *tls.Config
	// VersionName and CipherName give OpenSSL's names for the log.
	VersionName func(uint16) string
	CipherName  func(uint16) string
	// Demands tells what is demanded of the certificate of a client that asks
	// for a name, "" nothing; Allows gives the settings for such clients, where
	// they are not Config's. nil: nothing, and Config.
	Demands func(name string) string
	Allows  func(name string) *tls.Config
	// Suites are those of TLS 1.3 that such clients are served with; nil: all.
	Suites func(name string) []uint16
	// Explain says what a handshake failed for, and of which certificate, but for
	// Fault.What; nil says nothing.
	Explain func(error) sample.Fault
	// Knows reports whether a certificate has a name; StrictSNI refuses clients
	// that ask for another. nil knows every name.
	Knows     func(name string) bool
	StrictSNI bool
}

func (t *TLS) knows(name string) bool { return t.Knows == nil || t.Knows(name) }

// demands is Demands.
func (t *TLS) demands(name string) string {
	if t.Demands == nil {
		return ""
	}
	return t.Demands(name)
}

// allows is Allows.
func (t *TLS) allows(name string) *tls.Config {
	if t.Allows == nil {
		return t.Config
	}
	return t.Allows(name)
}

// details reports whether a connection to be adopted brings what rules and log
// lines ask of its handshake.
func (fe *Frontend) details(i *wire.Info) bool {
	return fe.Needs&sample.NeedsTLS == 0 || i.Detail != nil
}

// takes reports whether a connection that was made in an earlier process could
// have been made here: its client shows no other certificate than the one that
// is demanded, its version and suite are allowed, and there still is a
// certificate for the name that it asked for.
func (t *TLS) takes(p *Parcel) bool {
	c, s := t.allows(p.TLS.SNI), p.TLS
	demands := t.demands(s.SNI)
	switch {
	case demands != "" && demands != p.Verify,
		s.Version < c.MinVersion, c.MaxVersion != 0 && s.Version > c.MaxVersion,
		s.Version == tls.VersionTLS13 && !t.hasSuite(s.SNI, s.Suite),
		s.Version == tls.VersionTLS12 && c.CipherSuites != nil && !slices.Contains(c.CipherSuites, s.Suite),
		(p.Named || t.StrictSNI) && !t.knows(s.SNI):
		return false
	}
	return true
}

// hasSuite reports whether clients that ask for a name are served with a suite of
// TLS 1.3.
func (t *TLS) hasSuite(name string, suite uint16) bool {
	if t.Suites == nil {
		return true
	}
	suites := t.Suites(name)
	return suites == nil || slices.Contains(suites, suite)
}

// Handshakes tells how many TLS handshakes are being computed, and how many
// wait for a core.
func (e *Engine) Handshakes() (computing, waiting int) { return e.gate.Load() }

// defaultHandshake bounds a handshake where no timeout is set, ms.
const defaultHandshake = 10_000

// handshake begins the handshake of an accepted connection.
func (s *session) handshake() {
	timeout := s.fe.Timeouts.ClientHandshake
	if timeout == 0 {
		timeout = s.fe.Timeouts.Client
		if r := s.fe.Timeouts.Request; r > 0 && (timeout == 0 || r < timeout) {
			timeout = r
		}
	}
	timeout = cmp.Or(timeout, defaultHandshake)
	s.leaveAt = s.sh.Loop.Now() + timeout
	s.state = handshaking
	s.StartHandshake(&wire.Handshake{
		Config: s.ln.TLS.Config, Gate: s.sh.eng.gate, Turns: s.sh.turns, Until: time.Now().Add(msec(timeout)),
		Detailed: s.fe.Needs&sample.NeedsTLS != 0, Capture: s.sh.eng.Limits.Hello, Peer: net.TCPAddrFromAddrPort(s.peer), Done: s.handshaken,
	})
	if s.state == handshaking {
		s.rearm()
	}
}

// handshaken goes on after the handshake.
func (s *session) handshaken(err error) {
	s.leaveAt = 0
	if err != nil {
		s.handshakeFailed(err)
		return
	}
	info := s.Info()
	s.ln.TLS.name(info)
	c := &s.sh.Front[s.fe.Index]
	c.SSLSessions++
	if info.Resumed {
		c.SSLReused++
	}
	s.hsTime = int32(s.sh.Loop.Now() - s.since)
	s.act = s.sh.Loop.Now()
	s.state = reading
	if !s.opened() {
		return
	}
	switch {
	case !s.http:
		s.state = inspecting
	case info.ALPN == "h2":
		s.startMux()
	default:
		c.H1.Conns++
	}
	s.run()
}

// describeFailed is what is known of a handshake that came to no end. The version is
// the highest that there could have been, as with OpenSSL, where none was agreed on.
func (t *TLS) describeFailed(r *sample.TLSFacts, i *wire.Info) {
	version := cmp.Or(i.Version, t.Config.MaxVersion, tls.VersionTLS13)
	if most := t.Config.MaxVersion; most != 0 {
		version = min(version, most)
	}
	r.TLSVer, r.Cipher, r.SNI = t.VersionName(version), "(NONE)", i.SNI
	if i.Suite != 0 {
		r.Cipher = t.CipherName(i.Suite)
	}
	if i.Detail != nil {
		r.Detail = i.Detail
	}
}

// name gives the names for the log.
func (t *TLS) name(info *wire.Info) {
	info.VersionName, info.SuiteName = t.VersionName(info.Version), t.CipherName(info.Suite)
}

// HAProxy's words for handshakes that did not come to their end.
const (
	handshakeClosed  = "Connection closed during SSL handshake"
	handshakeTimeout = "Timeout during SSL handshake"
	handshakeFailure = "SSL handshake failure"
	handshakeCA      = "SSL client CA chain cannot be verified"
	handshakeCrt     = "SSL client certificate not trusted"
)

// handshakeFailed ends a connection whose handshake failed. As with HAProxy a
// client that left before it said a whole record, or took too long, is one
// that option dontlognull says nothing of.
func (s *session) handshakeFailed(err error) {
	sh := s.sh
	c := &sh.Front[s.fe.Index]
	c.SSLFailed++
	if !clientLeft(err) {
		c.Unshaken++
	}
	f, null := &sample.Fault{}, false
	if s.ln.TLS.Explain != nil {
		*f = s.ln.TLS.Explain(err)
	}
	f.What = handshakeFailure
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.What, null = handshakeTimeout, true
	case errors.Is(err, wire.ErrLeft):
		f.What, null = handshakeClosed, true
	case f.CA != 0:
		f.What = handshakeCA
	case f.Crt != 0:
		f.What = handshakeCrt
	}
	if !null || !s.fe.Access.DontLogNull {
		severity := message.Info
		if s.fe.Access.SeparateErrors {
			severity = message.Err
		}
		var info wire.Info
		var failed *wire.Failed
		if errors.As(err, &failed) {
			info = failed.Info
		}
		sh.logEmbryonic(s, severity, f, &info)
	}
	s.close()
}

// clientLeft reports whether a handshake failed because the client was gone, or
// never spoke: checks of the port, connections made in advance, programs that end.
// Clients that do not like what they are shown say so in an alert.
func clientLeft(err error) bool {
	for _, gone := range []error{wire.ErrLeft, wire.ErrSilent, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// describeTLS is what logs and rules know of the client's handshake.
func (s *session) describeTLS(r *sample.Record) {
	if i := s.outer().Info(); i != nil {
		r.TLSVer, r.Cipher, r.SNI, r.ALPN, r.Resumed = i.VersionName, i.SuiteName, i.SNI, i.ALPN, i.Resumed
		if r.Detail = nil; i.Detail != nil {
			r.Detail = i.Detail
		}
	}
}
