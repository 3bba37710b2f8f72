package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"testing"
)

// TestOpenSSLErrors: what a handshake failed with has OpenSSL's number and words.
// That crypto/tls still has these texts is tested with real handshakes.
func TestOpenSSLErrors(t *testing.T) {
	own := newAuthority(t, "ca")
	server := func(change func(*tls.Config)) *tls.Config {
		c := own.server(t, 1)
		if change != nil {
			change(c)
		}
		return c
	}
	skip := &tls.Config{InsecureSkipVerify: true}
	for _, c := range []struct {
		server, client *tls.Config
		raw            string // in place of the client
		want           string
	}{
		{server(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert; c.MaxVersion = tls.VersionTLS12 }), skip, "", "error:0A0000C7:SSL routines::peer did not return a certificate"},
		{server(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, "", "error:0A000102:SSL routines::unsupported protocol"},
		{server(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}), skip, "", "error:0A0000C1:SSL routines::no shared cipher"},
		{server(func(c *tls.Config) {
			c.Certificates, c.GetCertificate = nil, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
		}), skip, "", "error:0A0000EA:SSL routines::callback failed"},
		{server(nil), &tls.Config{ServerName: "a.test", RootCAs: x509.NewCertPool()}, "", "error:0A000412:SSL routines::sslv3 alert bad certificate"},
		{server(nil), nil, "GET / HTTP/1.0\r\n\r\n", "error:0A00009C:SSL routines::http request"},
		{server(nil), nil, "CONNECT a:443 HTTP/1.0\r\n\r\n", "error:0A00009B:SSL routines::https proxy request"},
		{server(nil), nil, "\x16\x03\x01\x00\x05hello", "error:0A0000F4:SSL routines::unexpected message"},
		{server(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} }), &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}, "", "error:0A000065:SSL routines::no suitable key share"},
		{server(nil), nil, "what is it then\r\n", "error:0A00010B:SSL routines::wrong version number"},
	} {
		near, far, err := ends()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c.client != nil {
				_ = tls.Client(far, c.client).Handshake() // the server's end is looked at
			} else {
				go func() { _, _ = io.WriteString(far, c.raw) }() // the answer may come before it is read
			}
			_, _ = io.Copy(io.Discard, far)
			far.Close()
		}()
		err = tls.Server(near, c.server).Handshake()
		near.Close()
		if _, text := OpenSSLError(err); text != c.want {
			t.Errorf("%v: %q, want %q", err, text, c.want)
		}
	}
	if code, text := OpenSSLError(&Problem{Err: errors.New("expired"), Code: errExpired}); code != 0x0A000086 || text != "error:0A000086:SSL routines::certificate verify failed" {
		t.Errorf("%x %q", code, text)
	}
	if code, text := OpenSSLError(io.EOF); code != 0 || text != "" {
		t.Errorf("%x %q", code, text)
	}
}
