package assemble

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/stream"
)

// verifies maps the bind line's words.
var verifies = map[string]tls.ClientAuthType{
	"": tls.NoClientCert, "none": tls.NoClientCert,
	"optional": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert,
}

// demands tells what a bind line demands of clients' certificates, "" nothing.
// Two bind lines that say the same have the same authorities, too.
func demands(verify, file string) string {
	if verifies[verify] == tls.NoClientCert {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil { // Load has just read it: nothing moves here
		return "unknown since " + time.Now().String()
	}
	return fmt.Sprintf("%s %x", verify, sha256.Sum256(data))
}

// tls loads the certificates of a bind line; nil when it is plain or refused.
func (b *builder) tls(bind *config.Bind) *stream.TLS {
	t := bind.TLS
	if t == nil {
		return nil
	}
	cfg, notes, err := certs.Load(certs.Options{
		Files: t.Certs, StrictSNI: t.StrictSNI, ALPN: t.ALPN, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion,
		Ciphers: t.Ciphers, ClientCA: t.CAFile, Verify: verifies[t.Verify], NoTickets: t.NoTickets,
		Loaded: func(file string, leaf *x509.Certificate) {
			b.rt.leaves = append(b.rt.leaves, served{bind.Pos.String() + ": " + file, leaf})
		},
	})
	for _, n := range notes {
		text := bind.Pos.String() + ": " + n.File + ": " + n.Text
		b.notes = append(b.notes, text)
		b.rt.logEvent(slog.LevelWarn, event.Certificate, text)
	}
	if err != nil {
		b.refuse(bind.Pos, err)
		return nil
	}
	b.rt.tickets.Add(want(bind).Key(), cfg)
	return &stream.TLS{
		Config: cfg, VersionName: certs.Version, CipherName: certs.Cipher,
		Verify: demands(t.Verify, t.CAFile), StrictSNI: t.StrictSNI,
		Knows: func(name string) bool { return certs.Knows(cfg, name) },
	}
}

// clientOptions are what a server's line says about TLS.
func clientOptions(t *config.ServerTLS) certs.ClientOptions {
	o := certs.ClientOptions{
		CA: t.CAFile, Name: t.VerifyHost, Cert: t.Cert, Ciphers: t.Ciphers, CRL: t.CRLFile,
		MinVersion: t.MinVersion, MaxVersion: t.MaxVersion,
	}
	if t.Verify == "none" {
		o.CA, o.CRL = "", ""
	}
	return o
}

// serverTLS is how a server is spoken to over TLS; nil for plainly, or refused.
func (b *builder) serverTLS(cs *config.Server) *stream.ServerTLS {
	t := &cs.TLS
	if !t.On {
		return nil
	}
	o := clientOptions(t)
	o.ALPN, o.Resume = t.Offer, !t.NoReuse && !t.NoTickets
	if cs.Proto == "h1" { // what is offered must be spoken
		o.ALPN = withoutHTTP2(o.ALPN)
	}
	cfg, err := certs.Client(o)
	if err != nil {
		b.refuse(cs.Pos, err)
		return nil
	}
	var http1 *tls.Config
	if plain := withoutHTTP2(o.ALPN); len(plain) != len(o.ALPN) {
		if http1 = cfg.Clone(); len(plain) == 0 {
			plain = []string{"http/1.1"}
		}
		http1.NextProtos = plain
	}
	return &stream.ServerTLS{HTTP1: http1, Config: cfg, SNI: t.AskFormat, VersionName: certs.Version, CipherName: certs.Cipher, Demands: serverDemands(o, t.Ask)}
}

// withoutHTTP2 is what is left of a list of protocols for HTTP/1.
func withoutHTTP2(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "h2" })
}

// serverDemands tells what a connection to a server must have been made with.
func serverDemands(o certs.ClientOptions, ask string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %v %d %d %v", o.CA, o.Name, ask, o.ALPN, o.MinVersion, o.MaxVersion, o.Ciphers)
	for _, file := range []string{o.CA, o.CRL, o.Cert} {
		data, _ := os.ReadFile(file) // certs.Client has read it
		fmt.Fprintf(sum, " %x", sha256.Sum256(data))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
