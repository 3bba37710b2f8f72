package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The filters of a line take the place of the certificate's names, a wildcard
// has exceptions, and options hold for the line's names only.
func TestList(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "Authority")
	b.self("def", "ec", "default.test")
	b.self("wild", "ec", "own.test")
	b.self("strict", "ec", "strict.test")
	list := b.write("list.txt", "# the certificates\n", b.path("def.pem"), " !*\n\n",
		b.path("wild.pem"), "\t*.Domain.test !secure.domain.test !*\n",
		b.path("strict.pem"), " [verify required ca-file ", b.path("ca.c"), "]\n")
	o := Options{Sources: []Source{{Path: list, List: true}}}
	l := b.listener(o)
	for sni, want := range map[string]string{
		"default.test": "default.test", "own.test": "default.test", "a.domain.test": "own.test", "secure.domain.test": "default.test",
		"A.DOMAIN.test": "own.test", "other": "default.test", "": "default.test",
	} {
		if got := subject(l.Config, sni); got != want {
			t.Errorf("SNI %q: %q, want %q", sni, got, want)
		}
	}
	for _, name := range []string{"default.test", "own.test", "secure.domain.test"} {
		if l.Knows(name) {
			t.Errorf("%s is known", name)
		}
	}
	if _, _, err := handshake(l.Config, &tls.Config{ServerName: "strict.test", MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("a client without certificate where the line demands one")
	}
	if l.Demands("own.test") != "" || !strings.HasPrefix(l.Demands("strict.test"), "required ") {
		t.Errorf("demands %q, %q", l.Demands("own.test"), l.Demands("strict.test"))
	}
	for text, want := range map[string]string{
		"a.pem [verify":                      "line 1: ']' is missing",
		"ok.pem\nb.pem x [alpn h2]":          "line 2: the options in brackets stand after the file",
		"b.pem [alpn h2] [x]":                "brackets twice",
		"b.pem [alpn h2]name":                "a space is missing",
		b.path("def.pem") + " [nonsense on]": "line 1: unknown ssl keyword nonsense",
		"none.pem":                           "line 1: certificate none.pem cannot be read",
	} {
		_, _, err := newStore().Load(Options{Sources: []Source{{Path: b.write("bad.txt", text), List: true}}})
		if err == nil || !strings.Contains(err.Error(), "crt-list "+b.path("bad.txt")+", ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A session does not resume where more is demanded of the client's certificate
// than where it began, or where strict-sni knows no such name.
func TestTicketsAreBound(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "Authority")
	b.self("ca2", "ec", "Authority")
	b.signed("client", "ca", "client", false)
	pair, err := tls.LoadX509KeyPair(b.write("client.pem", b.read("client.c"), b.read("client.k")), b.path("client.pem"))
	if err != nil {
		t.Fatal(err)
	}
	site := files(b.self("site", "ec", "site.test"))
	load := func(s Settings, strict bool, sources []Source) *tls.Config {
		cfg := b.load(Options{Sources: sources, Settings: s, StrictSNI: strict})
		cfg.SetSessionTicketKeys([][32]byte{{1, 2, 3}})
		return cfg
	}
	loose := load(Settings{}, false, site)
	optional := load(Settings{Verify: "optional", CAFile: b.path("ca.c")}, false, site)
	required := load(Settings{Verify: "required", CAFile: b.path("ca.c")}, false, site)
	ignoring := load(Settings{Verify: "required", CAFile: b.path("ca.c"), CrtIgnore: Ignore{All: true}, CAIgnore: Ignore{All: true}}, false, site)
	other := load(Settings{Verify: "required", CAFile: b.path("ca2.c")}, false, site)
	strict := load(Settings{}, true, files(b.self("other", "ec", "other.test")))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name          string
			first, second *tls.Config
			resumes, ok   bool
		}{
			{"the same, loose", loose, loose, true, true},
			{"the same, required", required, required, true, true},
			{"loose to required", loose, required, false, true},
			{"required to loose", required, loose, false, true},
			{"optional to required", optional, required, false, true},
			{"ignoring errors to required", ignoring, required, false, true},
			{"another authority", required, other, false, false},
			{"a name that strict-sni does not know", loose, strict, false, false},
		} {
			client := &tls.Config{
				ServerName: "site.test", ClientSessionCache: tls.NewLRUClientSessionCache(1), Certificates: []tls.Certificate{pair}, MaxVersion: version,
				InsecureSkipVerify: true,
			}
			if err := exchange(c.first, client, nil); err != nil {
				t.Fatalf("%s, first: %v", c.name, err)
			}
			var state tls.ConnectionState
			err := exchange(c.second, client, &state)
			if (err == nil) != c.ok || state.DidResume != c.resumes {
				t.Errorf("%x, %s: resumed %v, error %v", version, c.name, state.DidResume, err)
			}
		}
	}
}

