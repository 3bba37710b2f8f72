package dialect

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"lbsyslogd/test/rig"
)

// opensslCheck is what openssl s_client is to see of a bind line.
type opensslCheck struct {
	about string   // the keyword
	bind  string   // the name of its line in opensslBinds
	args  []string // of s_client
	show  string   // which lines of its output are compared, as a regular expression
	want  string   // those lines; "refused": there is no answer
}

func split(s string) []string { return strings.Fields(s) }

// opensslBinds are the bind lines; DIR has the files.
var opensslBinds = map[string]string{
	"list":     "crt-list DIR/list.txt",
	"dir":      "crt DIR/certs",
	"bundle":   "crt DIR/both.pem",
	"ocsp":     "crt DIR/site.pem",
	"required": "crt DIR/site.pem ca-file DIR/ca.pem verify required",
	"optional": "crt DIR/site.pem ca-file DIR/ca.pem verify optional",
	"revoked":  "crt DIR/site.pem ca-file DIR/ca.pem verify required crl-file DIR/crl.pem",
	"ignore":   "crt DIR/site.pem ca-file DIR/ca.pem verify required crt-ignore-err all",
	"cain":     "crt DIR/site.pem ca-file DIR/ca.pem verify optional ca-ignore-err all crt-ignore-err all",
	"unnamed":  "crt DIR/site.pem ca-file DIR/ca.pem ca-verify-file DIR/other.pem verify required",
	"nonames":  "crt DIR/site.pem ca-file DIR/ca.pem verify required no-ca-names",
	"tickets":  "crt DIR/site.pem tls-ticket-keys DIR/keys",
	"noticket": "crt DIR/site.pem no-tls-tickets ssl-max-ver TLSv1.2",
	"curves":   "crt DIR/site.pem curves P-384",
	"ecdhe":    "crt DIR/site.pem ecdhe secp384r1",
	"min":      "crt DIR/site.pem ssl-min-ver TLSv1.3",
	"max":      "crt DIR/site.pem ssl-max-ver TLSv1.2",
	"ciphers":  "crt DIR/site.pem ciphers ECDHE-ECDSA-CHACHA20-POLY1305",
	"strict":   "crt DIR/site.pem strict-sni",
	"alpn":     "crt DIR/site.pem alpn h2,http/1.1",
}

