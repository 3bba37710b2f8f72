package stream

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/userlist"
)

// protocol is how a test's client speaks.
type protocol int

const (
	http1Plain protocol = iota
	http2Plain          // with prior knowledge
	http2TLS            // agreed on by ALPN
)

func (p protocol) String() string { return [...]string{"HTTP1", "HTTP2", "HTTP2 TLS"}[p] }

func (p protocol) adjust(t *testing.T, r *rig) {
	if p != http2TLS {
		return
	}
	config := certificate(t)
	config.NextProtos = []string{"h2", "http/1.1"}
	name := func(uint16) string { return "-" }
	r.fe.Listeners[0].TLS = &TLS{Config: config, VersionName: name, CipherName: name}
}

func (p protocol) url(r *rig) string {
	if p == http2TLS {
		return "https://" + r.addr
	}
	return "http://" + r.addr
}

func (p protocol) client(t *testing.T) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	switch p {
	case http1Plain:
		tr.Protocols.SetHTTP1(true)
	case http2Plain:
		tr.Protocols.SetUnencryptedHTTP2(true)
	case http2TLS:
		tr.Protocols.SetHTTP2(true)
	}
	c := &http.Client{Timeout: 20 * time.Second, Transport: tr}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// TestStreamsAtOnce has many requests and bodies on one connection, each of which gets its own answer.
func TestStreamsAtOnce(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, r.URL.Path+" ")
		io.Copy(w, r.Body)
	})
	for _, kind := range []protocol{http2Plain, http2TLS} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, true, []string{srv}, func(r *rig) { kind.adjust(t, r) })
			c := kind.client(t)
			if resp, err := c.Get(kind.url(r)); err != nil { // from now on it knows how many streams there may be
				t.Fatal(err)
			} else {
				resp.Body.Close()
			}
			var all sync.WaitGroup
			atOnce := make(chan bool, maxStreams-10)
			for i := range 300 {
				all.Go(func() {
					atOnce <- true
					defer func() { <-atOnce }()
					body := strings.Repeat(fmt.Sprintf("%d.", i), i*300)
					resp, err := c.Post(kind.url(r)+fmt.Sprintf("/%d", i), "text/plain", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if want := fmt.Sprintf("/%d %s", i, body); err != nil || string(got) != want || resp.ProtoMajor != 2 {
						t.Errorf("%d: %s, %d bytes of %d, %v", i, resp.Proto, len(got), len(want), err)
					}
				})
			}
			all.Wait()
			if n := r.MaxConns(); n > 2 { // the client may count a stream a moment longer than we do
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestOptionDisableH2Upgrade: who agreed on HTTP/2 is served in it, and who begins with its preface is not.
func TestOptionDisableH2Upgrade(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	plain := newRig(t, true, []string{srv}, func(r *rig) { r.fe.NoH2Upgrade = true })
	if got := talk(t, plain.addr, http2.Preface); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("the preface is answered %q", got)
	}
	agreed := newRig(t, true, []string{srv}, func(r *rig) { http2TLS.adjust(t, r); r.fe.NoH2Upgrade = true })
	resp, err := http2TLS.client(t).Get(http2TLS.url(agreed) + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("who agreed on h2 is answered in %s", resp.Proto)
	}
}

// TestPathAfterPassword: a server of HTTP/1 is asked for the path also where the request has waited until its password was computed.
func TestPathAfterPassword(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	users := userlist.New("u")
	if err := users.AddHashed("anna", "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", nil); err != nil {
		t.Fatal(err)
	}
	if err := users.Finish(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, true, []string{srv}, func(r *rig) { r.Userlists = []*userlist.List{users} })
	req, err := http.NewRequest("GET", http2Plain.url(r)+"/x?y", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", "secret")
	resp, err := http2Plain.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "/x?y" {
		t.Errorf("the server was asked for %q, %v", got, err)
	}
}

// TestLeavingTwice sends requests without a pause while one engine leaves and the next one takes what comes anew: each stream that the first
// does not want to see was refused by a GOAWAY, so that the client sends it to the next one.
func TestLeavingTwice(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	for _, kind := range []protocol{http2Plain, http2TLS} {
		t.Run(kind.String(), func(t *testing.T) {
			var shared int
			old := newRig(t, true, []string{srv}, func(r *rig) {
				kind.adjust(t, r)
				var err error
				if shared, err = unix.Dup(r.fe.Listeners[0].FD); err != nil {
					t.Fatal(err)
				}
			})
			next := newRig(t, true, []string{srv}, func(r *rig) {
				kind.adjust(t, r)
				loop.CloseRaw(r.fe.Listeners[0].FD)
				r.fe.Listeners[0].FD = shared
			})
			c := kind.client(t)
			one := func(i int) {
				resp, err := c.Get(kind.url(old) + fmt.Sprintf("/%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != fmt.Sprintf("/%d", i) {
					t.Errorf("answer %d: %q, %v", i, got, err)
				}
			}
			one(0)
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 200 {
						one(worker*1000 + i)
					}
				})
			}
			old.Drain()
			awaitEmpty(t, old.Engine)
			all.Wait()
			one(1)
			if next.Conns() == 0 {
				t.Error("nothing came to the next engine")
			}
		})
	}
}