// exchange does a handshake and sends a byte back, after which a client has its
// ticket, and knows whether it was accepted.
func exchange(server, client *tls.Config, state *tls.ConnectionState) error {
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Write([]byte("x"))
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		return err
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n == 0 { // the end may come with the byte
		return err
	}
	if state != nil {
		*state = c.ConnectionState()
	}
	return nil
}

// Errors that are ignored let a client in, and are remembered.
func TestIgnoredErrors(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "Authority")
	stranger := b.self("stranger", "ec", "stranger")
	pair, err := tls.LoadX509KeyPair(stranger, stranger)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(pair.Certificate[0])
	site := files(b.self("site", "ec", "site.test"))
	for list, ok := range map[string]bool{"18": true, "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT": true, "all": true, "10": false} {
		ignore, err := ParseIgnore(list)
		if err != nil {
			t.Fatal(err)
		}
		cfg := b.load(Options{Sources: site, Settings: Settings{Verify: "required", CAFile: b.path("ca.c"), CrtIgnore: ignore}})
		show := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		err = exchange(cfg, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: show}, nil)
		if (err == nil) != ok {
			t.Errorf("crt-ignore-err %s: %v", list, err)
		}
		ca, _ := newAuthorities("ca", []byte(b.read("ca.c")))
		v, err := (&judge{roots: ca.pool, crtIgno: ignore}).verify(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, leaf.NotBefore)
		if ok && (err != nil || v.Err != errSelfSigned) || !ok && ProblemOf(err) == nil {
			t.Errorf("%s: %+v, %v", list, v, err)
		}
	}
	if _, err := ParseIgnore("nonsense"); err == nil {
		t.Error("nonsense is an error's name")
	}
}

