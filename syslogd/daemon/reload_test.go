package daemon

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
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

// TestReloadOfTheZone has another zone in the file that says which one it is, as /etc/localtime does, and then none.
func TestReloadOfTheZone(t *testing.T) {
	zone := filepath.Join(t.TempDir(), "localtime")
	put := func(name string) {
		t.Helper()
		data, err := os.ReadFile("/usr/share/zoneinfo/" + name)
		if err != nil {
			tape.Skipf(t, "no time zones here: %v", err)
		}
		if err := os.WriteFile(zone, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("Asia/Tokyo")
	t.Setenv("TZ", zone)
	dir, said := t.TempDir(), new(wait.Buffer)
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	socket, _ := runWith(t, dir, "listen: unix://DIR/in\noutputs: [{file: DIR/a.log, rotate: never, format: {template: \"%received% %text%\"}}]\n",
		&Daemon{Now: func() time.Time { return at }, Log: slog.New(slog.NewTextHandler(said, nil))})
	conn, err := net.Dial("unixgram", filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "+09:00"}, {func() { put("America/New_York") }, "-04:00 or -05:00"}, {func() { os.WriteFile(zone, []byte("none"), 0o600) }, "Z"},
	} {
		step.change()
		if ask(t, socket, "reload") == "" {
			t.Fatal("reload failed")
		}
		if _, err := io.WriteString(conn, "<13>a: x"); err != nil {
			t.Fatal(err)
		}
		if ask(t, socket, "flush") == "" {
			t.Fatal("flush failed")
		}
		text, err := os.ReadFile(filepath.Join(dir, "a.log"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		stamp, _, _ := strings.Cut(lines[len(lines)-1], " ")
		if offset := stamp[len("2026-07-01T12:00:00.000000"):]; !strings.Contains(step.want, offset) {
			t.Errorf("the offset is %s; want %s", offset, step.want)
		}
	}
	if n := strings.Count(said.String(), "the local time zone cannot be read"); n != 1 {
		t.Errorf("%d warnings of a zone that is none:\n%s", n, said)
	}
}

// TestReloadThatForwards begins to forward with a position file that is torn: the reload is done, and status says what is wrong until the peer has
// taken something.
func TestReloadThatForwards(t *testing.T) {
	dir := t.TempDir()
	const plain = "listen: unix://DIR/in\noutputs: [{file: DIR/a.log, format: rfc5424, rotate: {size: 1MB}}]\n"
	socket := run(t, dir, plain)
	if err := os.WriteFile(filepath.Join(dir, "a.log.position"), []byte(`{"inode": 12, "off`), 0o600); err != nil {
		t.Fatal(err)
	}
	configure(t, dir, strings.Replace(plain, "}}]", "}, forward: \"tcp://127.0.0.1:1\"}]", 1))
	if ask(t, socket, "reload") == "" {
		t.Fatal("reload failed")
	}
	wait.Until(t, "an attempt to connect", func() bool { return strings.Contains(statusOf(t, socket).Outputs[0].Forward.Error, "refused") })
	if f := statusOf(t, socket).Outputs[0].Forward; !strings.Contains(f.Error, "position") {
		t.Errorf("%+v", f)
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

// TestReloadNamesWhatWaitsForARestart as long as it is so: against what the process runs with, whatever the reloads between had.
func TestReloadNamesWhatWaitsForARestart(t *testing.T) {
	dir := t.TempDir()
	const rest = "listen: unix://DIR/in\noutputs: [{file: DIR/a.log, rotate: never}]\n"
	socket := run(t, dir, rest)
	for _, step := range []struct{ text, want string }{
		{"", ""},
		{"max_message: 480\n", "max_message"},
		{"max_message: 480\n", "max_message"},
		{"max_message: 480\nconnections: {most: 3}\ncontrol_mode: \"0600\"\n", "control max_message connections"},
		{"metrics: 127.0.0.1:0\nreceive_buffer: 1000000\n", "metrics receive_buffer"},
		{"", ""},
	} {
		configure(t, dir, step.text+rest)
		var got []string
		for line := range strings.Lines(ask(t, socket, "reload")) {
			if key, _, waits := strings.Cut(line, " differs from its value at the start"); waits {
				got = append(got, key)
			}
		}
		if got := strings.Join(got, " "); got != step.want {
			t.Errorf("with %q it names %q, want %q", step.text, got, step.want)
		}
	}
}

// TestReloadNamesTheFilesOfPeers that are missing, or are none: the configuration is taken, and forwarding goes on when they are right.
func TestReloadNamesTheFilesOfPeers(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	writeCert(t, ca, 1)
	const text = "listen: unix://DIR/in\noutputs:\n- {file: DIR/a.log, format: rfc5424, forward: {to: \"tls://127.0.0.1:1\", ca: DIR/ca.pem}}\n"
	socket := run(t, dir, text)
	row := func(want string) {
		t.Helper()
		if got := ask(t, socket, "reload"); !strings.Contains(got, "(0 new)") || !strings.Contains(got, want) || want == "" && strings.Contains(got, "ca.pem") {
			t.Errorf("reload: %q, want %q", got, want)
		}
	}
	row("")
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	row("conf:5: open " + ca + ": no such file or directory")
	if err := os.WriteFile(ca, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	row("ca: " + ca + " has no certificate")
	writeCert(t, ca, 2)
	row("")
}