// opensslChecks is a table of what issue and manual name of certificates and handshakes with clients.
var opensslChecks = []opensslCheck{
	{"crt-list: a filter", "list", split("-servername x.a.test"), `^subject=.*`, "subject=CN = a.test"},
	{"crt-list: a filter that takes out", "list", split("-servername no.a.test"), `^subject=.*`, "subject=CN = site.test"},
	{"crt-list: an option", "list", split("-servername x.a.test -alpn h2"), `^ALPN protocol: .*`, "ALPN protocol: h2"},
	{"crt-list: an option of one name", "list", split("-servername b.test"), `^subject=.*`, "refused"},
	{"crt-list: the same, with a certificate", "list", split("-servername b.test -cert DIR/client.pem"), `^subject=.*`, "subject=CN = b.test"},
	{"crt: a directory", "dir", split("-servername a.test"), `^subject=.*`, "subject=CN = a.test"},
	{"a bundle: .rsa", "bundle", split("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256"), `^Peer signature type: .*`, "Peer signature type: RSA-PSS"},
	{"a bundle: .ecdsa", "bundle", split("-tls1_2"), `^Peer signature type: .*`, "Peer signature type: ECDSA"},
	{"FILE.ocsp", "ocsp", split("-status"), `Cert Status: .*`, "Cert Status: good"},
	{"no FILE.ocsp", "dir", split("-status -servername a.test"), `^OCSP response: no response sent`, "OCSP response: no response sent"},
	{"verify required", "required", nil, `^x-seen: .*`, "refused"},
	{"verify required, with a certificate", "required", split("-cert DIR/client.pem"), `^x-seen: .*`, "x-seen: 1/0/client/"},
	{"verify required, with a stranger's", "required", split("-cert DIR/stranger.pem"), `^x-seen: .*`, "refused"},
	{"verify required, TLS 1.2", "required", split("-tls1_2"), `^x-seen: .*`, "refused"},
	{"verify optional", "optional", nil, `^x-seen: .*`, "x-seen: 0/0//"},
	{"verify optional, with a certificate", "optional", split("-cert DIR/client.pem"), `^x-seen: .*`, "x-seen: 1/0/client/"},
	{"verify optional, with a stranger's", "optional", split("-cert DIR/stranger.pem"), `^x-seen: .*`, "refused"},
	{"crl-file", "revoked", split("-cert DIR/client.pem"), `^x-seen: .*`, "x-seen: 1/0/client/"},
	{"crl-file, one of it", "revoked", split("-cert DIR/gone.pem"), `^x-seen: .*`, "refused"},
	{"an expired certificate", "required", split("-cert DIR/expired.pem"), `^x-seen: .*`, "refused"},
	{"crt-ignore-err", "ignore", split("-cert DIR/expired.pem"), `^x-seen: .*`, "x-seen: 1/10/expired/"},
	{"ca-ignore-err", "cain", split("-cert DIR/stranger.pem"), `^x-seen: .*`, "x-seen: 1/21/stranger/"},
	{"ca-file: the names that are sent", "required", split("-cert DIR/client.pem -tls1_2"), `^(CN = .*|No client certificate CA names sent)`, "CN = CA"},
	{"ca-verify-file: its names are not", "unnamed", split("-cert DIR/stranger.pem -tls1_2"), `^(CN = .*|No client certificate CA names sent|x-seen: .*)`, "CN = CA x-seen: 1/0/stranger/"},
	{"no-ca-names", "nonames", split("-cert DIR/client.pem -tls1_2"), `^(CN = .*|No client certificate CA names sent)`, "No client certificate CA names sent"},
	{"tls-ticket-keys: a ticket", "tickets", split("-tls1_2 -sess_out DIR/session"), `^(New|Reused), `, "New, "},
	{"tls-ticket-keys: it is taken", "tickets", split("-tls1_2 -sess_in DIR/session"), `^(New|Reused), `, "Reused, "},
	{"no-tls-tickets", "noticket", nil, `TLS session ticket:`, ""},
	{"curves", "curves", nil, `^Server Temp Key: .*`, "Server Temp Key: ECDH, secp384r1, 384 bits"},
	{"curves, with none of them", "curves", split("-groups P-256"), `^Server Temp Key: .*`, "refused"},
	{"ecdhe, below ssl-default-bind-curves", "ecdhe", nil, `^Server Temp Key: .*`, "Server Temp Key: ECDH, prime256v1, 256 bits"},
	{"ssl-default-bind-curves", "ocsp", nil, `^Server Temp Key: .*`, "Server Temp Key: ECDH, prime256v1, 256 bits"},
	{"ssl-min-ver", "min", nil, `^New, TLSv1..`, "New, TLSv1.3"},
	{"ssl-min-ver, below it", "min", split("-tls1_2"), `^New, TLSv1..`, "refused"},
	{"ssl-max-ver", "max", nil, `^New, TLSv1..`, "New, TLSv1.2"},
	{"ssl-max-ver, above it", "max", split("-tls1_3"), `^New, TLSv1..`, "refused"},
	{"ssl-default-bind-options ssl-min-ver", "ocsp", split("-tls1_1 -cipher DEFAULT@SECLEVEL=0"), `^New, TLSv1..`, "refused"},
	{"ciphers", "ciphers", split("-tls1_2"), `Cipher is .*`, "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"},
	{"ciphers, with none of them", "ciphers", split("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"), `Cipher is .*`, "refused"},
	{"ssl-default-bind-ciphers", "ocsp", split("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"), `Cipher is .*`, "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"},
	{"strict-sni", "strict", split("-servername site.test"), `^subject=.*`, "subject=CN = site.test"},
	{"strict-sni, another name", "strict", split("-servername other.test"), `^subject=.*`, "refused"},
	{"alpn", "alpn", split("-alpn h2,http/1.1"), `^ALPN protocol: .*`, "ALPN protocol: h2"},
	{"alpn, the second", "alpn", split("-alpn http/1.1"), `^(ALPN protocol|x-seen): .*`, "ALPN protocol: http/1.1 x-seen: 0/0//http/1.1"},
}

// opensslServer is a server line, and what a request through it is answered with; S_NAME is the address of the s_server of that name.
type opensslServer struct{ about, line, want string }

var opensslServers = map[string][]string{ // arguments of s_server besides the certificate
	"ANY": {}, "OLD": split("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"), "ASKS": split("-Verify 1 -CAfile DIR/ca.pem -verify_return_error"), "NAMED": split("-servername sni.test -cert2 DIR/sni.pem"), "GONE": split("-cert DIR/gone.pem"),
	"ALPN": split("-alpn http/1.1"),
}

