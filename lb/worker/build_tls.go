package worker

import (
	"crypto/tls"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/stream"
)

// verifies maps the bind line's words.
var verifies = map[string]tls.ClientAuthType{
	"": tls.NoClientCert, "none": tls.NoClientCert,
	"optional": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert,
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
	})
	for _, n := range notes {
		b.rt.note(bind.Pos.String() + ": " + n.File + ": " + n.Text)
	}
	if err != nil {
		b.refuse(bind.Pos, err)
		return nil
	}
	b.rt.tickets.add(want(bind).Key(), cfg)
	return &stream.TLS{Config: cfg, VersionName: certs.Version, CipherName: certs.Cipher}
}
