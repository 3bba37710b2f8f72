package assemble

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stream"
)

// tlsFiles are the files of certificates that a runtime serves with.
type tlsFiles struct {
	certs  *certs.Store
	leaves func() []served // nil: there is no TLS
}

// served is a certificate that clients are shown.
type served struct {
	where string // the bind line's place and the file
	leaf  *x509.Certificate
}

// served lists the certificates that clients are shown now.
func (f *tlsFiles) served() (list []served) {
	f.certs.Served(func(line, file string, leaf *x509.Certificate) {
		list = append(list, served{line + ": " + file, leaf})
	})
	return list
}

// watchCertificates warns once a day of certificates whose time is over, or
// soon will be, until ctx ends. Those of the start have been reported.
func (rt *Runtime) watchCertificates(ctx context.Context) {
	if rt.leaves == nil {
		return
	}
	day := time.NewTicker(24 * time.Hour)
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-day.C:
			for _, c := range rt.leaves() {
				if text := certs.Expiry(c.leaf, now); text != "" {
					rt.logEvent(slog.LevelWarn, event.Certificate, c.where+": "+text)
				}
			}
		}
	}
}

// certificates makes the store of all files with certificates.
func (b *builder) certificates() *certs.Store {
	if b.rt.certs == nil {
		g := &b.cfg.Global
		b.rt.certs = &certs.Store{Extras: g.TLSExtras, ChainPath: g.IssuersChain, CrtBase: g.CrtBase, Settings: g.CrtListSettings, Generated: g.GeneratedCerts, Report: b.rt.reports.report}
	}
	return b.rt.certs
}

// tls loads the certificates of a bind line; nil when it is plain or refused.
func (b *builder) tls(bind *config.Bind) *stream.TLS {
	t := bind.TLS
	if t == nil {
		return nil
	}
	l, notes, err := b.certificates().Load(certs.Options{
		Name: bind.Pos.String(), Sources: t.Sources, Settings: t.Settings, StrictSNI: t.StrictSNI, NoTickets: t.NoTickets, TicketKeys: t.TicketKeys, Signing: t.Signing,
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
	b.rt.leaves = b.rt.served
	if t.TicketKeys == "" {
		b.rt.tickets.Add(want(bind).Key(), l.Config)
	}
	return &stream.TLS{
		Config: l.Config, VersionName: certs.Version, CipherName: certs.Cipher,
		Demands: l.Demands, Allows: l.Allows, Suites: l.Suites, StrictSNI: t.StrictSNI, Knows: l.Knows,
		Explain: explain,
	}
}

// explain says what a handshake failed for.
func explain(err error) (f sample.Fault) {
	f.TLS, f.TLSText = certs.OpenSSLError(err)
	switch p := certs.ProblemOf(err); {
	case p == nil:
	case p.Depth > 0:
		f.CA, f.CADepth = p.Code, p.Depth
	default:
		f.Crt = p.Code
	}
	return f
}

// sslCommands are the commands about certificates.
type sslCommands struct {
	*certs.Store
	eng *stream.Engine
}

// commands has the store made, too: certificates may be added while it serves.
func (b *builder) commands() sslCommands { return sslCommands{b.certificates(), b.eng} }

// Command has connections to servers made anew when a file is replaced that they
// were made with.
func (c sslCommands) Command(verb, object string, args []string, payload []byte) string {
	text := c.Store.Command(verb, object, args, payload)
	if verb == "commit" && len(args) > 0 && strings.HasSuffix(text, "Success!\n") {
		c.eng.RenewTLS(args[0])
	}
	return text
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
	o.Of = cs
	o.ALPN, o.Resume = t.Offer, !t.NoReuse && !t.NoTickets
	if cs.Proto == "h1" { // what is offered must be spoken
		o.ALPN = withoutHTTP2(o.ALPN)
	}
	cfg, err := b.certificates().Client(o)
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
	return &stream.ServerTLS{HTTP1: http1, Config: cfg, SNI: t.AskFormat, VersionName: certs.Version, CipherName: certs.Cipher, Explain: explain, Demands: serverDemands(o, t.Ask), Files: []string{o.CA, o.CRL, o.Cert}}
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
		data, _ := os.ReadFile(file) // Client has read it
		fmt.Fprintf(sum, " %x", sha256.Sum256(data))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
