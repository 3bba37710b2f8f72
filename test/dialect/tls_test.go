package dialect

import (
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// certificates are fixed ones, so that recordings stay true.
func certificates(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"ca.pem", "site.pem", "client.pem", "stranger.pem"} {
		b, err := os.ReadFile(filepath.Join("testdata/certs", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// secure asks over TLS, showing a certificate if one is named, and gives the head of the answer.
func (s *subject) secure(addr, show string, cfg *tls.Config) string {
	s.t.Helper()
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = "site.test"
	}
	cfg.InsecureSkipVerify = true
	if show != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join("testdata/certs", show), filepath.Join("testdata/certs", show))
		if err != nil {
			s.t.Fatal(err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return "no handshake"
	}
	defer c.Close()
	io.WriteString(c, "GET /x HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if len(b) == 0 && err != nil {
		return "refused"
	}
	head, _, _ := strings.Cut(string(b), "\r\n\r\n")
	return head
}

// certificateFacts are what rules see of clients' certificates and of ours.
const certificateFacts = `
ssl_c_der,sha1,hex ssl_c_key_alg ssl_c_notafter ssl_c_notbefore ssl_c_serial,hex ssl_c_sha1,hex ssl_c_sig_alg ssl_c_version ssl_c_s_dn ssl_c_i_dn
ssl_c_s_dn(CN) ssl_c_s_dn(OU,2) ssl_c_s_dn(OU,-1) ssl_c_s_dn(OU,9) ssl_c_s_dn(,0,rfc2253) ssl_c_i_dn(O)
ssl_f_der,sha1,hex ssl_f_key_alg ssl_f_notafter ssl_f_notbefore ssl_f_serial,hex ssl_f_sha1,hex ssl_f_sig_alg ssl_f_version ssl_f_s_dn ssl_f_i_dn
ssl_f_s_dn(CN) ssl_f_s_dn(OU,2) ssl_f_s_dn(OU,-1) ssl_f_s_dn(OU,9) ssl_f_s_dn(,0,rfc2253) ssl_f_i_dn(O)
`

// incomparable are lines of the facts that lb has none of (docs/tls.md): a session's name in TLS 1.2, where tickets resume sessions, and the id of a
// connection in TLS 1.3, which has no such thing.
var incomparable = regexp.MustCompile(`(?m)^x: (ssl_fc_session_id,hex,length *(64)?|ssl_fc_unique_id,hex,length *(96)?)\r?\n`)

// TestCertificatesOfClients: all that rules see of certificates and handshakes, of clients with a certificate and without, and with one that is let pass.
func TestCertificatesOfClients(t *testing.T) {
	var rules strings.Builder
	for _, f := range strings.Fields(certificateFacts) {
		name, _, _ := strings.Cut(f, ",")
		rules.WriteString("  http-response add-header X \"" + strings.NewReplacer("\"", "").Replace(name) + " %[" + f + "]\"\n")
	}
	for _, f := range []string{
		"ssl_c_ca_err", "ssl_c_ca_err_depth", "ssl_c_err", "ssl_c_verify", "ssl_c_used", "ssl_fc_has_crt", "ssl_fc_has_early", "ssl_fc_alg_keysize", "ssl_fc_use_keysize", "ssl_fc_cipher", "ssl_fc_protocol",
		"ssl_fc_client_random,hex,length", "ssl_fc_server_random,hex,length", "ssl_fc_is_resumed", "ssl_fc_sni", "ssl_fc_has_sni", "ssl_fc_alpn", "ssl_fc_err", "ssl_fc_npn", "ssl_c_chain_der,hex,length",
		"ssl_fc", "ssl_fc_session_id,hex,length", "ssl_fc_unique_id,hex,length", "ssl_fc_err_str",
	} {
		rules.WriteString("  http-response add-header X \"" + f + " %[" + f + "]\"\n")
	}
	theirs, ours := both(t, preface("", `LINE %ST %ft %[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_c_verify] %[ssl_c_s_dn(CN)] %sslv %ts`)+`
frontend fe
  bind HTTP ssl crt DIR/site.pem verify optional ca-file DIR/ca.pem alpn http/1.1
`+rules.String()+`
  default_backend be
frontend lax
  bind HTTP2 ssl crt DIR/site.pem verify optional ca-file DIR/ca.pem crt-ignore-err all ca-ignore-err all
`+rules.String()+`
  default_backend be
frontend must
  bind HTTP3 ssl crt DIR/site.pem verify required ca-file DIR/ca.pem
  default_backend be
backend be
  server first S1
`, certificates(t))
	drive := func(s *subject) (got []string) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cfg := &tls.Config{MaxVersion: version, NextProtos: []string{"http/1.1"}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}
			for _, at := range []string{s.addr, s.fill("HTTP2"), s.fill("HTTP3")} {
				for _, show := range []string{"client.pem", "", "stranger.pem"} {
					got = append(got, s.secure(at, show, cfg))
				}
			}
		}
		for i := range got {
			got[i] = incomparable.ReplaceAllString(strings.ToLower(got[i]), "")
			got[i] = strings.ReplaceAll(got[i], "tls_aes_256_gcm_sha384", "tls_aes_128_gcm_sha256") // each chooses its own
			got[i] = strings.ReplaceAll(strings.ReplaceAll(got[i], "keysize 256", "keysize N"), "keysize 128", "keysize N")
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(12), ours.lines(12))
}

// TestCertificateCommands: certificates, authorities, revocation lists and crt-lists are shown and changed with HAProxy's words, and what was changed is served.
func TestCertificateCommands(t *testing.T) {
	files := certificates(t)
	for _, name := range []string{"new.pem", "crl.pem", "keys"} {
		b, err := os.ReadFile(filepath.Join("testdata/certs", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	files["list.txt"] = "site.pem\nclient.pem [verify none] *.a.test !b.a.test\n"
	theirs, ours := both(t, preface("crt-base DIR", "LINE")+`
frontend f
  bind HTTP ssl crt-list DIR/list.txt ca-file DIR/ca.pem verify optional crl-file DIR/crl.pem tls-ticket-keys DIR/keys
  default_backend b
frontend g
  bind HTTP2 ssl crt client.pem
  default_backend b
backend b
  server s S1
`, files)
	var commands []string
	for _, line := range strings.Split(strings.TrimSpace(certificateCommands), "\n") {
		words := strings.Fields(line)
		if file, ok := strings.CutPrefix(words[len(words)-1], "<"); ok {
			text, known := files[file]
			if !known {
				text = file
			}
			line = strings.TrimSuffix(line, words[len(words)-1]) + "<<\n" + strings.TrimSpace(text) + "\n"
		}
		commands = append(commands, line)
	}
	drive := func(s *subject) (got []string) {
		for _, c := range commands {
			answer := s.command(c)
			answer = strings.TrimSpace(strings.ReplaceAll(s.mask(answer), "\x00", ""))
			if i := strings.Index(answer, "@system-ca - "); i >= 0 {
				answer = strings.TrimSpace(answer[:i])
			}
			name, _, _ := strings.Cut(c, "\n")
			got = append(got, name+": "+answer)
		}
		return append(got, s.secure(s.addr, "", &tls.Config{ServerName: "site.test"}))
	}
	want, got := seen(theirs, drive), drive(ours)
	for i := range want {
		want[i], got[i] = strings.ToLower(want[i]), strings.ToLower(got[i])
	}
	same(t, "answer", want, got)
}

// certificateCommands in the order in which they are sent; "<file" is a payload, a file's or that word.
const certificateCommands = `
show ssl cert
show ssl cert DIR/site.pem
show ssl cert *DIR/site.pem
show ssl cert nope
set ssl cert
set ssl cert x
set ssl cert nope <new.pem
set ssl cert DIR/site.pem <garbage
commit ssl cert DIR/site.pem
abort ssl cert DIR/site.pem
abort ssl cert
commit ssl cert
set ssl cert DIR/site.pem <new.pem
show ssl cert
show ssl cert *DIR/site.pem
set ssl cert DIR/site.pem <new.pem
abort ssl cert DIR/client.pem
abort ssl cert DIR/site.pem
set ssl cert DIR/site.pem <new.pem
commit ssl cert DIR/site.pem
show ssl cert DIR/site.pem
new ssl cert
new ssl cert DIR/site.pem
new ssl cert DIR/fresh.pem
show ssl cert
show ssl cert DIR/fresh.pem
set ssl cert DIR/fresh.pem <client.pem
commit ssl cert DIR/fresh.pem
show ssl cert DIR/fresh.pem
show ssl crt-list
show ssl crt-list DIR/list.txt
show ssl crt-list -n DIR/list.txt
show ssl crt-list nope
show ssl crt-list -n
add ssl crt-list
add ssl crt-list DIR/list.txt DIR/nope.pem
add ssl crt-list nope DIR/fresh.pem
add ssl crt-list DIR/list.txt DIR/fresh.pem
show ssl crt-list -n DIR/list.txt
show ssl cert DIR/fresh.pem
del ssl cert DIR/fresh.pem
del ssl cert nope
del ssl cert
del ssl crt-list
del ssl crt-list DIR/list.txt
del ssl crt-list DIR/list.txt nope
del ssl crt-list nope nope
add ssl crt-list DIR/list.txt DIR/fresh.pem
del ssl crt-list DIR/list.txt DIR/fresh.pem
del ssl crt-list DIR/list.txt DIR/fresh.pem:4
del ssl crt-list DIR/list.txt DIR/fresh.pem
show ssl crt-list -n DIR/list.txt
del ssl cert DIR/fresh.pem
show ssl cert
show ssl ca-file
show ssl ca-file DIR/ca.pem
show ssl ca-file DIR/ca.pem:1
show ssl ca-file DIR/ca.pem:2
show ssl ca-file nope
new ssl ca-file
new ssl ca-file DIR/ca.pem
new ssl ca-file DIR/ca2.pem
set ssl ca-file DIR/ca2.pem <ca.pem
show ssl ca-file
show ssl ca-file *DIR/ca2.pem
commit ssl ca-file DIR/ca2.pem
show ssl ca-file
set ssl ca-file nope <ca.pem
set ssl ca-file DIR/ca.pem <garbage
set ssl ca-file DIR/ca.pem <ca.pem
set ssl ca-file DIR/ca2.pem <ca.pem
abort ssl ca-file DIR/ca2.pem
abort ssl ca-file DIR/ca.pem
commit ssl ca-file DIR/ca.pem
set ssl ca-file DIR/ca.pem <ca.pem
commit ssl ca-file DIR/ca.pem
del ssl ca-file
del ssl ca-file nope
del ssl ca-file DIR/ca.pem
del ssl ca-file DIR/ca2.pem
show ssl crl-file
show ssl crl-file DIR/crl.pem
new ssl crl-file DIR/crl2.pem
set ssl crl-file DIR/crl2.pem <crl.pem
show ssl crl-file
show ssl crl-file *DIR/crl2.pem
commit ssl crl-file DIR/crl2.pem
set ssl crl-file DIR/crl.pem <garbage
set ssl crl-file DIR/crl.pem <crl.pem
commit ssl crl-file DIR/crl.pem
del ssl crl-file nope
del ssl crl-file DIR/crl.pem
del ssl crl-file DIR/crl2.pem
show tls-keys
show tls-keys *
show tls-keys DIR/keys
show tls-keys nope
set ssl tls-key
set ssl tls-key #0 AAAA
set ssl tls-key #0 ###
set ssl tls-key #0 QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD
show tls-keys #0
show ssl ocsp-response
show ssl ocsp-response nope
set ssl ocsp-response
set ssl ocsp-response AAAA
set ssl ocsp-response ###
`
