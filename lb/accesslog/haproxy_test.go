package accesslog

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/syslogd/haproxyline"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// logSocket is a syslog receiver on a unix socket.
func logSocket(t *testing.T) (string, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, c
}

// lineWith reads datagrams until one holds the mark.
func lineWith(t *testing.T, c *net.UnixConn, mark string) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	for {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("no line with %q: %v", mark, err)
		}
		if strings.Contains(string(buf[:n]), mark) {
			return string(buf[:n])
		}
	}
}

// startHAProxy runs one until the test ends and gives its pid.
func startHAProxy(t *testing.T, cfg string, ports ...uint16) int {
	t.Helper()
	bin := tape.Require(t, "haproxy")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	deadline := time.Now().Add(20 * time.Second)
	for _, port := range ports {
		for {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("haproxy does not listen")
			}
		}
	}
	return cmd.Process.Pid
}

// masks hide what two runs cannot share: the times, the timers and the counts
// of bytes, which each proxy takes from its own form of the message.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d `), ">STAMP "},
	{regexp.MustCompile(`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\]`), "[DATE]"},
	{regexp.MustCompile(` \d+(/-?\d+){4} (\d{3}) \d+ `), " TIMERS $2 BYTES "},
	{regexp.MustCompile(` \d+/\d+/\d+ \d+ `), " TIMERS BYTES "},
}

func masked(line string) string {
	for _, m := range masks {
		line = m.re.ReplaceAllString(line, m.with)
	}
	return line
}

// One request through HAProxy and the same transaction told by us: the
// datagrams are the same bytes.
func TestLinesAreHAProxys(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Kind", `a "b" {c}`)
		io.WriteString(w, "hello")
	}))
	defer srv.Close()
	server := netip.MustParseAddrPort(srv.Listener.Addr().String())
	theirPath, theirLog := logSocket(t)
	ourPath, ourLog := logSocket(t)
	ports, err := rig.FreePorts("127.0.0.1", 3)
	if err != nil {
		t.Fatal(err)
	}
	web, plain, raw := uint16(ports[0]), uint16(ports[1]), uint16(ports[2])
	pid := startHAProxy(t, fmt.Sprintf(`
global
 log %s len 2000 local2
defaults
 log global
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend web
 bind 127.0.0.1:%d
 mode http
 option httplog
 option dontlognull
 capture request header Host len 10
 capture request header User-Agent len 64
 capture response header X-Kind len 20
 capture cookie SID= len 10
 default_backend app
frontend plain
 bind 127.0.0.1:%d
 mode http
 option httplog
 option dontlognull
 http-request deny if { path /denied }
 default_backend app
backend app
 mode http
 server s1 %s
listen raw
 bind 127.0.0.1:%d
 mode tcp
 option tcplog
 option dontlognull
 server s2 %s
`, theirPath, web, plain, server, raw, server), web, plain, raw)

	formats, err := NewFormats()
	if err != nil {
		t.Fatal(err)
	}
	sender, err := syslog.NewSender(syslog.Target{
		Network: "unixgram", Address: ourPath, Len: 2000, Facility: int(message.Local0) + 2, Level: int(message.Debug), Tag: "haproxy", Pid: pid,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()

	for _, c := range []struct {
		name   string
		port   uint16
		target string
		mark   string
		record sample.Record
	}{
		{"captures", web, `/find?q="ab"&x={y}|z`, `/find`, sample.Record{Parties: sample.Parties{Frontend: "web", Backend: "app", Server: "s1"}, Load: sample.Load{ActConn: 1, FeConn: 1}, Status: 200, Term: [4]byte{'-', '-', '-', '-'}, Cookie: "SID=77", ReqCaptures: []string{"127.0.0.1:", `agent "1" #2|{3}`}, ResCaptures: []string{`a "b" {c}`}}},
		{"no captures", plain, "/plain", "/plain", sample.Record{Parties: sample.Parties{Frontend: "plain", Backend: "app", Server: "s1"}, Load: sample.Load{ActConn: 1, FeConn: 1}, Status: 200, Term: [4]byte{'-', '-', '-', '-'}}},
		{"denied", plain, "/denied", "/denied", sample.Record{Parties: sample.Parties{Frontend: "plain", Backend: "plain", Server: "<NOSRV>"}, Load: sample.Load{ActConn: 1, FeConn: 1}, Timers: sample.Timers{Tw: -1, Tc: -1, Tr: -1}, Status: 403, Term: [4]byte{'P', 'R', '-', '-'}}},
		{"tcp", raw, "/tcp", "raw/s2", sample.Record{Parties: sample.Parties{Frontend: "raw", Backend: "raw", Server: "s2"}, Load: sample.Load{ActConn: 1, FeConn: 1}, Term: [4]byte{'-', '-'}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: agent \"1\" #2|{3}\r\nCookie: a=b; SID=77\r\nConnection: close\r\n\r\n", c.target)
			if _, err := io.ReadAll(conn); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			theirs := lineWith(t, theirLog, c.mark)

			r := &c.record
			r.Client = conn.LocalAddr().(*net.TCPAddr).AddrPort()
			r.Method, r.URI, r.Minor = []byte("GET"), []byte(c.target), 1
			r.Accept, r.Request = time.Now(), time.Now()
			p := Policy{Format: formats.HTTP, HTTP: true, DontLogNull: true}
			if c.port == raw {
				p.Format = formats.TCP
			}
			r.Received = 1
			// Counters of connections are HAProxy's business of that moment.
			for _, n := range []struct {
				field *int32
				at    int
			}{{&r.ActConn, 0}, {&r.FeConn, 1}, {&r.BeConn, 2}, {&r.SrvConn, 3}} {
				*n.field = connections(t, theirs, n.at)
			}
			sev, ok := p.Severity(r)
			if !ok {
				t.Fatal("no line")
			}
			x := &sample.Ctx{Rec: r}
			sender.Log(sev, p.Append(nil, x))
			sender.Flush()
			ours := lineWith(t, ourLog, c.mark)
			if masked(ours) != masked(theirs) {
				t.Errorf("our line\n%q\nHAProxy's\n%q", ours, theirs)
			}
			isRead(t, ours, r)
			isRead(t, theirs, r)
			saysTheSame(t, ours, x)
		})
	}
}

