package dialect

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
)

// TestRulesOfStreams: over HTTP/2, in plain and over TLS, rules of connections and sessions run once for a connection, the others once for each
// request; what marks packets marks those of all streams.
func TestRulesOfStreams(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "site.pem")
	if _, err := rig.WriteCertificate(cert, "site.example"); err != nil {
		t.Fatal(err)
	}
	theirs, ours := both(t, preface("", "LINE %f %ST %[var(sess.a)] %[var(sess.b)] %[var(sess.c)] %[var(txn.c)]")+strings.ReplaceAll(`
frontend plain
  bind HTTP proto h2
  tcp-request connection track-sc0 str(1-plain) table plain
  tcp-request connection track-sc1 str(1-plain) table arrays
  tcp-request connection sc-inc-gpc0(0)
  tcp-request connection set-var-fmt(sess.a) "a %[src]"
  tcp-request session sc-inc-gpc1(0)
  tcp-request session set-var-fmt(sess.b) "b %[ssl_fc]"
  tcp-request content sc-inc-gpc(0,1)
  tcp-request content set-var(sess.c) path
  tcp-request content set-var(txn.c) path if { path /r/b }
  http-request sc-inc-gpc(1,1)
  http-request set-tos 0x30 if { path /r/b }
  http-response sc-inc-gpc(2,1)
  http-response set-tos 0x40 if { status 404 }
  default_backend be
frontend secure
  bind HTTP2 ssl crt CERT alpn h2
  tcp-request connection track-sc0 str(2-secure) table plain
  tcp-request connection track-sc1 str(2-secure) table arrays
  tcp-request connection sc-inc-gpc0(0)
  tcp-request connection set-var-fmt(sess.a) "a %[src]"
  tcp-request connection set-tos 0x10
  tcp-request session sc-inc-gpc1(0)
  tcp-request session set-var-fmt(sess.b) "b %[ssl_fc_sni]"
  tcp-request session set-tos 0x20 if { ssl_fc_sni -m end .example }
  tcp-request content sc-inc-gpc(0,1)
  http-request sc-inc-gpc(1,1)
  http-response sc-inc-gpc(2,1)
  http-response set-tos 0x40 if { status 404 }
  default_backend be
backend be
  tcp-response content sc-inc-gpc(0,1) if { src 127.0.0.1 }
  server s1 S1
backend plain
  stick-table type string len 20 size 10 expire 1m store gpc0,gpc1,conn_cnt,sess_cnt,http_req_cnt,http_err_cnt
backend arrays
  stick-table type string len 20 size 10 expire 1m store gpc(3),conn_cnt
`, "CERT", cert), nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2"} {
			var own string // the client's address
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { own = i.Conn.LocalAddr().String() }})
			tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "site.example", InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP2(true)
			tr.Protocols.SetUnencryptedHTTP2(true)
			scheme := map[string]string{"HTTP": "http", "HTTP2": "https"}[name]
			for _, path := range []string{"/r/a", "/r/b", "/r/c", "/status/404"} {
				req, _ := http.NewRequestWithContext(ctx, "GET", scheme+"://"+s.fill(name)+path, nil)
				res, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatalf("%s: %s %s: %v", s.name, name, path, err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				options := strings.ReplaceAll(s.options(s.fill(name), own, "tos"), own, "CLIENT-OF-"+name) // another connection may have had it, to another port
				got = append(got, fmt.Sprintf("%s %s: %d %q %s", name, path, res.StatusCode, body, options))
			}
			tr.CloseIdleConnections()
		}
		for _, table := range []string{"plain", "arrays"} {
			s.letGo(table)
			got = append(got, entryFacts.ReplaceAllString(s.command("show table "+table), ""))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(8), ours.lines(8))
}
