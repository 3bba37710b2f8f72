package stream

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/lb/wire"
	"lbsyslogd/test/wait"
)

// secureChain is engines that take over from one another, each with the same
// TLS listener.
type secureChain struct {
	t      *testing.T
	adjust func(*rig)
	server string
	http   bool
	rigs   []*rig
}

func newSecureChain(t *testing.T, http bool, server string) *secureChain {
	c := &secureChain{t: t, adjust: secure(t), server: server, http: http}
	c.next(nil)
	return c
}

// next adds an engine.
func (c *secureChain) next(change func(*rig)) *rig {
	first := ""
	if len(c.rigs) > 0 {
		first = c.rigs[0].fe.Listeners[0].Name
	}
	r := newRig(c.t, c.http, []string{c.server}, func(r *rig) {
		c.adjust(r)
		if first != "" {
			r.fe.Listeners[0].Name = first
		}
		if change != nil {
			change(r)
		}
	})
	c.rigs = append(c.rigs, r)
	return r
}

// move has the last engine give all to a new one.
func (c *secureChain) move(change func(*rig)) (old *rig, a *across) {
	old = c.rigs[len(c.rigs)-1]
	a = &across{t: c.t, to: c.next(change).Engine, kinds: map[Kind]int{}}
	old.Handover(a.carry)
	return old, a
}

// secureClient is a client of crypto/tls.
func secureClient(t *testing.T, addr string, cfg *tls.Config) *client {
	t.Helper()
	c := connect(t, addr)
	cfg.InsecureSkipVerify = true
	tc := tls.Client(c.TCPConn, cfg)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, TCPConn: c.TCPConn, tls: tc, r: bufio.NewReader(tc)}
}

// versions are what moves: with every suite of TLS 1.3 that crypto/tls chooses
// by itself, and those of 1.2.
var versions = []struct {
	name string
	cfg  *tls.Config
}{
	{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}},
	{"TLS 1.2 GCM", &tls.Config{MaxVersion: tls.VersionTLS12}},
	{"TLS 1.2 ChaCha", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}}},
}

// TestHandoverOfTLSRequests: clients that are idle, in the middle of a head, or
// have said nothing, over several generations.
func TestHandoverOfTLSRequests(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			c := newSecureChain(t, true, pathServer(t))
			addr := c.rigs[0].addr
			var idle []*client
			for i := range 100 {
				k := secureClient(t, addr, v.cfg.Clone())
				if !k.get(fmt.Sprintf("/first/%d", i)) {
					t.Fatal("not kept")
				}
				idle = append(idle, k)
			}
			half, silent := secureClient(t, addr, v.cfg.Clone()), secureClient(t, addr, v.cfg.Clone())
			half.say("GET /half HTTP/1.1\r\nHo")
			wait.Until(t, "the handshakes", func() bool { return c.rigs[0].Shards[0].Read().Front[0].SSLSessions == 102 })
			for round := range 3 {
				old, a := c.move(nil)
				awaitEmpty(t, old.Engine)
				if n := a.moved(SecureClientParcel); n != 102 {
					t.Errorf("%d moved", n)
				}
				for i, k := range idle {
					if !k.get(fmt.Sprintf("/%d/%d", round, i)) {
						t.Fatal("the answer after the move ends the connection")
					}
				}
				half.say("st: a\r\n\r\nGET /half HTTP/1.1\r\nHo")
				if !half.answer("/half") {
					t.Fatal("the half request is the last one")
				}
			}
			silent.get("/silent")
			idle[0].tls.CloseWrite()
			if rest, err := io.ReadAll(idle[0].r); err != nil || len(rest) > 0 { // io.EOF is close_notify
				t.Errorf("its end: %q, %v", rest, err)
			}
		})
	}
}

// TestHandoverOfTLSTunnels: numbered bytes both ways, so many that they stand
// in every buffer, over generation after generation: in TCP mode and after an
// upgrade.
func TestHandoverOfTLSTunnels(t *testing.T) {
	for _, v := range versions {
		for _, upgrade := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/upgrade=%v", v.name, upgrade), func(t *testing.T) {
				c := newSecureChain(t, upgrade, echoServer(t))
				k := secureClient(t, c.rigs[0].addr, v.cfg.Clone())
				if upgrade {
					k.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
					if a, err := http.ReadResponse(k.r, nil); err != nil || a.StatusCode != 101 {
						t.Fatal(a, err)
					}
				}
				k.say("before")
				k.hear("before")
				data := bodyOf(1, 32<<20)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := k.tls.Write(data); err != nil {
						t.Error(err)
					}
					if err := k.tls.CloseWrite(); err != nil {
						t.Error(err)
					}
				})
				got := make([]byte, len(data))
				for round := range 4 {
					part := got[round*len(data)/4 : (round+1)*len(data)/4]
					if _, err := io.ReadFull(k.r, part[:1]); err != nil {
						t.Fatal(err)
					}
					old, a := c.move(nil)
					if n, err := io.ReadFull(k.r, part[1:]); err != nil {
						t.Fatalf("round %d: %d bytes: %v", round, n, err)
					}
					if round < 2 { // later it may have ended: the kernel holds a few MiB
						awaitEmpty(t, old.Engine)
						if n := a.moved(SecureTunnelParcel); n != 1 {
							t.Errorf("%d tunnels moved", n)
						}
					}
				}
				wg.Wait()
				if !bytes.Equal(got, data) {
					t.Error("bytes are lost, or doubled")
				}
				if rest, err := io.ReadAll(k.r); err != nil || len(rest) > 0 {
					t.Errorf("after the end: %d bytes, %v", len(rest), err)
				}
			})
		}
	}
}