// isRead checks what syslogd finds in a line.
func isRead(t *testing.T, line string, r *sample.Record) {
	t.Helper()
	var m message.Message
	m.Parse([]byte(line))
	var l haproxyline.Line
	if !l.Parse(m.Text) {
		t.Errorf("%q is not read", line)
		return
	}
	term, headers := string(r.Term[:]), strings.Join(r.ReqCaptures, "|")
	if l.Kind == haproxyline.TCP {
		term = term[:2]
	} else if r.Status != int(l.Status) || l.Timers.Active < 0 || string(l.Method) != "GET" || string(l.Version) != "HTTP/1.1" || l.Cut || r.Cookie != string(l.RequestCookie) {
		t.Errorf("%q is read as %+v", line, l)
	}
	if !l.TLS && string(l.Client) != r.Client.Addr().String() || l.ClientPort != int64(r.Client.Port()) || string(l.Frontend) != r.Frontend || string(l.Backend) != r.Backend ||
		string(l.Server) != r.Server || string(l.Termination) != term || l.Connections.Process != int64(r.ActConn) || len(headers) > 0 != (l.RequestHeaders != nil) ||
		len(r.ResCaptures) > 0 != (l.ResponseHeaders != nil) {
		t.Errorf("%q is read as %+v", line, l)
	}
}

// saysTheSame checks that option httplog json or tcplog json has the fields of our line.
func saysTheSame(t *testing.T, ours string, x *sample.Ctx) {
	t.Helper()
	text := logformat.HTTPLogJSON
	if x.Rec.Frontend == "raw" {
		text = logformat.TCPLogJSON
	}
	var uses sample.Uses
	f, err := logformat.Parse(text, &uses)
	if err != nil {
		t.Fatal(err)
	}
	var m message.Message
	m.Parse([]byte(ours))
	object := f.Append(nil, x)
	if !json.Valid(object) {
		t.Errorf("%s is no JSON", object)
	}
	var a, b haproxyline.Line
	if !a.Parse(m.Text) || !b.Parse(object) || fmt.Sprint(a.AppendFields(nil)) != fmt.Sprint(b.AppendFields(nil)) {
		t.Errorf("%s\nand\n%s\ndo not say the same", m.Text, object)
	}
}

// connections reads one of ac/fc/bc/sc out of a line.
func connections(t *testing.T, line string, at int) int32 {
	t.Helper()
	m := regexp.MustCompile(` (\d+)/(\d+)/(\d+)/(\d+)/\d+ \d+/\d+`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no connection counters in %q", line)
	}
	n, err := strconv.ParseInt(m[at+1], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}
