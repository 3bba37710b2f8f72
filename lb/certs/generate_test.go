package certs

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestGenerate: a certificate is made for a name that no other has, once, whatever kinds of keys the authority and the default certificate have; a name that
// cannot stand in one is like any that nobody has.
func TestGenerate(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 30) + ".test"
	for _, ca := range []string{"ec", "rsa"} {
		for _, own := range []string{"ec", "rsa"} {
			sign, site := b.self("ca-"+ca, ca, "Authority"), b.self("site-"+own, own, "site.test")
			s := newStore()
			s.Generated = 2
			l, _, err := s.Load(Options{Sources: files(site), Signing: Signing{On: true, File: sign}})
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM([]byte(b.read("ca-" + ca + ".c")))
			made := func(name string) *x509.Certificate {
				t.Helper()
				_, c, err := handshake(l.Config, &tls.Config{ServerName: name, RootCAs: roots})
				if err != nil {
					t.Fatalf("%s signs %s: %q: %v", ca, own, name, err)
				}
				return c.PeerCertificates[0]
			}
			first := made("new.test")
			switch k := first.PublicKey.(type) {
			case *ecdsa.PublicKey:
				if own != "ec" {
					t.Errorf("%s signs %s: the key is %T", ca, own, k)
				}
			case *rsa.PublicKey:
				if own != "rsa" {
					t.Errorf("%s signs %s: the key is %T", ca, own, k)
				}
			}
			serials := fmt.Sprint(made("new.test").SerialNumber.Cmp(first.SerialNumber))
			made("two.test")
			serials += fmt.Sprint(made("new.test").SerialNumber.Cmp(first.SerialNumber)) // the most recent again
			made(long)
			serials += fmt.Sprint(made("new.test").SerialNumber.Cmp(first.SerialNumber))
			made("two.test")
			made("three.test")
			if again := made("new.test"); serials != "000" || again.SerialNumber.Cmp(first.SerialNumber) == 0 {
				t.Errorf("%s signs %s: kept %s, and %v after %v when others took its place", ca, own, serials, again.SerialNumber, first.SerialNumber)
			}
			if c := subject(l.Config, "site.test"); c != "site.test" {
				t.Errorf("the certificate's own name: %s", c)
			}
			if !l.Knows("new.test") || l.Knows("") {
				t.Errorf("knows a name %v, none %v", l.Knows("new.test"), l.Knows(""))
			}
		}
	}
	for _, name := range []string{"", "a b", "a\x00b", "ä.test", strings.Repeat("a.", 128)} {
		if forCertificate(name) {
			t.Errorf("%q can stand in a certificate", name)
		}
	}
}

// elsewhere is a connection of a loop: it counts what is computed on another goroutine.
type elsewhere struct {
	net.Conn
	count int
}

// Elsewhere implements Elsewhere.
func (e *elsewhere) Elsewhere(compute func() ([]byte, error)) ([]byte, error) {
	e.count++
	return compute()
}

