package syslog_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// The programs of this file send by themselves, as installed, and number what they send. Each number must be in the log once, and
// each line must read as its program wrote it.

const messages = 500

// everywhere is a syslogd that listens in every way.
func everywhere(t *testing.T) *daemon {
	d := start(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT]
host: here
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	t.Cleanup(func() {
		s := d.status()
		for _, in := range s.Inputs {
			if in.KernelDrops+in.Oversized+in.Undecodable+in.Refused > 0 {
				t.Errorf("%s counts losses: %+v", in.Name, in)
			}
		}
	})
	return d
}

// each waits for the messages, and looks for the number in each: the first group of pattern, which must fit whole lines.
func (d *daemon) each(pattern string) {
	d.t.Helper()
	wait.Until(d.t, "all messages", func() bool {
		d.do("flush")
		return d.status().Total.Written >= messages
	})
	text, err := os.ReadFile(d.file())
	if err != nil {
		d.t.Fatal(err)
	}
	whole := regexp.MustCompile("^" + pattern + "\n$")
	seen := make(map[int]int)
	for line := range strings.Lines(string(text)) {
		m := whole.FindStringSubmatch(line)
		if m == nil {
			d.t.Fatalf("this line is not as it was sent: %q", line)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			d.t.Fatal(err)
		}
		seen[n]++
	}
	for n := range messages {
		if seen[n] != 1 {
			d.t.Errorf("message %d is there %d times", n, seen[n])
		}
	}
}

// program runs a daemon in the foreground until the test ends. In its configuration DIR, PORT and TARGET stand for what it uses.
func program(t *testing.T, d *daemon, config string, command ...string) (dir string, port int) {
	t.Helper()
	dir, port = t.TempDir(), freePort(t)
	replace := strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(port), "TARGET", strconv.Itoa(d.port))
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(replace.Replace(config)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range command {
		command[i] = replace.Replace(command[i])
	}
	cmd := exec.Command(tape.Require(t, command[0]), command[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/usr/local/sbin")
	said := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		cmd.Wait() // with what status does not matter here
		if t.Failed() {
			t.Logf("%s said: %s", command[0], said)
		}
	})
	return dir, port
}

// browse makes the requests whose log lines are numbered by their path.
func browse(t *testing.T, port int) {
	t.Helper()
	get := func(path string) error {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	wait.Until(t, "the web server", func() bool { return get("/0") == nil })
	for n := 1; n < messages; n++ {
		if err := get(fmt.Sprintf("/%d", n)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHAProxyLogsHere(t *testing.T) {
	d := everywhere(t)
	_, port := program(t, d, `
global
    log 127.0.0.1:TARGET format rfc3164 local0
defaults
    mode http
    timeout client 10s
    timeout connect 10s
    timeout server 10s
    log global
    option httplog
frontend web
    bind 127.0.0.1:PORT
    http-request return status 200
`, "haproxy", "-db", "-q", "-f", "DIR/conf")
	browse(t, port)
	d.each(`\w{3} [ \d]\d [\d:]{8} localhost haproxy\[\d+\]: 127\.0\.0\.1:\d+ \[.*\] web web/<NOSRV> .* "GET /(\d+) HTTP/1.1"`)
}

func TestNginxLogsHere(t *testing.T) {
	d := everywhere(t)
	_, port := program(t, d, `
daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events {}
http {
    access_log syslog:server=127.0.0.1:TARGET,facility=local7,tag=web,severity=info combined;
    client_body_temp_path DIR/1; proxy_temp_path DIR/2; fastcgi_temp_path DIR/3; uwsgi_temp_path DIR/4; scgi_temp_path DIR/5;
    server { listen 127.0.0.1:PORT; return 204; }
}
`, "nginx", "-e", "DIR/error.log", "-p", "DIR", "-c", "DIR/conf")
	browse(t, port)
	d.each(`\w{3} [ \d]\d [\d:]{8} \S+ web: 127\.0\.0\.1 - - \[.*\] "GET /(\d+) HTTP/1.1" 204 0 "-" "Go-http-client/1.1"`)
}

// TestRsyslogForwardsHere has rsyslog read a file and forward it, in each way it can.
func TestRsyslogForwardsHere(t *testing.T) {
	for name, how := range map[string]string{
		"udp":               `protocol="udp" template="RSYSLOG_TraditionalForwardFormat"`,
		"udp rfc5424":       `protocol="udp" template="RSYSLOG_SyslogProtocol23Format"`,
		"tcp":               `protocol="tcp" template="RSYSLOG_TraditionalForwardFormat"`,
		"tcp octet-counted": `protocol="tcp" template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"`,
	} {
		t.Run(name, func(t *testing.T) {
			d := everywhere(t)
			dir, _ := program(t, d, `
global(workDirectory="DIR")
module(load="imfile" mode="inotify")
input(type="imfile" file="DIR/in.txt" tag="app:" facility="local0" severity="notice")
action(type="omfwd" target="127.0.0.1" port="TARGET" `+how+`)
`, "rsyslogd", "-n", "-f", "DIR/conf", "-i", "DIR/pid")
			var lines strings.Builder
			for n := range messages {
				fmt.Fprintf(&lines, "line %d, with \"quotes\", 100%% and grüße %s.\n", n, strings.Repeat("x", n))
			}
			if err := os.WriteFile(filepath.Join(dir, "new"), []byte(lines.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "in.txt")); err != nil {
				t.Fatal(err)
			}
			d.each(`\w{3} [ \d]\d [\d:]{8} \S+ app: line (\d+), with "quotes", 100% and grüße x*\.`)
		})
	}
}

// TestLoggen has syslog-ng's load generator send in each way it can.
func TestLoggen(t *testing.T) {
	// A line of loggen's, which is padded to the size that was asked for.
	const line = `\w{3} [ \d]\d [\d:]{8} localhost prg00000\[1234\]: seq: 0*(\d+), thread: 0000, runid: \d+ *, stamp: \S+ (?:PADD)+P?A?D?`
	for name, how := range map[string][]string{
		"udp": {"--inet", "--dgram"}, "tcp": {"--inet", "--stream"}, "tcp octet-counted": {"--inet", "--stream", "--syslog-proto"},
	} {
		t.Run(name, func(t *testing.T) {
			d := everywhere(t)
			loggen(t, d.port, how...)
			d.each(line)
		})
	}
	t.Run("tls", func(t *testing.T) {
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		out, err := exec.Command(tape.Require(t, "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
			"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v: %s", err, out)
		}
		d := start(t, `
listen: [tls://127.0.0.1:PORT]
tls: {cert: `+cert+`, key: `+key+`}
outputs: [{file: DIR/lb.log, rotate: never}]
`)
		loggen(t, d.port, "--use-ssl")
		d.each(line)
	})
}

func loggen(t *testing.T, port int, how ...string) {
	t.Helper()
	args := append(how, "--quiet", "--number", strconv.Itoa(messages), "--rate", "5000", "--interval", "20", "--size", "220", "127.0.0.1", strconv.Itoa(port))
	if out, err := exec.Command(tape.Require(t, "loggen"), args...).CombinedOutput(); err != nil {
		t.Fatalf("loggen %v: %v: %s", args, err, out)
	}
}
