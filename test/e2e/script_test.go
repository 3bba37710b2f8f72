package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestScript does what a data plane's program does to a balancer, over socat: it adds a server and moves another one, fills a map, renews the certificate, then
// reloads. All of it is still there, and is what clients meet; and a server is taken out again when its last connection has ended.
func TestScript(t *testing.T) {
	socat := tape.Require(t, "socat")
	s := start(t, options{})
	text, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	tiers := filepath.Join(s.dir, "tiers.map")
	if err := os.WriteFile(tiers, []byte("/old bronze\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.lb.Configure(strings.Replace(string(text), "    default_backend be\n", "    http-request set-header X-Tier %[path,map_beg("+tiers+",none)]\n"+
		"    http-response set-header X-Server %s\n    default_backend be\n", 1)); err != nil {
		t.Fatal(err)
	}
	reload := func() {
		t.Helper()
		if out, err := s.lb.Reload(t.Context()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	reload()
	run := func(command, want string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), socat, "-t60", "-", s.lb.Stats)
		cmd.Stdin = strings.NewReader(command + "\n")
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %q, want %q", command, err, out, want)
		}
	}
	serial := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", s.https, &tls.Config{InsecureSkipVerify: true, ServerName: "lb.example"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	renewed := filepath.Join(s.dir, "renewed.pem")
	if _, err := rig.WriteCertificate(renewed, "lb.example", host); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(renewed)
	if err != nil {
		t.Fatal(err)
	}
	host2, port, _ := strings.Cut(s.backends[2].Addr(), ":")
	before := serial()

	run(fmt.Sprintf("add server be/extra %s weight 3 check", s.backends[2].Addr()), "New server registered.")
	run("enable server be/extra; enable health be/extra", "")
	run(fmt.Sprintf("set server be/b1 addr %s port %s", host2, port), "changed from")
	run("add map "+tiers+" /new gold", "")
	run(fmt.Sprintf("set ssl cert %s <<\n%s\n", s.cert, pem), "Transaction created for certificate")
	run("commit ssl cert "+s.cert, "Success!")
	after := serial()
	if after == before {
		t.Error("clients get the old certificate after the commit")
	}

	there := func(when string) {
		t.Helper()
		run("show servers state be", fmt.Sprintf(" extra %s ", host2))
		run("show servers conn be", "be/b1 ")
		run("show stat be 4 -1", s.backends[2].Addr())
		run("get map "+tiers+" /new", "gold")
		run("show runtime-changes", "server be/extra: added")
		if got := serial(); got != after {
			t.Errorf("%s clients get another certificate", when)
		}
		seen := map[string]bool{}
		for range 60 {
			c := dial(t, s.http)
			c.send("GET /r/script/1 HTTP/1.1\r\nHost: a\r\n\r\n")
			a, _ := c.answer("GET")
			seen[a.Header.Get("X-Server")] = true
			c.Close()
		}
		for _, name := range []string{"b1", "b2", "b3", "extra"} {
			if !seen[name] {
				t.Errorf("%s server %s gets no requests: %v", when, name, seen)
			}
		}
	}
	wait.Until(t, "the check of the new server", func() bool {
		out, err := s.lb.Command("show stat be 4 -1")
		return err == nil && strings.Contains(out, "be,extra,") && strings.Contains(out, "L4OK")
	})
	there("at once")
	reload()
	there("after a reload")

	run("set server be/extra state maint; shutdown sessions server be/extra; wait 20s srv-removable be/extra; del server be/extra", "Server deleted.")
	reload()
	out, err := s.lb.Command("show servers state be")
	if err != nil || strings.Contains(out, " extra ") {
		t.Errorf("%v: the server that was removed is back:\n%s", err, out)
	}
}
