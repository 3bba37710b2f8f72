package dialect

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// signer is the authority of signer.pem.
func signer(t *testing.T) (pem string, pool *x509.CertPool) {
	t.Helper()
	b, err := os.ReadFile("testdata/certs/signer.pem")
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	return string(b), pool
}

// generatedBinds are bind lines that have certificates made.
var generatedBinds = []string{
	"crt DIR/site.pem",
	"crt DIR/site.pem strict-sni",
	"crt DIR/site.pem ssl-max-ver TLSv1.2 ca-sign-pass unused",
	"crt-list DIR/list.txt",
}

// TestGeneratedCertificates: a name that no certificate has gets one that the authority has signed, with the key of the default certificate; the next client
// with that name gets the same, until others have taken its place in the cache.
func TestGeneratedCertificates(t *testing.T) {
	files := certificates(t)
	pem, pool := signer(t)
	files["sign/signer.pem"], files["list.txt"] = pem, "DIR/site.pem *.listed.test !not.listed.test\n"
	var text strings.Builder
	text.WriteString(preface("ca-base DIR/sign\n  tune.ssl.ssl-ctx-cache-size 2\n  nbthread 1", "LINE"))
	for i, line := range generatedBinds {
		fmt.Fprintf(&text, "frontend f%d\n  bind unix@DIR/f%d.sock ssl %s generate-certificates ca-sign-file signer.pem\n  http-request return status 200\n", i, i, line)
	}
	theirs, ours := both(t, text.String(), files)
	own, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	key := own.Leaf.PublicKey.(*ecdsa.PublicKey)
	drive := func(s *subject) (got []string) {
		serials := map[string]string{}
		for i := range generatedBinds {
			for _, name := range []string{"site.test", "new.test", "New.Test", "a.listed.test", "not.listed.test", "a.b.listed.test", "one", "new.test", "a_b.test", ""} {
				c := s.shown(fmt.Sprintf("f%d", i), name)
				if c == nil && s.name == "haproxy" { // in 2.6.12 the handshake fails for which it makes one, and the next is served
					c = s.shown(fmt.Sprintf("f%d", i), name)
				}
				line := fmt.Sprintf("%d %q: ", i, name)
				if c == nil {
					got = append(got, line+"refused")
					continue
				}
				leaf := c[0]
				line += fmt.Sprintf("%v by %v for %v, %d shown", leaf.Subject, leaf.Issuer, leaf.DNSNames, len(c))
				if leaf.Issuer.CommonName == "Signer" {
					_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
					line += fmt.Sprintf(", %v, key %v, usage %v, version %d, CA %v, days %v", err, key.Equal(leaf.PublicKey), leaf.KeyUsage, leaf.Version, leaf.IsCA, leaf.NotAfter.Sub(leaf.NotBefore).Hours()/24)
					at, serial := strings.ToLower(name), leaf.SerialNumber.String()
					line += fmt.Sprintf(", kept %v, known %v", serials[at] == serial, serials[at] != "")
					serials[at] = serial
				}
				got = append(got, line)
			}
			clear(serials)
		}
		return got
	}
	same(t, "certificates", seen(theirs, drive), drive(ours))
}

// shown gives the certificates that a client sees on a unix socket of the directory; nil: it is refused.
func (s *subject) shown(socket, name string) []*x509.Certificate {
	s.t.Helper()
	raw, err := net.Dial("unix", filepath.Join(s.dir, socket+".sock"))
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("%s: no handshake for %q: %v", s.name, name, err)
	} else if err != nil {
		return nil
	}
	return c.ConnectionState().PeerCertificates
}

// TestGeneratedOverReloads: connections under names for which certificates were made go along with a reload, also where others are refused, and end with one that
// makes no more; what the bind line demands of clients it demands under such names, too.
func TestGeneratedOverReloads(t *testing.T) {
	files := certificates(t)
	files["signer.pem"], _ = signer(t)
	config := preface("", "LINE") + `
frontend f
  bind HTTP ssl strict-sni crt DIR/site.pem MORE alpn http/1.1
  http-request return status 200 hdr X-Process %pid hdr X-Own %[ssl_f_s_dn]
frontend must
  bind HTTP2 ssl crt DIR/site.pem generate-certificates ca-sign-file DIR/signer.pem verify required ca-file DIR/ca.pem
  http-request return status 200 hdr X-Own %[ssl_f_s_dn]
`
	const makes = "generate-certificates ca-sign-file DIR/signer.pem"
	s := start(t, built.LB, strings.Replace(config, "MORE", makes, 1), files)
	raw, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: "new.test", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{s, raw, bufio.NewReader(raw)}
	ask := func() string { return c.do(request("/")) }
	first := ask()
	if !strings.Contains(first, "/C=FR/O=Test Signer/CN=Signer/CN=new.test") {
		t.Errorf("before: %s", first)
	}
	if out, err := s.Reload(t.Context()); err != nil {
		t.Fatal(err, out)
	}
	wait.Until(t, "the worker before to leave", func() bool { _, leaving, err := s.Workers(); return err == nil && len(leaving) == 0 })
	if next := ask(); next == first || !strings.Contains(next, "/CN=new.test") {
		t.Errorf("the connection after a reload: %q, before %q", next, first)
	}
	for show, want := range map[string]string{"": "refused", "client.pem": "X-Own: /C=FR/O=Test Signer/CN=Signer/CN=other.test"} {
		if got := s.secure(s.fill("HTTP2"), show, &tls.Config{ServerName: "other.test"}); !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			t.Errorf("with certificate %q: %s, want %s", show, got, want)
		}
	}
	if err := s.Configure(s.fill(strings.Replace(config, "MORE", "", 1))); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Reload(t.Context()); err != nil {
		t.Fatal(err, out)
	}
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, raw); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection does not end where its name is refused")
	}
	if slices.Contains([]string{"refused", "no handshake"}, s.secure(s.addr, "", &tls.Config{ServerName: "site.test"})) {
		t.Error("the certificate's own name is refused")
	}
}
