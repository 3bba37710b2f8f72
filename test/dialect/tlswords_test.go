package dialect

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// versionBinds are bind lines that choose TLS versions. Security level 0 is OpenSSL's for the versions before TLS 1.2.
const versionBinds = `
crt DIR/site.pem
crt DIR/site.pem no-sslv3
crt DIR/site.pem no-tlsv10
crt DIR/site.pem no-tlsv11
crt DIR/site.pem no-tlsv12
crt DIR/site.pem no-tlsv13
crt DIR/site.pem no-tlsv10 no-tlsv11 no-tlsv12
crt DIR/site.pem force-tlsv10
crt DIR/site.pem force-tlsv11
crt DIR/site.pem force-tlsv12
crt DIR/site.pem force-tlsv13
crt DIR/site.pem ssl-min-ver TLSv1.0
crt DIR/site.pem ssl-min-ver TLSv1.0 no-tlsv13
crt DIR/site.pem ssl-max-ver TLSv1.1
crt DIR/site.pem ssl-min-ver TLSv1.1 ssl-max-ver TLSv1.2
crt DIR/site.pem force-tlsv12 ssl-min-ver TLSv1.0
`

// versionServers are server lines that do; ANY speaks all versions, OLD up to TLS 1.1, TWO just TLS 1.2, and NEW just TLS 1.3.
const versionServers = `
ANY ssl verify none
ANY ssl verify none no-sslv3
ANY ssl verify none no-tlsv10
ANY ssl verify none no-tlsv11
ANY ssl verify none no-tlsv12
ANY ssl verify none no-tlsv13
OLD ssl verify none force-tlsv10
OLD ssl verify none force-tlsv11
ANY ssl verify none force-tlsv10
ANY ssl verify none force-tlsv11
ANY ssl verify none force-tlsv12
ANY ssl verify none force-tlsv13
TWO ssl verify none no-tlsv13
TWO ssl verify none force-tlsv13
TWO ssl verify none ssl-min-ver TLSv1.2
NEW ssl verify none no-tlsv13
NEW ssl verify none force-tlsv12
NEW ssl verify none no-tlsv12
NEW ssl verify none ssl-max-ver TLSv1.2
`

// rows are the lines of a table.
func rows(table string) []string { return strings.Split(strings.TrimSpace(table), "\n") }

// TestVersionWords: each word that chooses versions of TLS lets in the clients, and reaches the servers, that it does in HAProxy.
func TestVersionWords(t *testing.T) {
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	speaks := func(low, high uint16) string {
		return secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: low, MaxVersion: high})
	}
	servers := strings.NewReplacer("ANY ", speaks(tls.VersionTLS10, tls.VersionTLS13)+" ", "OLD ", speaks(tls.VersionTLS10, tls.VersionTLS11)+" ",
		"TWO ", speaks(tls.VersionTLS12, tls.VersionTLS12)+" ", "NEW ", speaks(tls.VersionTLS13, tls.VersionTLS13)+" ")
	const weak = " ciphers ALL:@SECLEVEL=0\n"
	var text strings.Builder
	text.WriteString(preface("", "LINE %ST") + "  retries 0\n")
	for i, line := range rows(versionBinds) {
		fmt.Fprintf(&text, "frontend b%d\n  bind unix@DIR/b%d.sock ssl %s%s  http-request return status 200 hdr X-Version %%[ssl_fc_protocol]\n", i, i, line, weak)
	}
	text.WriteString("frontend fe\n  bind HTTP\n  use_backend %[path,field(2,/)]\n")
	for i, line := range rows(versionServers) {
		fmt.Fprintf(&text, "backend s%d\n  http-response set-header X-Version %%[ssl_bc_protocol]\n  server s %s%s", i, servers.Replace(line), weak)
	}
	theirs, ours := both(t, text.String(), certificates(t))
	drive := func(s *subject) (got []string) {
		for i, line := range rows(versionBinds) {
			for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
				line += fmt.Sprintf(" | %s: %s", tls.VersionName(version), s.shake(fmt.Sprintf("b%d", i), &tls.Config{MinVersion: version, MaxVersion: version}))
			}
			got = append(got, line)
		}
		for i, line := range rows(versionServers) {
			got = append(got, line+" | "+s.get(fmt.Sprintf("/s%d", i)))
		}
		return got
	}
	same(t, "versions", seen(theirs, drive), drive(ours))
}

// shake asks over TLS on a unix socket of the directory.
func (s *subject) shake(socket string, cfg *tls.Config) string {
	s.t.Helper()
	raw, err := net.Dial("unix", filepath.Join(s.dir, socket+".sock"))
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	defer raw.Close()
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true
	if cfg.ServerName == "" {
		cfg.ServerName = "site.test"
	}
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		return "no handshake"
	}
	return (&client{s, c, bufio.NewReader(c)}).do(request("/", "Connection: close"))
}