var opensslRoutes = []opensslServer{
	{"verify none", "S_ANY ssl verify none", "200 TLSv1.3"},
	{"verify required, ca-file", "S_ANY ssl verify required ca-file DIR/ca.pem", "200 TLSv1.3"},
	{"another's ca-file", "S_ANY ssl verify required ca-file DIR/other.pem", "503 -"},
	{"@system-ca", "S_ANY ssl verify required ca-file @system-ca", "503 -"},
	{"crl-file", "S_ANY ssl verify required ca-file DIR/ca.pem crl-file DIR/crl.pem", "200 TLSv1.3"},
	{"crl-file, one of it", "S_GONE ssl verify required ca-file DIR/ca.pem crl-file DIR/crl.pem", "503 -"},
	{"verifyhost", "S_ANY ssl verify required ca-file DIR/ca.pem verifyhost site.test", "200 TLSv1.3"},
	{"verifyhost, another", "S_ANY ssl verify required ca-file DIR/ca.pem verifyhost other.test", "503 -"},
	{"sni", "S_NAMED ssl verify required ca-file DIR/ca.pem sni str(sni.test)", "200 TLSv1.3"},
	{"sni, another", "S_NAMED ssl verify required ca-file DIR/ca.pem sni str(other.test)", "503 -"},
	{"alpn", "S_ALPN ssl verify none alpn http/1.1", "200 TLSv1.3 http/1.1"},
	{"crt", "S_ASKS ssl verify none crt DIR/client.pem", "200 TLSv1.3"},
	{"crt, none", "S_ASKS ssl verify none ssl-max-ver TLSv1.2", "503 -"},
	{"ssl-min-ver", "S_OLD ssl verify none ssl-min-ver TLSv1.3", "503 -"},
	{"ssl-max-ver", "S_ANY ssl verify none ssl-max-ver TLSv1.2", "200 TLSv1.2"},
	{"ssl-default-server-ciphers", "S_OLD ssl verify none", "200 TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305"},
	{"ciphers", "S_OLD ssl verify none ciphers ECDHE+AESGCM", "200 TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"},
	{"ciphers, with none of them", "S_OLD ssl verify none ciphers ECDHE-RSA-CHACHA20-POLY1305", "503 -"},
}

// TestOpenSSLOnBothSides: for each keyword of certificates and handshakes, openssl s_client sees what the table says, of HAProxy and of lb, and
// openssl s_server is reached or not as the other table says.
func TestOpenSSLOnBothSides(t *testing.T) {
	ca, other := newIssuer(t, "CA"), newIssuer(t, "Other")
	site := ca.pair("site.test", 2, 24*time.Hour)
	crl := ca.revoke(8)
	files := map[string]string{
		"ca.pem": ca.pem(), "other.pem": other.pem(), "crl.pem": crl, "keys": strings.Repeat(strings.Repeat("QUJD", 16)+"\n", 3),
		"site.pem": ca.file(site) + ca.pem(), "site.pem.issuer": ca.pem(), "site.pem.ocsp": ca.staple(site),
		"certs/a.pem": ca.file(ca.pair("a.test", 3, 24*time.Hour)), "certs/b.pem": ca.file(ca.pair("b.test", 4, 24*time.Hour)),
		"both.pem.rsa": ca.file(ca.rsaPair("site.test", 5)), "both.pem.ecdsa": ca.file(site),
		"client.pem": ca.file(ca.pair("client", 6, 24*time.Hour)), "gone.pem": ca.file(ca.pair("site.test", 8, 24*time.Hour)),
		"expired.pem": ca.file(ca.pair("expired", 9, -time.Hour)), "stranger.pem": other.file(other.pair("stranger", 6, 24*time.Hour)),
		"sni.pem":  ca.file(ca.pair("sni.test", 10, 24*time.Hour)),
		"list.txt": "DIR/site.pem\nDIR/certs/a.pem [alpn h2,http/1.1] *.a.test !no.a.test\nDIR/certs/b.pem [verify required ca-file DIR/ca.pem] b.test\n",
	}
	own := t.TempDir() // for openssl, and for lists: paths in them are absolute
	servers := startOpenSSLServers(t, own, files)
	global := `ssl-default-bind-curves P-256
ssl-default-bind-options ssl-min-ver TLSv1.2
ssl-default-bind-ciphers ECDHE+AESGCM
ssl-default-server-ciphers ECDHE-ECDSA-CHACHA20-POLY1305
ssl-default-server-options ssl-min-ver TLSv1.2`
	var text strings.Builder
	text.WriteString(preface(global, "LINE") + "  retries 0\n")
	for name, line := range opensslBinds {
		text.WriteString("frontend " + name + "\n  bind unix@DIR/" + name + ".sock ssl " + strings.ReplaceAll(line, "DIR/list.txt", own+"/list.txt") + "\n" +
			"  http-request return status 200 hdr x-seen \"%[ssl_c_used,iif(1,0)]/%[ssl_c_verify]/%[ssl_c_s_dn(CN)]/%[ssl_fc_alpn]\"\n")
	}
	text.WriteString("frontend fe\n  bind HTTP\n  use_backend b%[path,field(2,/)]\n")
	for i, r := range opensslRoutes {
		text.WriteString("backend b" + string(rune('a'+i)) + "\n  http-response set-header x-seen \"%[ssl_bc_protocol] %[ssl_bc_alpn] %[ssl_bc_cipher]\"\n  server s " + servers.Replace(r.line) + "\n")
	}
	theirs, ours := both(t, text.String(), files)
	drive := func(s *subject) (got []string) {
		for _, c := range opensslChecks {
			got = append(got, c.about+": "+s.sClient(c, own))
		}
		for i, r := range opensslRoutes {
			got = append(got, "server "+r.about+": "+s.routed(string(rune('a'+i)), r.want))
		}
		return got
	}
	var want []string
	for _, c := range opensslChecks {
		want = append(want, c.about+": "+c.want)
	}
	for _, r := range opensslRoutes {
		want = append(want, "server "+r.about+": "+r.want)
	}
	same(t, "what HAProxy is said to do", want, seen(theirs, drive))
	same(t, "what is seen of lb", want, drive(ours))
}

