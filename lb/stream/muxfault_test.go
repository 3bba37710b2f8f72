package stream

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// TestFaultsBeforeRequests: a connection that agreed on HTTP/2 and ends by a fault while it carries no request is logged as HAProxy logs it: PR--
// and <BADREQ>, with option dontlognull too, unless nothing came. One that leaves after the preface has no line.
func TestFaultsBeforeRequests(t *testing.T) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for _, tt := range []struct {
		name, send   string
		logged, null bool // null: option dontlognull drops the line
	}{
		{"nothing", "", true, true},
		{"half a preface", http2.ClientPreface[:10], true, false},
		{"the preface", http2.ClientPreface, false, false},
		{"the preface and settings", http2.ClientPreface + settings, false, false},
		{"a request of HTTP/1", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, false},
		{"settings that are none", http2.ClientPreface + "\x00\x00\x01\x04\x00\x00\x00\x00\x00\x00", true, false},
		{"a frame that is too large", http2.ClientPreface + settings + "\xff\xff\xff\x00\x00\x00\x00\x00\x01", true, false},
		{"a window that overflows", http2.ClientPreface + settings + "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff", true, false},
	} {
		for _, null := range []bool{false, true} {
			name := tt.name
			if null {
				name += ", dontlognull"
			}
			t.Run(name, func(t *testing.T) {
				lines, err := net.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer lines.Close()
				r := newRig(t, true, []string{"127.0.0.1:9"}, func(r *rig) {
					http2TLS.adjust(t, r)
					format, err := logformat.Parse("%ts %ST %r", nil)
					if err != nil {
						t.Fatal(err)
					}
					r.fe.Access, r.fe.Logs = accesslog.Policy{Format: format, HTTP: true, DontLogNull: null}, 0
					r.Targets = [][]syslog.Target{{{Network: "udp", Address: lines.LocalAddr().String(), Format: "raw", Len: 1024, Level: 7}}}
				})
				c, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(c, tt.send)
				c.Close()
				wait.Until(t, "the connection to end", func() bool {
					return r.Shards[0].Read().Front[0].SSLSessions == 1 && r.fe.cur.Load() == 0
				})
				r.Shards[0].Loop.Call(r.Shards[0].flushLogs)
				// Whatever was logged stands in the socket before this.
				probe, err := net.Dial("udp", lines.LocalAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer probe.Close()
				io.WriteString(probe, "end")
				lines.SetReadDeadline(time.Now().Add(20 * time.Second))
				b := make([]byte, 1024)
				n, _, err := lines.ReadFrom(b)
				want := "end"
				if tt.logged && !(null && tt.null) {
					want = "PR 0 <BADREQ>"
				}
				if line := strings.TrimSpace(string(b[:n])); err != nil || line != want {
					t.Errorf("logged %q, want %q (%v)", line, want, err)
				}
			})
		}
	}
}
