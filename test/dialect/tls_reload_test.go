package dialect

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// served is what handshakes with s show: whose certificate without a name and for new.test, whether an answer about it is stapled, and which of the clients
// that have certificates are answered, with the sessions that they have and without: what was demanded when a session began proves nothing now.
func (s *subject) served(clients map[string]tls.Certificate, sessions map[string]tls.ClientSessionCache) (text string, resumed int) {
	s.t.Helper()
	shake := func(name string, pair *tls.Certificate, cache tls.ClientSessionCache) (seen string, ok bool) {
		cfg := &tls.Config{ServerName: name, InsecureSkipVerify: true, ClientSessionCache: cache}
		if pair != nil {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
		}
		c, err := tls.Dial("tcp", s.addr, cfg)
		if err != nil {
			return "", false
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		b, _ := io.ReadAll(c) // cut where the certificate is refused
		state := c.ConnectionState()
		if state.DidResume {
			resumed++
		}
		return fmt.Sprintf("%d %v", state.PeerCertificates[0].SerialNumber, len(state.OCSPResponse) > 0), strings.HasPrefix(string(b), "HTTP/1.1 200")
	}
	first, _ := shake("site.test", nil, nil)
	second, _ := shake("new.test", nil, nil)
	text = first + ", new.test " + second
	for _, name := range []string{"client", "gone", "stranger"} {
		pair := clients[name]
		_, anew := shake("site.test", &pair, nil)
		_, again := shake("site.test", &pair, sessions[name])
		if text += fmt.Sprintf(", %s %v", name, anew); again != anew {
			text += fmt.Sprintf(" (with a session %v)", again)
		}
	}
	return text, resumed
}

// TestCertificateChangesOverReloads: what commands have made of certificates, authorities, revocation lists, crt-lists, stapled answers and ticket keys holds for the
// handshakes after reloads and after a restart, until the file itself has changed.
func TestCertificateChangesOverReloads(t *testing.T) {
	ca, other := newIssuer(t, "CA"), newIssuer(t, "Other")
	pair := func(name string, serial int64) tls.Certificate { return ca.pair(name, serial, 24*time.Hour) }
	second, third, fourth := pair("site.test", 3), pair("new.test", 4), pair("site.test", 5)
	clients := map[string]tls.Certificate{"client": pair("client", 6), "gone": pair("gone", 8), "stranger": other.pair("stranger", 6, 24*time.Hour)}
	keys := strings.Repeat(strings.Repeat("QUJD", 16)+"\n", 3)
	s := start(t, built.LB, preface("crt-base DIR\n  ca-base DIR", "LINE")+`
frontend f
  bind HTTP ssl crt-list DIR/list.txt ca-file ca.pem verify optional crl-file crl.pem tls-ticket-keys DIR/keys
  http-request return status 200
`, map[string]string{
		"site.pem": ca.file(pair("site.test", 2)) + ca.pem(), "list.txt": "site.pem\n", "ca.pem": ca.pem(), "crl.pem": ca.revoke(99), "keys": keys,
	})
	sessions := map[string]tls.ClientSessionCache{}
	for name := range clients {
		sessions[name] = tls.NewLRUClientSessionCache(1)
	}
	want := func(when, text string) (resumed int) {
		t.Helper()
		got, resumed := s.served(clients, sessions)
		if got != text {
			t.Errorf("%s: %s\nwant %s", when, got, text)
		}
		return resumed
	}
	want("at first", "2 false, new.test 2 false, client true, gone true, stranger false")
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct{ command, payload, answer string }{
		{"set ssl cert DIR/site.pem", ca.file(second) + ca.pem(), "Transaction created"},
		{"commit ssl cert DIR/site.pem", "", "Success!"},
		{"new ssl cert DIR/new.pem", "", "New empty"},
		{"set ssl cert DIR/new.pem", ca.file(third), "Transaction created"},
		{"commit ssl cert DIR/new.pem", "", "Success!"},
		{"add ssl crt-list DIR/list.txt DIR/new.pem", "", "Success!"},
		{"set ssl ca-file DIR/ca.pem", ca.pem() + other.pem(), "transaction created"},
		{"commit ssl ca-file DIR/ca.pem", "", "Success!"},
		{"set ssl crl-file DIR/crl.pem", ca.revoke(8) + other.revoke(99), "transaction created"},
		{"commit ssl crl-file DIR/crl.pem", "", "Success!"},
		{"set ssl ocsp-response", b64(ca.staple(second)), "OCSP Response updated!"},
		{"set ssl tls-key #0 " + b64(strings.Repeat("n", 48)), "", "TLS ticket key updated!"},
	} {
		text := strings.ReplaceAll(c.command, "DIR", s.dir)
		if c.payload != "" {
			text += " <<\n" + strings.TrimSpace(c.payload) + "\n"
		}
		if got, err := s.Command(text); err != nil || !strings.Contains(got, c.answer) { // not s.command, which would find its words in base64
			t.Errorf("%s: %q %v", c.command, got, err)
		}
	}
	const changed = "3 true, new.test 4 false, client true, gone false, stranger true"
	want("changed", changed)
	ticket := s.command("show tls-keys #0")
	for i := range 2 {
		if out, err := s.Reload(t.Context()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if n := want(fmt.Sprintf("after reload %d", i+1), changed); n != 2 {
			t.Errorf("after reload %d: %d clients have resumed their sessions, want client and stranger", i+1, n)
		}
	}
	old, _, err := s.Workers()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the new master's worker", func() bool { now, _, err := s.Workers(); return err == nil && now != old })
	want("after a restart", changed)
	if got := s.command("show tls-keys #0"); got != ticket {
		t.Errorf("ticket keys after a restart: %q, want %q", got, ticket)
	}
	if err := writeUnder(s.dir, "site.pem", ca.file(fourth)+ca.pem()); err != nil {
		t.Fatal(err)
	}
	if err := writeUnder(s.dir, "crl.pem", ca.revoke(99)+other.revoke(6)); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Reload(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want("after two files have changed", "5 false, new.test 4 false, client true, gone true, stranger false")
}