// sClient is what openssl s_client shows of a handshake and a request.
func (s *subject) sClient(c opensslCheck, dir string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	args := []string{"s_client", "-unix", filepath.Join(s.dir, c.bind+".sock"), "-ign_eof"}
	if !slices.Contains(c.args, "-servername") {
		args = append(args, "-servername", "site.test")
	}
	for _, a := range c.args {
		if strings.HasPrefix(a, "DIR/session") {
			a = strings.Replace(a, "DIR", s.dir, 1) // each has its own
		}
		args = append(args, strings.ReplaceAll(a, "DIR", dir))
	}
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
	out, _ := cmd.CombinedOutput() // its status is that of the verification
	if ctx.Err() != nil {
		s.t.Errorf("%s: %s: openssl does not end:\n%s", s.name, c.about, out)
	}
	text := strings.ReplaceAll(string(out), "\r", "")
	if !strings.Contains(text, "HTTP/1.1 200") && !strings.Contains(text, "ALPN protocol: h2") {
		return "refused"
	}
	var lines []string
	for line := range strings.Lines(text) {
		if found := regexp.MustCompile(c.show).FindString(strings.TrimSpace(line)); found != "" && !slices.Contains(lines, found) {
			lines = append(lines, found)
		}
	}
	return strings.Join(lines, " ")
}

// routed is the answer's status and as much of what its backend saw as is wanted.
func (s *subject) routed(path, want string) string {
	s.t.Helper()
	got := s.get("/" + path)
	status, _, _ := strings.Cut(got, " ")
	seen := "-"
	if _, rest, ok := strings.Cut(got, `X-Seen=["`); ok {
		seen, _, _ = strings.Cut(rest, `"`)
	}
	var shown []string
	for _, w := range strings.Fields(seen) {
		if strings.Contains(want, w) {
			shown = append(shown, w)
		}
	}
	return status + " " + strings.Join(shown, " ")
}

// startOpenSSLServers starts each s_server, with the files in dir, and gives what puts their addresses into a server line.
func startOpenSSLServers(t *testing.T, dir string, files map[string]string) *strings.Replacer {
	t.Helper()
	for name, text := range files {
		if err := writeUnder(dir, name, strings.ReplaceAll(text, "DIR", dir)); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := rig.FreePorts(host, len(opensslServers))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	at := 0
	for name, more := range opensslServers {
		addr := net.JoinHostPort(host, strconv.Itoa(ports[at]))
		at++
		args := []string{"s_server", "-accept", addr, "-www", "-quiet"}
		if !slices.Contains(more, "-cert") {
			args = append(args, "-cert", "DIR/site.pem")
		}
		args = append(args, more...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "DIR", dir)
		}
		p, err := rig.Start("openssl", args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Stop() })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err = rig.Until(ctx, "openssl s_server to listen", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err == nil || !p.Running()
		})
		cancel()
		if err != nil || !p.Running() {
			t.Fatalf("%v: %v: %s", args, err, p.Output())
		}
		words = append(words, "S_"+name+" ", addr+" ")
	}
	return strings.NewReplacer(words...)
}

// staple is a good answer about a certificate, as a responder gives it.
func (i *issuer) staple(c tls.Certificate) string {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		i.t.Fatal(err)
	}
	der, err := ocsp.CreateResponse(i.cert, i.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour),
	}, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(der)
}

// rsaPair is a pair with an RSA key.
func (i *issuer) rsaPair(name string, serial int64) tls.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, i.cert, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
