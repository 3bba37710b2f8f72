package haproxyline

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// What Debian's HAProxy writes, in each of its formats.
func TestHAProxysLines(t *testing.T) {
	program := tape.Require(t, "haproxy")
	dir := t.TempDir()
	cert, config := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "haproxy.cfg")
	if _, err := rig.WriteCertificate(cert, "localhost"); err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts("127.0.0.1", 4)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
global
    log stdout format raw local0
defaults
    mode http
    log global
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    default_backend app
frontend https
    bind 127.0.0.1:%d name tls ssl crt %s
    option httpslog
    option logasap
    capture request header traceparent len 64
frontend tcp
    mode tcp
    bind 127.0.0.1:%d
    option tcplog
    default_backend nothing
frontend bare
    bind 127.0.0.1:%d
frontend http
    bind 127.0.0.1:%d
    option httplog
    capture request header Host len 20
    capture response header Location len 30
backend app
    http-request redirect location /there
backend nothing
    mode tcp
    server gone 127.0.0.1:1
`, ports[0], cert, ports[1], ports[2], ports[3])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy := exec.Command(program, "-db", "-f", config)
	out, err := haproxy.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := haproxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { haproxy.Process.Kill(); haproxy.Wait() }()
	lines := bufio.NewScanner(out)
	var l Line
	// next is the next line of a frontend; the first connections are those that found out whether it listens.
	next := func(frontend string, kind Kind) string {
		t.Helper()
		for lines.Scan() {
			if l.Parse(lines.Bytes()) && string(l.Frontend) == frontend && l.Kind == kind {
				return lines.Text()
			}
		}
		t.Fatalf("no line of %s of kind %s", frontend, kind)
		return ""
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	wait.Until(t, "haproxy", func() bool {
		c, err := net.Dial("tcp", address(1))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	line := next("tcp", TCP)
	if string(l.Server) != "gone" || l.Timers.Total < 0 || l.Retries < 0 {
		t.Errorf("%s\nis read as %s", line, told(&l))
	}
	ask := func(c net.Conn, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /here?a=\"b\" HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, c)
	}
	ask(tls.Dial("tcp", address(0), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}))
	line = next("https", HTTP)
	if !l.TLS || string(l.SSL.Version) != "TLSv1.3" || string(l.SSL.SNI) != "localhost" || l.SSL.Resumed != 0 || string(l.Trace.Span) != "b7ad6b7169203331" ||
		string(l.URI) != `/here?a=#22b#22` || l.Status != 302 || string(l.Termination) != "LR--" {
		t.Errorf("%s\nis read as %s", line, told(&l))
	}
	ask(net.Dial("tcp", address(2)))
	if line = next("bare", Connect); l.DestinationPort != int64(ports[2]) {
		t.Errorf("%s\nis read as %s", line, told(&l))
	}
	ask(net.Dial("tcp", address(3)))
	if line = next("http", HTTP); string(l.RequestHeaders) != "localhost" || l.ResponseHeaders == nil || l.Cut {
		t.Errorf("%s\nis read as %s", line, told(&l))
	}
	plain, err := net.Dial("tcp", address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fmt.Fprint(plain, "this is no TLS\r\n\r\n")
	if line = next("https", Failed); string(l.Bind) != "tls" || len(l.Reason) == 0 {
		t.Errorf("%s\nis read as %s", line, told(&l))
	}
}