// TestTLSIsRefused: a listener that demands something else, is gone, or does not
// understand the state has the connection end politely where it is.
func TestTLSIsRefused(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"client certificates": func(r *rig) { r.fe.Listeners[0].TLS.Demands = func(string) string { return "required" } },
		"a newer version":     func(r *rig) { r.fe.Listeners[0].TLS.Config.MinVersion = tls.VersionTLS13 },
		"other suites": func(r *rig) {
			r.fe.Listeners[0].TLS.Config.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}
		},
		"other suites of TLS 1.3": func(r *rig) {
			r.fe.Listeners[0].TLS.Suites = func(string) []uint16 { return []uint16{tls.TLS_CHACHA20_POLY1305_SHA256} }
		},
		"a certificate is gone": func(r *rig) {
			r.fe.Listeners[0].TLS.Knows = func(name string) bool { return name != "lb.example" }
		},
		"plain": func(r *rig) { r.fe.Listeners[0].TLS = nil },
		"none":  func(r *rig) { r.fe.Proxy.Name = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			c := newSecureChain(t, true, pathServer(t))
			client := &tls.Config{ServerName: "lb.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
			if name == "other suites of TLS 1.3" {
				client.MaxVersion = 0
			}
			k := secureClient(t, c.rigs[0].addr, client)
			k.get("/first")
			old, a := c.move(func(r *rig) {
				l := r.fe.Listeners[0]
				own := *l.TLS
				own.Config = own.Config.Clone()
				l.TLS = &own
				change(r)
			})
			wait.Until(t, "it to be refused", func() (fixed bool) {
				sh := old.Shards[0]
				sh.Loop.Call(func() { s := sh.sessions.head.next; fixed = s != &sh.sessions.head && s.fixed })
				return fixed
			})
			if k.get("/second") {
				t.Error("the answer keeps the connection")
			}
			if rest, err := io.ReadAll(k.r); err != nil || len(rest) > 0 {
				t.Errorf("its end: %q, %v", rest, err)
			}
			k.Close()
			awaitEmpty(t, old.Engine)
			if n := a.moved(SecureClientParcel); n != 0 {
				t.Errorf("%d moved", n)
			}
		})
	}
	c := newSecureChain(t, true, pathServer(t))
	next := c.next(nil)
	for name, p := range map[string]*Parcel{
		"an unknown form": {Kind: SecureClientParcel, TLS: &wire.State{Info: wire.Info{Version: tls.VersionTLS13}, Record: []byte{99, 1, 2, 3, 4, 5, 6, 7, 8}}},
		"no state":        {Kind: SecureClientParcel},
		"a plain kind":    {Kind: ClientParcel, TLS: &wire.State{}},
		"an unknown kind": {Kind: "client-quic", TLS: &wire.State{}},
		"too much":        {Kind: SecureClientParcel, TLS: &wire.State{In: make([]byte, 64<<10)}},
	} {
		p.Frontend, p.Listener, p.FDs = "fe", next.fe.Listeners[0].Name, []int{1}
		taken, start := next.Adopt([]*Parcel{p})
		start()
		if taken[0] || next.Conns() != 0 {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestTLSLeftWithoutAWord: nothing is sent to a client by the process that its
// connection leaves, and no secret stays in a parcel that was sent.
func TestTLSLeftWithoutAWord(t *testing.T) {
	c := newSecureChain(t, true, pathServer(t))
	k := secureClient(t, c.rigs[0].addr, &tls.Config{})
	k.get("/first")
	old := c.rigs[0]
	next := c.next(nil)
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
	var sent []*Parcel
	var record string
	old.Handover(func(parcels []*Parcel) ([]bool, error) {
		if parcels[0].TLS != nil {
			sent, record = parcels, string(parcels[0].TLS.Record)
		}
		return a.carry(parcels)
	})
	awaitEmpty(t, old.Engine)
	if text, _ := json.Marshal(sent); record == "" || sent[0].TLS.Record != nil || strings.Contains(string(text), `"record":"A`) {
		t.Errorf("a parcel still has %s", text)
	}
	k.get("/second")
}

// TestCBCStays: what is left to crypto/tls ends politely.
func TestCBCStays(t *testing.T) {
	c := newSecureChain(t, true, pathServer(t))
	c.adjust = func(adjust func(*rig)) func(*rig) {
		return func(r *rig) {
			adjust(r)
			listener := *r.fe.Listeners[0].TLS
			listener.Config = listener.Config.Clone()
			listener.Config.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
			r.fe.Listeners[0].TLS = &listener
		}
	}(c.adjust)
	c.rigs = nil
	c.next(nil)
	k := secureClient(t, c.rigs[0].addr, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}})
	k.get("/first")
	old, _ := c.move(nil)
	if k.get("/second") {
		t.Error("the answer keeps the connection")
	}
	if rest, err := io.ReadAll(k.r); err != nil || len(rest) > 0 {
		t.Errorf("its end: %q, %v", rest, err)
	}
	k.Close()
	awaitEmpty(t, old.Engine)
}