// What lies next to a certificate is found, or not, as ssl-load-extra-files says.
func TestExtras(t *testing.T) {
	b := newBench(t)
	b.self("root", "ec", "Root")
	b.signed("leaf", "root", "site.test", false)
	b.write("site.crt", b.read("leaf.c"))
	b.write("site.key", b.read("leaf.k"))
	b.write("site.crt.key", b.read("leaf.k"))
	b.write("site.crt.sctl", "\x00\x05\x00\x03abc")
	b.write("site.crt.issuer", b.read("root.c"))
	if err := os.Mkdir(b.path("chains"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.write("chains/root.pem", b.read("root.c"))

	load := func(s *Store) (*tls.Certificate, error) {
		l, _, err := s.Load(Options{Sources: files(b.path("site.crt"))})
		if err != nil {
			return nil, err
		}
		return l.state.Load().set.all[0].pair.cert, nil
	}
	c, err := load(&Store{Extras: AllExtras()})
	if err != nil || len(c.SignedCertificateTimestamps) != 1 || len(c.Certificate) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = load(&Store{Extras: AllExtras(), ChainPath: b.path("chains")}); err != nil || len(c.Certificate) != 2 {
		t.Errorf("issuers-chain-path: %d certificates, %v", len(c.Certificate), err)
	}
	if c, err = load(&Store{Extras: Extras{Key: true, DelExt: true}}); err != nil || c.SignedCertificateTimestamps != nil {
		t.Errorf("del-ext: %+v, %v", c, err)
	}
	if _, err = load(&Store{}); err == nil || !strings.Contains(err.Error(), "ssl-load-extra-files") {
		t.Errorf("none: %v", err)
	}
	b.write("site.crt.sctl", "\x00\x05\x00\x04abc")
	if _, err = load(&Store{Extras: AllExtras()}); err == nil || !strings.Contains(err.Error(), "site.crt.sctl") {
		t.Errorf("a broken list of timestamps: %v", err)
	}
}

// The last three keys of a file are used, and the last but one encrypts.
func TestTicketKeyFiles(t *testing.T) {
	b := newBench(t)
	line := func(n int, fill byte) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(fill)), n))) + "\n"
	}
	site := files(b.self("site", "ec", "site.test"))
	load := func(name string, keys ...string) *tls.Config {
		return b.load(Options{Sources: site, TicketKeys: b.write(name, keys...)})
	}
	one := load("1", line(48, 'a'), line(48, 'b'), line(48, 'c'), line(48, 'd'))
	two := load("2", line(48, 'b'), line(48, 'c'), line(48, 'd'), line(48, 'e'))
	three := load("3", line(80, 'x'), line(80, 'y'), line(80, 'z'))
	for _, c := range []struct {
		first, second *tls.Config
		resumes       bool
	}{{one, one, true}, {one, two, true}, {two, one, true}, {one, three, false}} {
		client := &tls.Config{ServerName: "site.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		var state tls.ConnectionState
		if err := exchange(c.first, client, nil); err != nil {
			t.Fatal(err)
		}
		if err := exchange(c.second, client, &state); err != nil || state.DidResume != c.resumes {
			t.Errorf("resumed %v, %v", state.DidResume, err)
		}
	}
	for text, want := range map[string]string{
		"":                            "there are 0 keys",
		"###\n":                       "line 1: the key is not in base64",
		line(47, 'a'):                 "line 1: the key has 47 bytes",
		line(48, 'a') + line(80, 'b'): "line 2: the key has 80 bytes, the first one 48",
		line(48, 'a') + line(48, 'b'): "there are 2 keys, and 3 are needed",
	} {
		if _, err := ParseTicketKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A thousand certificates are read on all cores, and no key is parsed before it
// signs.
func TestManyCertificates(t *testing.T) {
	b := newBench(t)
	rsa, ec := b.self("rsa", "rsa", "rsa.test"), b.self("ec", "ec", "ec.test")
	if err := os.Mkdir(b.path("many"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := os.Link([]string{rsa, ec}[i%2], b.path(fmt.Sprintf("many/%04d.pem", i))); err != nil {
			t.Fatal(err)
		}
	}
	l := b.listener(Options{Sources: files(b.path("many"))})
	all := l.state.Load().set.all
	if len(all) != 1000 {
		t.Fatalf("%d certificates", len(all))
	}
	for _, c := range all {
		switch k := c.pair.cert.PrivateKey.(type) {
		case *lazyRSA:
			if k.key != nil {
				t.Fatal("an RSA key was parsed")
			}
		case *lazyKey:
			if k.key != nil {
				t.Fatal("an ECDSA key was parsed")
			}
		default:
			t.Fatalf("%s: %T", c.pair.file, k)
		}
	}
	again, _, err := l.store.Load(Options{Sources: files(b.path("many"))})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range again.state.Load().set.all {
		if c.pair != all[i].pair {
			t.Fatalf("%s was read again for a second bind line", c.pair.file)
		}
	}
	for _, sni := range []string{"rsa.test", "ec.test"} {
		if got := subject(l.Config, sni); got != sni {
			t.Errorf("%s: %q", sni, got)
		}
	}
	// Key exchange by RSA decrypts with the key.
	client := &tls.Config{ServerName: "rsa.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}
	one := b.load(Options{Sources: files(rsa), Settings: Settings{Ciphers: client.CipherSuites, MaxVersion: tls.VersionTLS12}})
	if _, _, err := handshake(one, client); err != nil {
		t.Error(err)
	}
}

// BenchmarkLoad loads 10,000 certificates, half of them RSA.
func BenchmarkLoad(b *testing.B) {
	h := newBench(b)
	rsa, ec := h.self("rsa", "rsa", "rsa.test"), h.self("ec", "ec", "ec.test")
	if err := os.Mkdir(h.path("many"), 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		if err := os.Link([]string{rsa, ec}[i%2], h.path(fmt.Sprintf("many/%05d.pem", i))); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, _, err := newStore().Load(Options{Sources: files(h.path("many"))}); err != nil {
			b.Fatal(err)
		}
	}
}
