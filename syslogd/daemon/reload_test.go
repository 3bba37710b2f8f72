package daemon

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

func statusOf(t *testing.T, socket string) (s control.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(ask(t, socket, "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// accepted says whether a TCP client is listened to.
func accepted(t *testing.T, socket, address string) (yes bool) {
	t.Helper()
	before := statusOf(t, socket).Inputs[0]
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "<13>a: x\n") // one that is refused may have ended it already
	wait.Until(t, "an answer to a connection", func() bool {
		now := statusOf(t, socket).Inputs[0]
		yes = now.Received > before.Received
		return yes || now.Refused > before.Refused
	})
	return yes
}

// TestReloadOfAllow holds for connections that are open too.
func TestReloadOfAllow(t *testing.T) {
	dir := t.TempDir()
	const rest = "listen: tcp://127.0.0.1:0\noutputs: [{file: DIR/a.log}]\n"
	socket := run(t, dir, rest)
	address := statusOf(t, socket).Inputs[0].Address
	open, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	wait.Until(t, "the connection", func() bool { return statusOf(t, socket).Inputs[0].Connections == 1 })
	for _, step := range []struct {
		allow string
		want  bool
	}{{"allow: [192.0.2.0/24]\n", false}, {"allow: [127.0.0.0/8]\n", true}, {"", true}} {
		configure(t, dir, step.allow+rest)
		if ask(t, socket, "reload") == "" {
			t.Fatal("reload failed")
		}
		if got := accepted(t, socket, address); got != step.want {
			t.Errorf("with %q accepted is %v", step.allow, got)
		}
		if !step.want {
			open.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := open.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("an open connection from there: %v; want EOF", err)
			}
		}
	}
}

// writeCert writes a certificate with a serial number, and its key, with last week's time.
func writeCert(t *testing.T, file string, serial int64) {
	t.Helper()
	if err := rig.WriteNumberedCertificate(file, serial, "server"); err != nil {
		t.Fatal(err)
	}
	week := time.Now().Add(-7 * 24 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(file, week, week); err != nil {
		t.Fatal(err)
	}
}

// TestReloadOfCertificates has the same file with the same time, another file, and one that is none.
func TestReloadOfCertificates(t *testing.T) {
	dir := t.TempDir()
	const rest = "listen: tls://127.0.0.1:0\noutputs: [{file: DIR/a.log}]\n"
	writeCert(t, filepath.Join(dir, "c.pem"), 1001)
	socket := run(t, dir, "tls: {cert: DIR/c.pem}\n"+rest)
	address := statusOf(t, socket).Inputs[0].Address
	serial := func() int64 {
		t.Helper()
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1001 {
		t.Fatalf("serial number %d", n)
	}
	writeCert(t, filepath.Join(dir, "c.pem"), 1002)
	if ask(t, socket, "reload") == "" || serial() != 1002 {
		t.Errorf("another certificate with the same time is not served after a reload")
	}
	writeCert(t, filepath.Join(dir, "d.pem"), 1003)
	configure(t, dir, "tls: {cert: DIR/d.pem}\n"+rest)
	if said := ask(t, socket, "reload"); strings.Contains(said, "restart") || serial() != 1003 {
		t.Errorf("another file is not served after a reload, which said %q", said)
	}
	configure(t, dir, "tls: {cert: DIR/nowhere.pem}\n"+rest)
	if err := control.Ask(t.Context(), socket, []string{"reload"}, io.Discard); err == nil || !strings.Contains(err.Error(), "nowhere.pem") || serial() != 1003 {
		t.Errorf("a certificate that is not there: %v", err)
	}
	// A client that cannot be served has a number and a reason.
	if c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	wait.Until(t, "the failed handshake", func() bool { return statusOf(t, socket).Inputs[0].HandshakesFailed == 1 })
	if said := ask(t, socket, "status"); !strings.Contains(said, "1 TLS handshakes failed, the last of 127.0.0.1: tls: client offered only unsupported versions") {
		t.Errorf("status says %s", said)
	}
}

// TestAddressThatIsNotThereYet is listened on, and that it is not there is said.
func TestAddressThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	socket := run(t, dir, "listen: [\"udp://192.0.2.77:24001\", \"tcp://192.0.2.77:24001\"]\noutputs: [{file: DIR/a.log}]\n")
	for _, in := range statusOf(t, socket).Inputs {
		if !strings.Contains(in.Hint, "no interface of this host has the address 192.0.2.77") {
			t.Errorf("%s: hint %q", in.Name, in.Hint)
		}
	}
}
