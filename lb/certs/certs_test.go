package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// bench makes certificates with openssl in a directory of its own.
type bench struct {
	testing.TB
	dir string
}

func newBench(t testing.TB) *bench { return &bench{t, t.TempDir()} }

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) openssl(args ...string) {
	b.Helper()
	cmd := exec.Command(tape.Require(b.TB, "openssl"), args...)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (b *bench) read(name string) string {
	b.Helper()
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

// write joins parts into a file only its owner may read.
func (b *bench) write(name string, parts ...string) string {
	b.Helper()
	if err := os.WriteFile(b.path(name), []byte(strings.Join(parts, "")), 0o600); err != nil {
		b.Fatal(err)
	}
	return b.path(name)
}

// self makes a self-signed certificate with its key in NAME.pem. kind is "ec"
// or "rsa"; sans are DNS names.
func (b *bench) self(name, kind string, sans ...string) string {
	b.Helper()
	args := []string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=" + sans[0], "-keyout", name + ".k", "-out", name + ".c"}
	if kind == "ec" {
		args = append(args, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
	} else {
		args = append(args, "-newkey", "rsa:2048")
	}
	if len(sans) > 1 {
		args = append(args, "-addext", "subjectAltName=DNS:"+strings.Join(sans[1:], ",DNS:"))
	}
	b.openssl(args...)
	return b.write(name+".pem", b.read(name+".c"), b.read(name+".k"))
}

// signed makes a certificate signed by that of ca (a name self or signed has
// made).
func (b *bench) signed(name, ca, subject string, isCA bool) {
	b.Helper()
	b.openssl("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN="+subject, "-keyout", name+".k", "-out", name+".r")
	ext := "subjectAltName=DNS:" + subject + "\n"
	if isCA {
		ext = "basicConstraints=critical,CA:TRUE\n"
	}
	b.write(name+".ext", ext)
	b.openssl("x509", "-req", "-in", name+".r", "-CA", ca+".c", "-CAkey", ca+".k", "-CAcreateserial", "-days", "30", "-extfile", name+".ext", "-out", name+".c")
}

func (b *bench) load(o Options) *tls.Config { return b.listener(o).Config }

func (b *bench) listener(o Options) *Listener {
	b.Helper()
	l, notes, err := newStore().Load(o)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range notes {
		b.Errorf("unexpected note on %s: %s", n.File, n.Text)
	}
	return l
}

// newStore is one whose crt-lists know the option verify.
func newStore() *Store {
	return &Store{Extras: AllExtras(), Settings: func(words []string) (s Settings, err error) {
		for len(words) > 1 {
			switch words[0] {
			case "verify":
				s.Verify = words[1]
			case "ca-file":
				s.CAFile = words[1]
			default:
				return s, errors.New("unknown ssl keyword " + words[0])
			}
			words = words[2:]
		}
		return s, nil
	}}
}

// files are sources of certificates.
func files(names ...string) (list []Source) {
	for _, n := range names {
		list = append(list, Source{Path: n})
	}
	return list
}

// ends are the two of a connection that takes what one of them writes though the other does not read: with net.Pipe, one that gives a handshake up in
// the middle of what it is sent would wait for ever.
func ends() (a, z net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if z, err = l.Accept(); err != nil {
		a.Close()
	}
	return a, z, err
}

// handshake over a connection, the client trusting anybody.
func handshake(server, client *tls.Config) (s, c tls.ConnectionState, err error) {
	a, z, err := ends()
	if err != nil {
		return s, c, err
	}
	defer a.Close()
	defer z.Close()
	cc := client.Clone()
	if cc.RootCAs == nil {
		cc.InsecureSkipVerify = true
	}
	ended := make(chan tls.ConnectionState, 1)
	go func() {
		conn := tls.Server(a, server)
		conn.Handshake()
		ended <- conn.ConnectionState()
		a.Close()
	}()
	conn := tls.Client(z, cc)
	err = conn.Handshake()
	c = conn.ConnectionState()
	z.Close()
	return <-ended, c, err
}

// subject of the certificate a client with that SNI gets; "" when refused.
func subject(cfg *tls.Config, sni string) string {
	_, c, err := handshake(cfg, &tls.Config{ServerName: sni})
	if err != nil {
		return ""
	}
	return c.PeerCertificates[0].Subject.CommonName
}

// The certificate is found by the exact name, then by a wildcard of one label,
// then the first one is taken or, with strict-sni, nobody's.
func TestSNI(t *testing.T) {
	b := newBench(t)
	o := Options{Sources: files(
		b.self("def", "ec", "default.test"),
		b.self("wild", "ec", "*.example.test", "*.example.test", "other.test"),
		b.self("www", "ec", "WWW.example.test"),
	)}
	cfg := b.load(o)
	o.StrictSNI = true
	strict := b.load(o)
	for _, c := range []struct{ sni, want, strict string }{
		{"default.test", "default.test", "default.test"},
		{"www.example.test", "WWW.example.test", "WWW.example.test"},
		{"WWW.EXAMPLE.test", "WWW.example.test", "WWW.example.test"},
		{"a.example.test", "*.example.test", "*.example.test"},
		{"a.b.example.test", "default.test", ""},
		{"example.test", "default.test", ""},
		{"other.test", "*.example.test", "*.example.test"},
		{"unknown", "default.test", ""},
		{"", "default.test", ""},
	} {
		if got := subject(cfg, c.sni); got != c.want {
			t.Errorf("SNI %q: %q, want %q", c.sni, got, c.want)
		}
		if got := subject(strict, c.sni); got != c.strict {
			t.Errorf("strict, SNI %q: %q, want %q", c.sni, got, c.strict)
		}
	}
	_, _, err := handshake(strict, &tls.Config{ServerName: "unknown"})
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("strict refusal: %v, want the alert unrecognized_name", err)
	}
}

// With certificates of both kinds for a name a client gets ECDSA if it can,
// whether it asks by name or gets the default, and from a bundle too.
func TestKeyKinds(t *testing.T) {
	b := newBench(t)
	r, e := b.self("a-rsa", "rsa", "both.test"), b.self("a-ec", "ec", "both.test")
	b.write("bundle.pem.rsa", b.read("a-rsa.pem"))
	b.write("bundle.pem.ecdsa", b.read("a-ec.pem"))
	rsaOnly := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for _, names := range [][]string{{r, e}, {e, r}, {b.path("bundle.pem")}} {
		cfg := b.load(Options{Sources: files(names...)})
		for _, sni := range []string{"both.test", ""} {
			for client, want := range map[*tls.Config]x509.PublicKeyAlgorithm{{}: x509.ECDSA, rsaOnly: x509.RSA} {
				client = client.Clone()
				client.ServerName = sni
				_, c, err := handshake(cfg, client)
				if err != nil {
					t.Errorf("%v, SNI %q, want %v: %v", names, sni, want, err)
					continue
				}
				if got := c.PeerCertificates[0].PublicKeyAlgorithm; got != want {
					t.Errorf("%v, SNI %q: %v, want %v", names, sni, got, want)
				}
			}
		}
	}
}

// The blocks of a file may come in any order and with others among them; the
// chain is sent in the right one.
func TestOrder(t *testing.T) {
	b := newBench(t)
	b.self("root", "ec", "Root")
	b.signed("mid", "root", "Intermediate", true)
	b.signed("leaf", "mid", "site.test", false)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(b.read("root.c")))
	dh := "-----BEGIN DH PARAMETERS-----\nMAYCAQUCAQI=\n-----END DH PARAMETERS-----\n"
	leaf, mid, root, key := b.read("leaf.c"), b.read("mid.c"), b.read("root.c"), b.read("leaf.k")
	for i, parts := range [][]string{
		{leaf, mid, key},
		{key, leaf, mid},
		{mid, dh, leaf, "some text\n", key},
		{root, mid, leaf, key, dh},
	} {
		cfg := b.load(Options{Sources: files(b.write("order.pem", parts...))})
		_, c, err := handshake(cfg, &tls.Config{ServerName: "site.test", RootCAs: roots})
		if err != nil {
			t.Errorf("order %d: %v", i, err)
			continue
		}
		if c.PeerCertificates[0].Subject.CommonName != "site.test" || c.PeerCertificates[1].Subject.CommonName != "Intermediate" {
			t.Errorf("order %d: chain begins %v", i, c.PeerCertificates[0].Subject)
		}
	}
	b.write("split.pem", leaf, mid)
	b.write("split.pem.key", key)
	if got := subject(b.load(Options{Sources: files(b.path("split.pem"))}), "site.test"); got != "site.test" {
		t.Errorf("key in a file of its own: %q", got)
	}
	b.openssl("ec", "-in", "leaf.k", "-out", "leaf.sec1")
	b.load(Options{Sources: files(b.write("sec1.pem", leaf, mid, b.read("leaf.sec1")))})
}

// A directory gives all its certificates in the order of their names, and
// nothing else that lies there.
func TestDirectory(t *testing.T) {
	b := newBench(t)
	one, two := b.self("one", "ec", "one.test"), b.self("two", "ec", "two.test")
	dir := b.path("certs")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"20.pem": one, "10.pem": two} {
		if err := os.Symlink(from, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b.write("certs/10.pem.ocsp")
	b.write("certs/.hidden", "not a certificate")
	cfg := b.load(Options{Sources: files(dir)})
	for sni, want := range map[string]string{"one.test": "one.test", "two.test": "two.test", "x": "two.test"} {
		if got := subject(cfg, sni); got != want {
			t.Errorf("SNI %s: %s, want %s", sni, got, want)
		}
	}
}

// Each mistake has a sentence with the file and the way out, and all of them
// are told at once.
func TestMistakes(t *testing.T) {
	b := newBench(t)
	good := b.self("good", "ec", "good.test")
	b.self("other", "ec", "other.test")
	b.openssl("ec", "-in", "good.k", "-aes128", "-passout", "pass:x", "-out", "legacy.k")
	b.openssl("pkcs8", "-topk8", "-in", "good.k", "-passout", "pass:x", "-out", "pkcs8.k")
	if err := os.Mkdir(b.path("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(want string, o Options) {
		t.Helper()
		_, _, err := newStore().Load(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	file := func(name string, parts ...string) Options {
		return Options{Sources: files(b.write(name, parts...))}
	}
	run("add crt FILE", Options{})
	run("certificate "+b.path("none.pem")+" cannot be read: no such file or directory", Options{Sources: files(b.path("none.pem"))})
	run("certificate directory "+b.path("empty")+" holds no certificates", Options{Sources: files(b.path("empty"))})
	if _, _, err := newStore().Load(Options{Sources: files(b.path("empty")), StrictSNI: true}); err != nil {
		t.Errorf("with strict-sni: %v", err)
	}
	run("holds no private key and there is no "+b.path("nokey.pem.key"), file("nokey.pem", b.read("good.c")))
	run("no certificate in PEM form", file("nocert.pem", b.read("good.k")))
	run("belongs to none of the certificates (the first is for good.test)", file("mixed.pem", b.read("good.c"), b.read("other.k")))
	run("encrypted", file("legacy.pem", b.read("good.c"), b.read("legacy.k")))
	run("encrypted", file("pkcs8.pem", b.read("good.c"), b.read("pkcs8.k")))
	run("certificate number 1 cannot be parsed", file("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b.read("good.k")))
	run("the private key cannot be parsed", file("junkkey.pem", b.read("good.c"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	run(`a key of the kind "DSA PRIVATE KEY" cannot be used`, file("dsa.pem", b.read("good.c"), "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n"))
	run("add ca-file FILE", Options{Sources: files(good), Settings: Settings{Verify: "required"}})
	run("ca-file "+b.path("none.ca")+" cannot be read", Options{Sources: files(good), Settings: Settings{Verify: "required", CAFile: b.path("none.ca")}})
	run("holds no certificates in PEM form", Options{Sources: files(good), Settings: Settings{Verify: "required", CAFile: b.path("good.k")}})
	run("no client could connect", Options{Sources: files(good), Settings: Settings{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}})

	_, _, err := newStore().Load(Options{Sources: files(b.path("none1"), good, b.path("none2"))})
	if err == nil || !strings.Contains(err.Error(), "none1") || !strings.Contains(err.Error(), "none2") {
		t.Errorf("not all mistakes at once: %v", err)
	}
}

// What works but will not for long, or should not be, is a note.
func TestNotes(t *testing.T) {
	b := newBench(t)
	b.openssl("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=old.test", "-keyout", "old.k", "-out", "old.r")
	b.openssl("x509", "-req", "-in", "old.r", "-signkey", "old.k", "-days", "-1", "-out", "old.c")
	file := b.write("old.pem", b.read("old.c"), b.read("old.k"))
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, notes, err := newStore().Load(Options{Sources: files(file)})
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 || !strings.Contains(notes[0].Text, "old.test expired on") || !strings.Contains(notes[1].Text, "mode 0644") || notes[0].File != file {
		t.Errorf("notes %+v", notes)
	}
}

// TestProtocols: of several protocols the bind line's first counts; clients that speak none of them are served without.
func TestProtocols(t *testing.T) {
	b := newBench(t)
	cfg := b.load(Options{Sources: files(b.self("site", "ec", "site.test")), Settings: Settings{ALPN: []string{"h2", "http/1.1"}}})
	for _, c := range []struct {
		want  string
		offer []string
	}{{"h2", []string{"http/1.1", "h2"}}, {"http/1.1", []string{"acme-tls/1", "http/1.1"}}, {"", []string{"acme-tls/1"}}, {"", nil}} {
		_, client, err := handshake(cfg, &tls.Config{ServerName: "site.test", NextProtos: c.offer})
		if err != nil || client.NegotiatedProtocol != c.want {
			t.Errorf("%q: %q, %v", c.offer, client.NegotiatedProtocol, err)
		}
	}
}

// Client certificates are asked for and judged by the given authorities.
func TestClientCertificates(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "Authority")
	b.signed("client", "ca", "client", false)
	stranger := b.self("stranger", "ec", "stranger")
	cert := func(file string) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	known := cert(b.write("client.pem", b.read("client.c"), b.read("client.k")))
	o := Options{Sources: files(b.self("site", "ec", "site.test")), Settings: Settings{CAFile: b.path("ca.c"), MaxVersion: tls.VersionTLS12}}
	for _, c := range []struct {
		name   string
		verify string
		certs  []tls.Certificate
		ok     bool
	}{
		{"none", "none", nil, true},
		{"optional without", "optional", nil, true},
		{"optional with", "optional", known, true},
		{"required without", "required", nil, false},
		{"required with", "required", known, true},
		{"required, a stranger", "required", cert(stranger), false},
	} {
		o.Verify = c.verify
		_, _, err := handshake(b.load(o), &tls.Config{Certificates: c.certs})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Sessions resume between configurations that were given the same ticket keys,
// as those of two generations are.
func TestTicketKeys(t *testing.T) {
	b := newBench(t)
	o := Options{Sources: files(b.self("site", "ec", "site.test")), Settings: Settings{MaxVersion: tls.VersionTLS12}}
	one, two := b.load(o), b.load(o)
	o.NoTickets = true
	never := b.load(o)
	for _, c := range []*tls.Config{one, two, never} {
		c.SetSessionTicketKeys([][32]byte{{1, 2, 3}})
	}
	resumes := func(first, second *tls.Config) bool {
		client := &tls.Config{ServerName: "site.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		if _, _, err := handshake(first, client); err != nil {
			t.Fatal(err)
		}
		_, c, err := handshake(second, client)
		if err != nil {
			t.Fatal(err)
		}
		return c.DidResume
	}
	if !resumes(one, two) {
		t.Error("no resumption with shared keys")
	}
	if resumes(one, b.load(Options{Sources: o.Sources, Settings: o.Settings})) {
		t.Error("resumption with other keys")
	}
	if resumes(never, never) {
		t.Error("resumption without tickets")
	}
}

// openssl's own client agrees on what was chosen and how it is called.
func TestOpenSSLClient(t *testing.T) {
	b := newBench(t)
	cfg := b.load(Options{
		Sources:  files(b.self("one", "ec", "one.test"), b.self("two", "rsa", "two.test")),
		Settings: Settings{ALPN: []string{"http/1.1"}},
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	states := make(chan tls.ConnectionState, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			states <- c.(*tls.Conn).ConnectionState()
			c.Close()
		}
	}()
	run := func(sni, version string, suites ...string) {
		t.Helper()
		args := append([]string{"s_client", "-connect", l.Addr().String(), "-servername", sni, "-alpn", "http/1.1"}, suites...)
		cmd := exec.Command(tape.Require(t, "openssl"), args...)
		cmd.Stdin = strings.NewReader("")
		out, err := cmd.CombinedOutput()
		st := <-states
		if err != nil {
			t.Errorf("%s: %v\n%s", sni, err, out)
			return
		}
		if !bytes.Contains(out, []byte("subject=CN = "+sni)) || !bytes.Contains(out, []byte("ALPN protocol: http/1.1")) {
			t.Errorf("%s: openssl saw\n%s", sni, out)
		}
		if want := version + ", Cipher is " + Cipher(st.CipherSuite); Version(st.Version) != version || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s: %q not among what openssl saw\n%s", sni, want, out)
		}
	}
	run("one.test", "TLSv1.3")
	run("one.test", "TLSv1.2", "-tls1_2")
	run("two.test", "TLSv1.2", "-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305")
	run("two.test", "TLSv1.2", "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")
	run("two.test", "TLSv1.3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
}

// Every suite crypto/tls has carries OpenSSL's name. openssl itself knows most
// of them by it; its build leaves RC4 and 3DES out.
func TestCipherNames(t *testing.T) {
	known, err := exec.Command(tape.Require(t, "openssl"), "ciphers", "ALL:eNULL:@SECLEVEL=0").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := ":" + strings.TrimSpace(string(known)) + ":"
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		name := Cipher(s.ID)
		if name == "-" {
			t.Errorf("%s has no name", s.Name)
		}
		if !strings.Contains(list, ":"+name+":") && !strings.Contains(name, "RC4") && !strings.Contains(name, "DES") {
			t.Errorf("openssl does not know %s (%s)", name, s.Name)
		}
	}
	if Cipher(0) != "-" || Version(0) != "-" || Version(tls.VersionTLS10) != "TLSv1" || Version(tls.VersionTLS11) != "TLSv1.1" {
		t.Error("names of what there is not")
	}
}

// told is a Judged that keeps what it is told of suites.
type told struct{ suites []uint16 }

func (*told) Said(*tls.ClientHelloInfo)                        {}
func (*told) Chosen(*x509.Certificate)                         {}
func (*told) LetPass(_, _, _, _ int)                           {}
func (n *told) Narrow(_ *tls.ClientHelloInfo, suites []uint16) { n.suites = suites }

// TestSuites13: one suite of TLS 1.3 is left, and those of TLS 1.2 stay.
func TestSuites13(t *testing.T) {
	const aes128, aes256, chacha, old = tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	offered := []uint16{chacha, aes128, aes256, old}
	for _, c := range []struct {
		m    terms
		want []uint16
	}{
		{terms{}, nil},
		{terms{suites: []uint16{aes256, aes128}}, []uint16{0, 0, aes256, old}},
		{terms{suites: []uint16{aes256, aes128}, clientOrder: true}, []uint16{0, aes128, 0, old}},
		{terms{suites: []uint16{0x1304}}, []uint16{0, 0, 0, old}},
	} {
		hello, got := &tls.ClientHelloInfo{CipherSuites: offered}, &told{}
		c.m.narrow(hello, got)
		if !slices.Equal(got.suites, c.want) {
			t.Errorf("%x, the client's order %v: %x", c.m.suites, c.m.clientOrder, got.suites)
		}
	}
}
