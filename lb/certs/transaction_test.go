package certs

import (
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// site is a store with one listener for a certificate.
func (b *bench) site(o Options) (*Store, *Listener) {
	b.Helper()
	s := newStore()
	l, _, err := s.Load(o)
	if err != nil {
		b.Fatal(err)
	}
	return s, l
}

// What commands changed is served, goes to the next worker's store, and is gone
// when the file says otherwise, or an operator does.
func TestChangesGoOn(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "Authority")
	file := b.self("one", "ec", "one.test")
	b.self("two", "rsa", "two.test")
	list := b.write("list.txt", file+"\n")
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 48)))
	keys := b.write("keys", key+"\n"+key+"\n"+key+"\n")
	o := Options{
		Sources: []Source{{Path: list, List: true}}, TicketKeys: keys,
		Settings: Settings{Verify: "optional", CAFile: b.path("ca.c")},
	}
	s, l := b.site(o)
	run := func(want, verb, object string, payload string, args ...string) {
		t.Helper()
		var p []byte
		if payload != "" {
			p = []byte(payload)
		}
		if got := s.Command(verb, object, args, p); !strings.Contains(got, want) {
			t.Errorf("%s ssl %s %v: %q, want %q", verb, object, args, got, want)
		}
	}
	if list := s.Changes(); list != nil {
		t.Errorf("changes before any: %+v", list)
	}
	run("Transaction created", "set", "cert", b.read("two.pem"), file)
	if got := subject(l.Config, ""); got != "one.test" {
		t.Errorf("before commit: %s", got)
	}
	run("Success!", "commit", "cert", "", file)
	run("New empty", "new", "cert", "", "/x/three.pem")
	run("Transaction created", "set", "cert", b.read("one.pem"), "/x/three.pem")
	run("Success!", "commit", "cert", "", "/x/three.pem")
	run("Success!", "add", "crt-list", "/x/three.pem [verify none] three.test", list)
	run("transaction created", "set", "ca-file", b.read("ca.c")+b.read("one.c"), b.path("ca.c"))
	run("Success!", "commit", "ca-file", "", b.path("ca.c"))
	run("TLS ticket key updated!", "set", "tls-key", "", "#0", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("n", 48))))
	check := func(when string, l *Listener, changed bool) {
		t.Helper()
		want := map[bool]string{true: "two.test", false: "one.test"}[changed]
		if got := subject(l.Config, "x"); got != want {
			t.Errorf("%s: %s", when, got)
		}
		if l.Knows("three.test") != changed {
			t.Errorf("%s: three.test known: %v", when, !changed)
		}
	}
	check("changed", l, true)
	changes := s.Changes()
	if len(changes) != 5 {
		t.Fatalf("%d changes: %+v", len(changes), changes)
	}
	next, nl := b.site(o)
	if notes := next.Restore(changes); notes != nil {
		t.Errorf("notes %q", notes)
	}
	check("the next worker", nl, true)
	// All of it goes on another time.
	third, tl := b.site(o)
	third.Restore(next.Changes())
	check("the one after", tl, true)
	if err := next.Reset(); err != nil {
		t.Fatal(err)
	}
	check("reset", nl, false)
	if list := next.Changes(); len(list) > 0 {
		t.Errorf("changes after a reset: %+v", list)
	}
	b.write("one.pem", b.read("two.pem"))
	b.write("list.txt", file+"\n"+file+" four.test\n")
	last, ll := b.site(o)
	if notes := last.Restore(changes); len(notes) != 2 || !strings.Contains(notes[0], "it counts") {
		t.Errorf("notes %q", notes)
	}
	if !ll.Knows("four.test") || ll.Knows("three.test") {
		t.Error("the file does not count")
	}
}

// A commit that cannot be served changes nothing; a key may come by itself.
func TestCommitChecks(t *testing.T) {
	b := newBench(t)
	file := b.self("one", "ec", "one.test")
	b.self("two", "ec", "two.test")
	s, l := b.site(Options{Sources: files(file)})
	s.Command("set", "cert", []string{file}, []byte(b.read("two.c")))
	if got := s.Command("commit", "cert", []string{file}, nil); !strings.Contains(got, "Can't commit") {
		t.Errorf("the old key with a new certificate: %q", got)
	}
	if got := subject(l.Config, ""); got != "one.test" {
		t.Errorf("served %s", got)
	}
	s.Command("set", "cert", []string{file + ".key"}, []byte(b.read("two.k")))
	if got := s.Command("commit", "cert", []string{file}, nil); !strings.Contains(got, "Success!") {
		t.Errorf("with its key: %q", got)
	}
	if got := subject(l.Config, ""); got != "two.test" {
		t.Errorf("served %s", got)
	}
}