// TestGenerateElsewhere: the signature is not computed where the handshake runs, and one that fails leaves the default certificate, or with strict-sni none.
func TestGenerateElsewhere(t *testing.T) {
	b := newBench(t)
	sign, site := b.self("ca", "ec", "Authority"), b.self("site", "ec", "site.test")
	for _, strict := range []bool{false, true} {
		var reports []string
		s := newStore()
		s.Report = func(text string) { reports = append(reports, text) }
		l, _, err := s.Load(Options{Name: "conf:7", Sources: files(site), StrictSNI: strict, Signing: Signing{On: true, File: sign}})
		if err != nil {
			t.Fatal(err)
		}
		shake := func(name string) (string, int) {
			a, z, err := ends()
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			e := &elsewhere{Conn: a}
			ended := make(chan struct{})
			go func() {
				tls.Server(e, l.Config).Handshake()
				a.Close()
				close(ended)
			}()
			c := tls.Client(z, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			err = c.Handshake()
			z.Close()
			<-ended
			if err != nil {
				return "refused", e.count
			}
			return c.ConnectionState().PeerCertificates[0].Subject.CommonName, e.count
		}
		for name, want := range map[string]string{"new.test": "new.test 1", "site.test": "site.test 0"} {
			if got, n := shake(name); fmt.Sprintf("%s %d", got, n) != want {
				t.Errorf("strict %v, %s: %s %d, want %s", strict, name, got, n, want)
			}
		}
		block, _ := pem.Decode([]byte(b.read("site.k")))
		other := *l.sign
		other.signer = &lazyKey{pub: l.sign.signer.Public(), block: block} // turns out to be another's
		l.sign = &other
		want := "site.test"
		if strict {
			want = "refused"
		}
		if got, _ := shake("bad.test"); got != want {
			t.Errorf("strict %v, an authority that cannot sign: %s, want %s", strict, got, want)
		}
		if len(reports) != 1 || !strings.HasPrefix(reports[0], "conf:7: no certificate can be made with ca-sign-file "+sign+": ") {
			t.Errorf("strict %v, an authority that cannot sign is reported as %q", strict, reports)
		}
		if reports = nil; shakeBadName(l) != nil || reports != nil {
			t.Errorf("strict %v, a name of which there can be no certificate is reported: %q", strict, reports)
		}
	}
}

// shakeBadName has the listener choose for a name that cannot stand in a certificate.
func shakeBadName(l *Listener) error {
	_, err := l.pick(&tls.ClientHelloInfo{ServerName: "a b.test"})
	return err
}

// left is a connection whose handshake is given up while another goroutine computes.
type left struct{ net.Conn }

// Elsewhere implements Elsewhere.
func (left) Elsewhere(func() ([]byte, error)) ([]byte, error) { return nil, net.ErrClosed }

// TestGivenUpWhileSigning: a handshake that is given up goes no further, and is no trouble to report.
func TestGivenUpWhileSigning(t *testing.T) {
	b := newBench(t)
	s := newStore()
	s.Report = func(text string) { t.Error("reported: " + text) }
	l, _, err := s.Load(Options{Sources: files(b.self("site", "ec", "site.test")), Signing: Signing{On: true, File: b.self("ca", "ec", "Authority")}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err := l.pick(&tls.ClientHelloInfo{ServerName: "new.test", Conn: left{}}); cfg != nil || err != net.ErrClosed {
		t.Errorf("it goes on with %v, %v", cfg, err)
	}
}

// TestUnfitAuthority: a ca-sign-file of which clients take nothing is noted.
func TestUnfitAuthority(t *testing.T) {
	b := newBench(t)
	site, ca := b.self("site", "ec", "site.test"), b.self("ca", "ec", "Authority")
	b.signed("leaf", "ca", "leaf.test", false)
	b.openssl("x509", "-in", "ca.c", "-signkey", "ca.k", "-days", "-1", "-out", "old.c")
	for file, want := range map[string]string{
		ca: "",
		b.write("leaf.pem", b.read("leaf.c"), b.read("leaf.k")): "the certificate for leaf.test is not that of an authority (CA:TRUE); clients will refuse what it signs",
		b.write("old.pem", b.read("old.c"), b.read("ca.k")):     "the certificate for authority expired on ",
	} {
		_, notes, err := newStore().Load(Options{Sources: files(site), Signing: Signing{On: true, File: file}})
		got := ""
		for _, n := range notes {
			got += n.Text
		}
		if err != nil || !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: noted %q, %v; want %q", file, got, err, want)
		}
	}
}

// TestGeneratedExpires: one whose time is over is made anew.
func TestGeneratedExpires(t *testing.T) {
	var g generated
	key := generatedKey{name: "a"}
	c := &tls.Certificate{Leaf: &x509.Certificate{NotAfter: time.Unix(1000, 0)}}
	if g.keep(key, c, 1); g.find(key, time.Unix(999, 0)) != c || g.find(key, time.Unix(1001, 0)) != nil || g.order.Len() != 0 || len(g.byName) != 0 {
		t.Error("kept beyond its time, or not until then")
	}
	if g.keep(key, c, 0) != c || g.find(key, time.Unix(999, 0)) != nil {
		t.Error("one is kept where none should be")
	}
}
