package syslog_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestForwardFailover has a daemon forward over TCP and over TLS to two others. The first of them is killed and comes back while lines come: they go on to
// the second one, and each line is with one of the two at the end. None is lost, whoever has it.
func TestForwardFailover(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			listen, trust := "listen: [tcp://127.0.0.1:PORT]\n", ""
			if transport == "tls" {
				pem := filepath.Join(t.TempDir(), "peer.pem")
				if _, err := rig.WriteCertificate(pem, "peer.example"); err != nil {
					t.Fatal(err)
				}
				listen = "listen: [tls://127.0.0.1:PORT]\ntls: {cert: " + pem + ", key: " + pem + "}\n"
				trust = ", ca: " + pem + ", name: peer.example"
			}
			const output = "outputs: [{file: DIR/lb.log, rotate: never}]\n"
			first, second := start(t, listen+output), start(t, listen+output)
			to := func(d *daemon) string { return transport + "://127.0.0.1:" + strconv.Itoa(d.port) }
			d := start(t, "listen: [udp://127.0.0.1:PORT]\noutputs: [{file: DIR/lb.log, format: rfc5424, rotate: {size: 10MB}, forward: {to: ["+to(first)+", "+to(second)+"]"+trust+"}}]\n")
			in, err := net.Dial("udp", d.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			n := 0
			send := func(count int) {
				t.Helper()
				for range count {
					n++
					if _, err := fmt.Fprintf(in, "<134>Nov 21 03:04:05 host app: number %d.", n); err != nil {
						t.Fatal(err)
					}
				}
			}
			arrived := func(peers ...*daemon) {
				t.Helper()
				wait.Until(t, "line "+strconv.Itoa(n), func() bool {
					for _, p := range peers {
						if p.find("number " + strconv.Itoa(n) + ".") {
							return true
						}
					}
					return false
				})
			}
			send(100)
			arrived(first)
			if second.find("number") {
				t.Error("the second peer got lines of the first one")
			}
			first.kill()
			send(100)
			arrived(second)
			first.run()
			send(100)
			arrived(first, second)
			for i := 1; i <= n; i++ {
				text := "number " + strconv.Itoa(i) + "."
				wait.Until(t, text, func() bool { return first.find(text) || second.find(text) })
			}
		})
	}
}
