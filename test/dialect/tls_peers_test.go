package dialect

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// nginxServers is nginx with several servers over TLS, which answer with what they saw of the handshake.
const nginxServers = `daemon off; worker_processes 1; error_log DIR/nginx.err; pid DIR/nginx.pid; user root;
events { worker_connections 200; }
http {
  access_log off; ssl_session_cache shared:S:1m;
  client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
  ssl_certificate DIR/good.pem; ssl_certificate_key DIR/good.pem; ssl_protocols TLSv1.2 TLSv1.3;
  add_header X-Seen "$server_protocol $ssl_protocol sni=$ssl_server_name alpn=$ssl_alpn_protocol client=$ssl_client_verify $ssl_client_s_dn" always;
  add_header Lb-Reused "$ssl_session_reused $ssl_cipher" always;
  server { listen BOTH ssl http2; return 200; }
  server { listen OLD ssl; ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305; return 200; }
  server { listen NEW ssl; ssl_protocols TLSv1.3; return 200; }
  server { listen CBC ssl; ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA; return 200; }
  server { listen ASKS ssl; ssl_verify_client on; ssl_client_certificate DIR/ca.pem; return 200; }
}
`

// startPeers runs nginx and s_server of OpenSSL; it gives the words for a configuration.
func startPeers(t *testing.T, files map[string]string) []string {
	t.Helper()
	nginx, openssl := tape.Require(t, "nginx"), tape.Require(t, "openssl")
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := rig.FreePorts(host, 6)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"DIR", dir}
	for i, name := range []string{"BOTH", "OLD", "NEW", "CBC", "ASKS", "OPENSSL"} {
		words = append(words, name, fmt.Sprintf("%s:%d", host, ports[i]))
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(strings.NewReplacer(words...).Replace(nginxServers)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) {
		cmd := exec.Command(program, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Signal(unix.SIGTERM); cmd.Wait() })
	}
	run(nginx, "-p", dir, "-c", conf)
	run(openssl, "s_server", "-accept", words[len(words)-1], "-www", "-quiet", "-cert", filepath.Join(dir, "good.pem"), "-key", filepath.Join(dir, "good.pem"))
	for i := 3; i < len(words); i += 2 {
		wait.Until(t, words[i]+" to be listened on", func() bool {
			c, err := net.Dial("tcp", words[i])
			if err != nil {
				return false
			}
			c.Close()
			return true
		})
	}
	return words
}

