package stream

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// TestDoResolve: rules wait for an address over HTTP/1 and HTTP/2, other requests are served meanwhile, and a client may leave.
func TestDoResolve(t *testing.T) {
	answers := make(chan bool)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if name := q.Question[0].Name; strings.HasPrefix(name, "slow") {
			select {
			case <-answers:
			case <-t.Context().Done():
			}
			r, _ := dns.NewRR(name + " 1 IN A 10.0.0.1")
			m.Answer = append(m.Answer, r)
		}
		w.WriteMsg(m)
	})}
	go names.ActivateAndServe()
	t.Cleanup(func() { names.Shutdown() })
	section := &resolve.Resolver{Servers: []*resolve.Nameserver{{Network: "udp", Address: pc.LocalAddr().String()}}, Retry: time.Minute, Hold: resolve.Hold{Valid: time.Hour}}

	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, req.Header.Get("X-Seen")+" "+req.Header.Get("X-Back"))
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.Resolvers = map[string]*resolve.Names{"r": {Resolver: section}}
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-header X-Seen before", "do-resolve(txn.ip,r,ipv4) hdr(x-name)", "set-header X-Seen %[req.hdr(x-seen)],%[var(txn.ip)]")
		r.be.Rules[rule.Request] = rules(t, rule.Request, "do-resolve(txn.ip,r,ipv4) str(192.0.2.7)", "set-header X-Back %[var(txn.ip)]")
	})
	for i, p := range []protocol{http1Plain, http2Plain} {
		c := p.client(t)
		get := func(name string) string {
			req, _ := http.NewRequest("GET", p.url(r)+"/", nil)
			if req.Header.Set("X-Name", name); name == "" {
				req.Header.Del("X-Name")
			}
			resp, err := c.Do(req)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return string(b)
		}
		slow := "slow" + string(rune('0'+i)) + ".test"
		got := make(chan string)
		go func() { got <- get(slow) }()
		wait.Until(t, "the request waits", func() bool { return r.Held() > 0 })
		for name, want := range map[string]string{"": "before,", "none.test": "before,", "a..b": "before,", "10.0.0.9": "before,10.0.0.9", "[2001:db8::1]": "before,2001:db8::1"} {
			if text := get(name); text != want+" 192.0.2.7" {
				t.Errorf("%v %s: %q", p, name, text)
			}
		}
		answers <- true
		if text := <-got; text != "before,10.0.0.1 192.0.2.7" {
			t.Errorf("%v: %q", p, text)
		}
		if text := get(slow); text != "before,10.0.0.1 192.0.2.7" { // which is kept
			t.Errorf("%v again: %q", p, text)
		}
	}

	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Name: slow.gone\r\n\r\n")
	wait.Until(t, "the request waits", func() bool { return r.Held() > 0 })
	c.Close() // as half a close does not, this ends no request: the answer does
	answers <- true
	wait.Until(t, "nothing is held any more", func() bool { return r.Held() == 0 })
}