// An OCSP answer is stapled if it is good, and of the certificate's issuer.
func TestStapling(t *testing.T) {
	b := newBench(t)
	b.self("root", "ec", "Root")
	b.signed("leaf", "root", "site.test", false)
	site := b.write("site.pem", b.read("leaf.c"), b.read("leaf.k"), b.read("root.c"))
	root, err := tls.LoadX509KeyPair(b.write("root.pem", b.read("root.c"), b.read("root.k")), b.path("root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s, l := b.site(Options{Sources: files(site)})
	leaf := l.state.Load().set.all[0].pair.cert.Leaf
	answer := func(status int, until time.Time) []byte {
		der, err := ocsp.CreateResponse(root.Leaf, root.Leaf, ocsp.Response{Status: status, SerialNumber: leaf.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}, root.PrivateKey.(crypto.Signer))
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	stapled := func() int {
		_, c, err := handshake(l.Config, &tls.Config{ServerName: "site.test"})
		if err != nil {
			t.Fatal(err)
		}
		return len(c.OCSPResponse)
	}
	good := answer(ocsp.Good, time.Now().Add(time.Hour))
	set := func(der []byte, want string) {
		t.Helper()
		if got := s.Command("set", "ocsp-response", []string{base64.StdEncoding.EncodeToString(der)}, nil); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	set(answer(ocsp.Unknown, time.Now().Add(time.Hour)), "certificate status is unknown")
	set(answer(ocsp.Good, time.Now().Add(-time.Minute)), "no longer valid")
	if stapled() != 0 {
		t.Error("a bad answer is stapled")
	}
	set(good, "OCSP Response updated!")
	if stapled() != len(good) {
		t.Error("the answer is not stapled")
	}
	id := s.Command("show", "ocsp-response", nil, nil)
	_, id, _ = strings.Cut(id, "key : ")
	id, _, _ = strings.Cut(id, "\n")
	if got := s.Command("show", "ocsp-response", []string{id}, nil); !strings.Contains(got, "Cert Status: good") {
		t.Errorf("%q", got)
	}
	b.write("site.pem.ocsp", string(good))
	if _, l = b.site(Options{Sources: files(site)}); stapled() != len(good) {
		t.Error("the file's answer is not stapled")
	}
}

// What commands replace is seen by those that have sessions, too: clients of a
// bind line whose certificate changes begin new ones, unless the operator gives the
// keys of tickets, and so do connections to servers, whichever of their files it is.
func TestCommitEndsSessions(t *testing.T) {
	b := newBench(t)
	site := b.self("site", "ec", "site.test")
	b.self("next", "ec", "site.test")
	own := b.self("own", "ec", "client")
	trusted := b.write("trusted.pem", b.read("site.c"), b.read("next.c"))
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 48)))
	keys := b.write("keys", key+"\n"+key+"\n"+key+"\n")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, l := b.site(Options{Sources: files(site)})
		l.Config.SetSessionTicketKeys([][32]byte{{1}})
		given, _, err := s.Load(Options{Sources: files(site), TicketKeys: keys})
		if err != nil {
			t.Fatal(err)
		}
		client := func(o ClientOptions) *tls.Config {
			o.SNI, o.Resume, o.MaxVersion = "site.test", true, version
			cfg, err := s.Client(o)
			if err != nil {
				t.Fatal(err)
			}
			return cfg
		}
		resumed := func(server, client *tls.Config) bool {
			t.Helper()
			var state tls.ConnectionState
			if err := exchange(server, client, &state); err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		first, second, full := client(ClientOptions{}), client(ClientOptions{}), client(ClientOptions{Cert: own, CA: trusted, Of: "a server"})
		begin := func(server, client *tls.Config) {
			t.Helper()
			resumed(server, client)
			if !resumed(server, client) {
				t.Error("a session is not resumed although nothing has changed")
			}
		}
		commit := func(object, file, text string) {
			t.Helper()
			s.Command("set", object, []string{file}, []byte(text))
			if got := s.Command("commit", object, []string{file}, nil); !strings.HasSuffix(got, "Success!\n") {
				t.Errorf("commit %s: %q", file, got)
			}
		}
		begin(l.Config, first)
		begin(given.Config, second)
		commit("cert", site, b.read("next.pem"))
		if resumed(l.Config, first) {
			t.Error("a session is resumed whose certificate is not shown any more")
		}
		if !resumed(given.Config, second) {
			t.Error("a session is not resumed although the operator has given the keys")
		}
		begin(l.Config, full)
		commit("cert", own, b.read("site.pem"))
		if resumed(l.Config, full) {
			t.Error("a session is resumed that began with our former certificate")
		}
		begin(l.Config, full)
		commit("ca-file", trusted, b.read("next.c"))
		if resumed(l.Config, full) {
			t.Error("a session is resumed that began under former authorities")
		}
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
		if resumed(l.Config, full) {
			t.Error("a session is resumed that began with what has been taken back")
		}
		if got := s.Command("del", "cert", []string{own}, nil); !strings.Contains(got, "in use") {
			t.Errorf("of a server: %q", got)
		}
		s.Release("a server")
		if got := s.Command("del", "cert", []string{own}, nil); !strings.Contains(got, "deleted!") {
			t.Errorf("of no server any more: %q", got)
		}
	}
}
