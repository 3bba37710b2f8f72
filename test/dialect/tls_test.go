package dialect

import (
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
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

// TestCertificatesOfClients: all that rules see of certificates and handshakes, of clients with a certificate and without, and with one that is let pass.
func TestCertificatesOfClients(t *testing.T) {
	var rules strings.Builder
	for _, side := range []string{"ssl_c", "ssl_f"} {
		for _, f := range []string{
			"der,sha1,hex", "key_alg", "notafter", "notbefore", "serial,hex", "sha1,hex", "sig_alg", "version", "s_dn", "i_dn", "s_dn(CN)", "s_dn(OU,2)", "s_dn(OU,-1)", "s_dn(OU,9)",
			"s_dn(,0,rfc2253)", "i_dn(O)",
		} {
			name, _, _ := strings.Cut(f, ",")
			rules.WriteString("  http-response add-header X \"" + strings.NewReplacer("\"", "").Replace(side+"_"+name) + " %[" + side + "_" + f + "]\"\n")
		}
	}
	for _, f := range []string{
		"ssl_c_ca_err", "ssl_c_ca_err_depth", "ssl_c_err", "ssl_c_verify", "ssl_c_used", "ssl_fc_has_crt", "ssl_fc_has_early", "ssl_fc_alg_keysize", "ssl_fc_use_keysize", "ssl_fc_cipher", "ssl_fc_protocol",
		"ssl_fc_client_random,hex,length", "ssl_fc_server_random,hex,length", "ssl_fc_is_resumed", "ssl_fc_sni", "ssl_fc_has_sni", "ssl_fc_alpn", "ssl_fc_err", "ssl_fc_npn", "ssl_c_chain_der,hex,length",
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
			got[i] = strings.ToLower(got[i])
			got[i] = strings.ReplaceAll(got[i], "tls_aes_256_gcm_sha384", "tls_aes_128_gcm_sha256") // each chooses its own
			got[i] = strings.ReplaceAll(strings.ReplaceAll(got[i], "keysize 256", "keysize N"), "keysize 128", "keysize N")
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(12), ours.lines(12))
}