// backFacts are what rules and lines see of the TLS of a connection to a server, and of the server's certificate.
const backFacts = `
ssl_bc_alg_keysize ssl_bc_use_keysize ssl_bc_client_random,hex,length ssl_bc_server_random,hex,length ssl_bc_session_id,hex,length ssl_bc_unique_id,hex,length ssl_bc_err ssl_bc_err_str ssl_bc_npn
ssl_s_chain_der,sha1,hex ssl_s_der,sha1,hex ssl_s_i_dn ssl_s_i_dn(O) ssl_s_s_dn(OU,2) ssl_s_key_alg ssl_s_notafter ssl_s_notbefore ssl_s_sha1,hex ssl_s_sig_alg ssl_s_version
ssl_s_serial,hex
`

// TestBackFacts: what is known of the TLS to servers, in rules and in the log.
func TestBackFacts(t *testing.T) {
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	at := secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	facts := strings.Fields(backFacts)
	text := preface("", "LINE %b %[ssl_bc_alg_keysize] %[ssl_bc_err] %[ssl_s_key_alg] %[ssl_s_version] %[ssl_s_sha1,hex] %[ssl_s_i_dn]") + "frontend fe\n  bind HTTP\n  use_backend %[path,field(2,/)]\n"
	lines := map[string]string{
		"two": at + " ssl verify none force-tlsv12 ciphers ECDHE-ECDSA-CHACHA20-POLY1305", "three": at + " ssl verify none force-tlsv13", "plain": "S1",
	}
	names := []string{"two", "three", "plain"}
	for _, name := range names {
		text += "backend " + name + "\n  server s " + lines[name] + "\n"
		for _, f := range facts {
			n, _, _ := strings.Cut(f, ",")
			text += "  http-response add-header X-Facts \"" + n + " %[" + f + "]\"\n"
		}
	}
	theirs, ours := both(t, text, nil)
	drive := func(s *subject) (got []string) {
		for _, name := range names {
			answer := s.get("/" + name)
			if name == "three" { // each chooses its own suite
				answer = strings.NewReplacer("keysize 256", "keysize N", "keysize 128", "keysize N").Replace(answer)
			}
			for fact := range strings.SplitSeq(name+": "+answer, `" "`) {
				switch word, _, _ := strings.Cut(fact, " "); {
				case name == "two" && word == "ssl_bc_session_id", name == "three" && word == "ssl_bc_unique_id": // docs/tls.md
				default:
					got = append(got, fact)
				}
			}
		}
		return got
	}
	same(t, "fact", seen(theirs, drive), drive(ours))
	lineOf := func(s *subject) (got []string) {
		for _, line := range s.lines(len(names)) {
			got = append(got, strings.NewReplacer("three 256", "three N", "three 128", "three N").Replace(line))
		}
		return got
	}
	same(t, "line", lineOf(theirs), lineOf(ours))
}

// TestServerTLSWords: words that take back what default-server said of TLS, and which sessions are resumed.
func TestServerTLSWords(t *testing.T) {
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	three := secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	two := secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12})
	var text strings.Builder
	text.WriteString(preface("nbthread 1", "LINE %b %ST %[ssl_bc] %[ssl_bc_is_resumed]") + "  http-reuse never\nfrontend fe\n  bind HTTP\n  use_backend b%[path,field(2,/)]\n")
	table := rows(`
default-server ssl verify none | S1 no-ssl
default-server ssl verify none | TWO
default-server ssl verify none | TWO no-ssl ssl
default-server ssl verify none | TWO no-ssl-reuse
default-server ssl verify none no-ssl-reuse | TWO ssl-reuse
default-server ssl verify none no-ssl-reuse | THREE ssl-reuse
default-server ssl verify none | THREE no-ssl-reuse
default-server ssl verify none | TWO no-tls-tickets
default-server ssl verify none no-tls-tickets | TWO tls-tickets
default-server ssl verify none no-tls-tickets | THREE tls-tickets
`)
	for i, line := range table {
		words, server, _ := strings.Cut(line, " | ")
		fmt.Fprintf(&text, "backend b%d\n  %s\n  server s %s\n", i, words, strings.NewReplacer("THREE", three, "TWO", two).Replace(server))
	}
	theirs, ours := both(t, text.String(), nil)
	drive := func(s *subject) (got []string) {
		for i, line := range table {
			for range 3 {
				got = append(got, line+": "+s.get(fmt.Sprintf("/%d", i))[:4])
				got = append(got, s.lines(1)...)
			}
		}
		return got
	}
	same(t, "server", seen(theirs, drive), drive(ours))
}