// TestPeersOverTLS: nginx and OpenSSL as servers see the same of lb's handshakes as of HAProxy's, and the log says the same.
func TestPeersOverTLS(t *testing.T) {
	ca := newIssuer(t, "CA")
	files := map[string]string{"ca.pem": ca.pem(), "good.pem": ca.file(ca.pair("good.test", 7, 24*time.Hour)), "client.pem": ca.file(ca.pair("client", 5, time.Hour)),
		"stranger.pem": ca.file(newIssuer(t, "Other").pair("client", 5, time.Hour)), "crl.pem": ca.revoke(7), "others.pem": ca.revoke(8)}
	words := startPeers(t, files)
	servers := []struct{ name, line string }{
		{"none", "BOTH ssl verify none"},
		{"verified", "BOTH ssl ca-file DIR/ca.pem verifyhost good.test"},
		{"wronghost", "BOTH ssl ca-file DIR/ca.pem verifyhost bad.test"},
		{"sni", "BOTH ssl ca-file DIR/ca.pem sni str(good.test)"},
		{"wrongsni", "BOTH ssl ca-file DIR/ca.pem sni str(bad.test)"},
		{"alpn", "BOTH ssl verify none alpn h2,http/1.1"},
		{"alpn1", "BOTH ssl verify none alpn http/1.1"},
		{"h2", "BOTH ssl verify none alpn h2 proto h2"},
		{"max", "BOTH ssl verify none ssl-max-ver TLSv1.2"},
		{"min", "OLD ssl verify none ssl-min-ver TLSv1.3"},
		{"new", "NEW ssl verify none"},
		{"tooold", "NEW ssl verify none ssl-max-ver TLSv1.2"},
		{"ciphers", "OLD ssl verify none ciphers ECDHE-ECDSA-CHACHA20-POLY1305"},
		{"wrongciphers", "OLD ssl verify none ciphers ECDHE-RSA-CHACHA20-POLY1305"},
		{"cbc", "CBC ssl verify none ciphers ECDHE+SHA1"},
		{"shows", "ASKS ssl verify none crt DIR/client.pem"},
		{"shows12", "ASKS ssl verify none crt DIR/client.pem ssl-max-ver TLSv1.2"},
		{"strange", "ASKS ssl verify none crt DIR/stranger.pem"},
		{"asked", "ASKS ssl verify none"},
		{"revoked", "BOTH ssl ca-file DIR/ca.pem crl-file DIR/crl.pem"},
		{"listed", "BOTH ssl ca-file DIR/ca.pem crl-file DIR/others.pem"},
		{"plain", "BOTH"},
		{"openssl", "OPENSSL ssl ca-file DIR/ca.pem verifyhost good.test"},
	}
	text := preface("", "LINE %b %ST %tsc") + "  retries 0\n  http-reuse never\nfrontend fe\n  bind HTTP\n  use_backend %[path,field(2,/)]\n"
	for _, s := range servers {
		text += "backend " + s.name + "\n  server s " + strings.NewReplacer(words[2:]...).Replace(s.line) + "\n"
	}
	theirs, ours := both(t, text, files)
	drive := func(s *subject) (got []string) {
		for _, srv := range servers {
			c := s.dial(s.addr)
			io.WriteString(c, "GET /"+srv.name+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			r, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatalf("%s: %s: %v", s.name, srv.name, err)
			}
			got = append(got, fmt.Sprint(srv.name, ": ", r.StatusCode, " ", r.Header.Get("X-Seen")))
			r.Body.Close()
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(len(servers)), ours.lines(len(servers)))
	for _, name := range []string{"none", "max", "cbc", "h2"} { // a second connection resumes the first one's session
		c := ours.dial(ours.addr)
		io.WriteString(c, "GET /"+name+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if r, err := http.ReadResponse(c.r, nil); err != nil || !strings.HasPrefix(r.Header.Get("Lb-Reused"), "r ") {
			t.Errorf("%s: the session is not resumed: %v, %v", name, r, err)
		}
	}
}

// cutServer answers over TLS with half of what the path asks for, and ends the connection with or without a close_notify.
func cutServer(t *testing.T, cfg *tls.Config) string {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answer := func(raw net.Conn) {
		defer raw.Close()
		c := tls.Server(raw, cfg)
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		part := strings.Repeat("x", 100)
		switch {
		case strings.Contains(r.URL.Path, "length"):
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n%s", part)
		case strings.Contains(r.URL.Path, "chunks"):
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n%s\r\n", part)
		case strings.Contains(r.URL.Path, "close"):
			fmt.Fprintf(c, "HTTP/1.0 200 OK\r\n\r\n%s", part)
		}
		if strings.Contains(r.URL.Path, "notify") {
			c.CloseWrite()
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

// TestCutOverTLS: answers that a server over TLS ends early are told from whole ones as by HAProxy. It does not insist on a close_notify either: where
// the end of the connection is the end of the body, the body is as long as it is.
func TestCutOverTLS(t *testing.T) {
	pair := newIssuer(t, "CA").pair("good.test", 7, 24*time.Hour)
	old := &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}
	text := preface("", "LINE %HP %ST %tsc") + "  retries 0\nfrontend fe\n  bind HTTP\n  use_backend old if { path_end old }\n  default_backend new\n" +
		"backend new\n  server s " + cutServer(t, &tls.Config{Certificates: []tls.Certificate{pair}}) + " ssl verify none\n" +
		"backend old\n  server s " + cutServer(t, old) + " ssl verify none\n"
	theirs, ours := both(t, text, nil)
	var paths []string
	for _, version := range []string{"new", "old"} {
		for _, what := range []string{"length", "chunks", "close", "nothing"} {
			paths = append(paths, "/"+what+"/"+version, "/"+what+"-notify/"+version)
		}
	}
	drive := func(s *subject) (got []string) {
		for _, path := range paths {
			c := s.dial(s.addr)
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
			r, err := http.ReadResponse(c.r, nil)
			if err != nil {
				got = append(got, path+" no answer")
				continue
			}
			body, err := io.ReadAll(r.Body)
			got = append(got, fmt.Sprint(path, " ", r.StatusCode, " ", strings.Count(string(body), "x"), " ", err))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	// HAProxy says SD of a body that is cut only if the end comes a moment after the rest.
	told := func(lines []string, cut string) (got []string) {
		for _, l := range lines {
			if strings.Contains(l, "/length") || strings.Contains(l, "/chunks") {
				l = strings.Fields(l)[0] + " 200 " + cut
			}
			got = append(got, l)
		}
		return got
	}
	lines := ours.lines(len(paths))
	same(t, "line", told(theirs.lines(len(paths)), "SD--"), lines)
}
