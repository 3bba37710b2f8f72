package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates and lists.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

// server is a server's configuration with a certificate of that number.
func (a *authority) server(t *testing.T, serial int64) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "s.example"}, DNSNames: []string{"s.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
}

// list is a list that revokes the number.
func (a *authority) list(t *testing.T, serial int64, until time.Time) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: until,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: time.Now().Add(-time.Hour)}},
	}, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestRevoked: with crl-file a server is refused whose certificate was revoked,
// and one whose authority has no list that is valid now.
func TestRevoked(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	a, other := newAuthority(t, "authority"), newAuthority(t, "another")
	impostor := newAuthority(t, "authority")
	ca := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	hour := time.Now().Add(time.Hour)
	for name, tt := range map[string]struct {
		list []byte
		want string // "" is accepted
	}{
		"not in it":   {a.list(t, 6, hour), ""},
		"revoked":     {a.list(t, 5, hour), "was revoked"},
		"out of date": {a.list(t, 6, time.Now().Add(-time.Minute)), "out of date"},
		"another's":   {other.list(t, 6, hour), "has no list"},
		"forged":      {impostor.list(t, 6, hour), "not signed by it"},
		"both":        {append(impostor.list(t, 6, hour), a.list(t, 5, hour)...), "was revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := newStore().Client(ClientOptions{CA: ca, SNI: "s.example", CRL: write("crl.pem", tt.list)})
			if err != nil {
				t.Fatal(err)
			}
			ln, err := tls.Listen("tcp", "127.0.0.1:0", a.server(t, 5))
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				if c, err := ln.Accept(); err == nil {
					c.(*tls.Conn).Handshake()
					c.Close()
				}
			}()
			c, err := tls.Dial("tcp", ln.Addr().String(), cfg)
			if err == nil {
				c.Close()
			}
			if got := ""; err != nil {
				if got = err.Error(); tt.want == "" || !strings.Contains(got, tt.want) {
					t.Errorf("%s, want %q", got, tt.want)
				}
			} else if tt.want != "" {
				t.Errorf("it was accepted, want %q", tt.want)
			}
		})
	}
	for name, b := range map[string]string{"no lists": "nonsense", "damaged": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"} {
		if _, err := newStore().Client(ClientOptions{CA: ca, CRL: write("bad.pem", []byte(b))}); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}
