package certs

import (
	"crypto/tls"
	"strings"
	"testing"
)

// A server is trusted as its line says: by anybody, by an authority, and for a
// name where one is known.
func TestClient(t *testing.T) {
	b := newBench(t)
	b.self("ca", "ec", "authority")
	b.signed("good", "ca", "good.example", false)
	b.write("good.pem", b.read("good.c"), b.read("good.k"))
	b.self("other", "ec", "good.example", "good.example")
	connect := func(server string, o ClientOptions) error {
		t.Helper()
		client, err := newStore().Client(o)
		if err != nil {
			t.Fatal(err)
		}
		// Over TCP: over a pipe each side waits for the other to read, when one
		// refuses.
		l, err := tls.Listen("tcp", "127.0.0.1:0", b.load(Options{Sources: files(b.path(server + ".pem"))}))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err == nil {
				_ = c.(*tls.Conn).Handshake() // the client's end of it is what counts
				c.Close()
			}
		}()
		c, err := tls.Dial("tcp", l.Addr().String(), client)
		if err == nil {
			c.Close()
		}
		return err
	}
	run := func(server string, o ClientOptions, refused string) {
		t.Helper()
		err := connect(server, o)
		switch {
		case refused == "" && err != nil:
			t.Errorf("%s %+v: %v", server, o, err)
		case refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
			t.Errorf("%s %+v: %v, want %q", server, o, err, refused)
		}
	}
	ca := b.path("ca.c")
	run("good", ClientOptions{}, "")
	run("other", ClientOptions{}, "")
	run("good", ClientOptions{CA: ca}, "")
	run("other", ClientOptions{CA: ca}, "unknown authority")
	run("good", ClientOptions{CA: ca, SNI: "good.example"}, "")
	run("good", ClientOptions{CA: ca, SNI: "bad.example"}, "not bad.example")
	run("good", ClientOptions{CA: ca, SNI: "bad.example", Name: "good.example"}, "not bad.example")
	run("good", ClientOptions{CA: ca, SNI: "good.example", Name: "bad.example"}, "")
	run("good", ClientOptions{CA: ca, Name: "bad.example"}, "not bad.example")
	run("good", ClientOptions{CA: "@system-ca"}, "unknown authority")
	run("good", ClientOptions{MaxVersion: tls.VersionTLS12}, "")
	run("good", ClientOptions{Cert: b.path("other.pem")}, "")

	for _, o := range []ClientOptions{{CA: b.path("none")}, {CA: b.path("good.k")}, {Cert: b.path("none")}} {
		if _, err := newStore().Client(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestCovers: names of servers' certificates are good for the hosts that HAProxy takes them for.
func TestCovers(t *testing.T) {
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"a.test", "A.Test", true},
		{"a.test", "b.test", false},
		{"*.a.test", "x.a.test", true},
		{"*.a.test", "a.test", false},
		{"*.a.test", "x.y.a.test", false},
		{"x*z.test", "xyz.test", true},
		{"x*z.test", "xz.test", true},
		{"x*z.test", "x.test", false},
		{"*x*.test", "axa.test", false},
		{"a.*.test", "a.b.test", false},
		{"xn--*.test", "xn--a.test", false},
		{"*", "test", false},
		{"", "test", false},
	} {
		if got := covers(c.name, c.host); got != c.want {
			t.Errorf("%q for %q: %v", c.name, c.host, got)
		}
	}
}
