package stream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// TestResetBeforeABackend: a client resets its connection while its request waits for something that comes before the choice of a backend. Its
// request ends, and the loop goes on with those of others.
func TestResetBeforeABackend(t *testing.T) {
	rl, err := rule.ParseRule(rule.Request, strings.Fields("tarpit if { path /held }"), acl.NewACLs())
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Rules[rule.Request] = rule.Rules{rl}
		r.fe.Timeouts.Tarpit = 3_600_000
	})
	held := func() (n int) {
		for _, s := range r.Sessions() {
			if s.State == "tarpit" {
				n++
			}
		}
		return n
	}
	cl := connect(t, r.addr)
	cl.say("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	wait.Until(t, "the request to be held", func() bool { return held() == 1 })
	cl.SetLinger(0)
	cl.Close()
	wait.Until(t, "its end", func() bool { return held() == 0 })
	if got := talk(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "ok") {
		t.Errorf("another client got %q", got)
	}
}
