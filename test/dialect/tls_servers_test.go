package dialect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/csv"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// issuer signs certificates for servers of a test.
type issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t, key, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}}
	der, err := x509.CreateCertificate(rand.Reader, i.cert, i.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if i.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
}

// revoke is a list that names serial numbers.
func (i *issuer) revoke(numbers ...int64) string {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range numbers {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: time.Now().Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// pair is a certificate for a name, valid until a time from now.
func (i *issuer) pair(name string, serial int64, left time.Duration) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-36 * time.Hour), NotAfter: time.Now().Add(left),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, i.cert, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// file is a pair's text.
func (i *issuer) file(c tls.Certificate) string {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// secureServer answers over TLS with what it saw of the handshake, and gives its address.
func secureServer(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := "-"
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		w.Header().Set("X-Seen", strings.Join([]string{r.TLS.ServerName, r.TLS.NegotiatedProtocol, tls.VersionName(r.TLS.Version), client}, "/"))
	})}
	go s.Serve(tls.NewListener(l, cfg))
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// reason is what lb has to say of a failed handshake besides HAProxy's words.
var reason = regexp.MustCompile(` \(.*$`)

// TestSecureServers: servers over TLS with right and wrong certificates are reached or not as by HAProxy, and the log and the checks say the same of them.
func TestSecureServers(t *testing.T) {
	ca, other := newIssuer(t, "CA"), newIssuer(t, "Other")
	good, gone := ca.pair("good.test", 7, 24*time.Hour), ca.pair("good.test", 8, 24*time.Hour)
	config := func(c tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: []string{"http/1.1"}}
	}
	asks := config(good)
	asks.ClientAuth = tls.RequireAnyClientCert
	old := config(good)
	old.MaxVersion = tls.VersionTLS12
	plain, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go http.Serve(plain, http.NotFoundHandler())
	words := []string{
		"GOOD", secureServer(t, config(good)), "EXPIRED", secureServer(t, config(ca.pair("good.test", 9, -time.Hour))), "STRANGER", secureServer(t, config(other.pair("good.test", 7, time.Hour))),
		"REVOKED", secureServer(t, config(gone)), "ASKS", secureServer(t, asks), "OLD", secureServer(t, old), "NOTLS", plain.Addr().String(),
	}
	servers := []struct{ name, line string }{
		{"none", "GOOD ssl verify none"},
		{"right", "GOOD ssl ca-file DIR/ca.pem"},
		{"sni", "GOOD ssl ca-file DIR/ca.pem sni str(good.test) check-sni good.test"},
		{"wrongsni", "GOOD ssl ca-file DIR/ca.pem sni str(bad.test) check-sni bad.test"},
		{"host", "GOOD ssl ca-file DIR/ca.pem verifyhost good.test"},
		{"wronghost", "GOOD ssl ca-file DIR/ca.pem verifyhost bad.test"},
		{"expired", "EXPIRED ssl ca-file DIR/ca.pem"},
		{"expirednone", "EXPIRED ssl verify none"},
		{"stranger", "STRANGER ssl ca-file DIR/ca.pem"},
		{"listed", "GOOD ssl ca-file DIR/ca.pem crl-file DIR/crl.pem"},
		{"revoked", "REVOKED ssl ca-file DIR/ca.pem crl-file DIR/crl.pem"},
		{"shows", "ASKS ssl ca-file DIR/ca.pem crt DIR/client.pem"},
		{"showsnone", "ASKS ssl ca-file DIR/ca.pem ssl-max-ver TLSv1.2"},
		{"old", "OLD ssl ca-file DIR/ca.pem"},
		{"tooold", "OLD ssl ca-file DIR/ca.pem ssl-min-ver TLSv1.3"},
		{"ciphers", "OLD ssl ca-file DIR/ca.pem ciphers ECDHE-ECDSA-CHACHA20-POLY1305"},
		{"wrongciphers", "OLD ssl ca-file DIR/ca.pem ciphers ECDHE-RSA-CHACHA20-POLY1305"},
		{"alpn", "GOOD ssl ca-file DIR/ca.pem alpn http/1.1"},
		{"noreuse", "GOOD ssl ca-file DIR/ca.pem no-ssl-reuse"},
		{"notls", "NOTLS ssl verify none"},
	}
	text := preface("", "LINE %b %ST %ts %tsc %[ssl_bc] %[ssl_bc_protocol] %[ssl_s_s_dn(CN)] %[ssl_s_serial,hex] %[ssl_bc_alpn] %[ssl_bc_is_resumed]") +
		"  retries 0\n  timeout check 15s\nfrontend fe\n  bind HTTP\n  use_backend %[path,field(2,/)]\n"
	for _, s := range servers {
		text += "backend " + s.name + "\n  option httpchk GET /\n  server s " + strings.NewReplacer(words...).Replace(s.line) + " check inter 1500ms fall 1 rise 1\n"
		text += "backend use-" + s.name + "\n  server s " + strings.NewReplacer(words...).Replace(s.line) + "\n"
	}
	theirs, ours := both(t, text, map[string]string{"ca.pem": ca.pem(), "crl.pem": ca.revoke(8), "client.pem": ca.file(ca.pair("client", 5, time.Hour))})
	drive := func(s *subject) (got []string) {
		for _, srv := range servers {
			got = append(got, srv.name+": "+s.get("/use-"+srv.name))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	lines := func(s *subject) (got []string) {
		for _, line := range s.lines(len(servers)) {
			if f := strings.Fields(line); len(f) > 4 && f[1] == "503" { // HAProxy shows what a handshake that failed had come to
				line = strings.Join(f[:4], " ")
			}
			got = append(got, line)
		}
		return got
	}
	same(t, "line", lines(theirs), lines(ours))
	checks := func(s *subject) (got []string) {
		wait.Until(t, "every server to be checked", func() bool {
			got = got[:0]
			rows, _ := csv.NewReader(strings.NewReader(strings.TrimSpace(s.command("show stat -1 4 -1")))).ReadAll()
			for _, f := range rows {
				if len(f) < 66 || strings.HasPrefix(f[0], "use-") || f[1] != "s" {
					continue
				}
				if strings.HasPrefix(f[36], "*") || f[36] == "INI" {
					return false
				}
				got = append(got, strings.Join([]string{f[0], f[17], f[36], reason.ReplaceAllString(f[56], ""), f[65]}, " "))
			}
			return len(got) == len(servers)
		})
		return got
	}
	same(t, "check", seen(theirs, checks), checks(ours))
}
