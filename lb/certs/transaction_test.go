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
