package dialect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// netscaler is the header that a NetScaler puts before a connection, in its older and its newer form.
func netscaler(magic uint32, newer bool, from, to netip.AddrPort) string {
	packet := make([]byte, 40) // IPv4 and TCP
	packet[0], packet[9], packet[32] = 0x45, 6, 0x50
	if from.Addr().Is6() {
		packet = make([]byte, 60)
		packet[0], packet[6], packet[52] = 0x60, 6, 0x50
		copy(packet[8:], from.Addr().AsSlice())
		copy(packet[24:], to.Addr().AsSlice())
	} else {
		copy(packet[12:], from.Addr().AsSlice())
		copy(packet[16:], to.Addr().AsSlice())
	}
	binary.BigEndian.PutUint16(packet[len(packet)-20:], from.Port())
	binary.BigEndian.PutUint16(packet[len(packet)-18:], to.Port())
	head := binary.BigEndian.AppendUint32(nil, magic)
	if newer {
		head = binary.BigEndian.AppendUint32(head, uint32(14+len(packet)))
		head = binary.BigEndian.AppendUint16(head, 0)
		head = binary.BigEndian.AppendUint16(head, uint16(len(packet)))
		head = binary.BigEndian.AppendUint16(head, 0)
	} else {
		head = binary.BigEndian.AppendUint32(head, uint32(len(packet)))
	}
	return string(append(head, packet...))
}

// TestListenWords: words of bind lines and of stats sockets, by what clients see of them.
func TestListenWords(t *testing.T) {
	_, tcp, _ := holder(t)
	theirs, ours := both(t, preface(`stats socket DIR/number.sock mode 600 level admin severity-output number
stats socket DIR/string.sock mode 600 level admin severity-output string
stats socket DIR/none.sock mode 600 level admin severity-output none`, "LINE %f %ci:%cp %fi:%fp %ST %ts")+strings.ReplaceAll(`
frontend few
  mode tcp
  log-format "LINE %f %ts"
  bind HTTP2 maxconn 2
  bind HTTP4
  default_backend held
backend held
  mode tcp
  server s SHUT
frontend cip
  bind HTTP3 accept-netscaler-cip 1027423549
  error-log-format "LINE %f error %ci"
  http-request return status 200 hdr X-Seen %[src]:%[src_port]/%[dst]:%[dst_port]
backend b
  server s S1
`, "SHUT", tcp), nil)
	drive := func(s *subject) (got []string) {
		say := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
		var few []*client
		for n := range 3 {
			few = append(few, s.dial(s.fill("HTTP2")))
			if n < 2 {
				line, err := few[n].r.ReadString('\n')
				say("maxconn %d: %q %v", n, line, err)
			}
		}
		other := s.dial(s.fill("HTTP4"))
		line, err := other.r.ReadString('\n')
		say("another socket: %q %v %s", line, err, s.until("few/FRONTEND", "scur=3", "scur"))
		io.WriteString(few[0], "end\n")
		_, err = few[0].r.ReadByte()
		few[0].Close()
		say("one ends: %v", err)
		line, err = few[2].r.ReadString('\n')
		say("there is room: %q %v", line, err)
		v4, v6 := netip.MustParseAddrPort("192.0.2.5:1234"), netip.MustParseAddrPort("[2001:db8::5]:1234")
		for _, head := range []string{
			netscaler(1027423549, false, v4, netip.MustParseAddrPort("192.0.2.6:80")), netscaler(1027423549, true, v4, netip.MustParseAddrPort("192.0.2.6:80")),
			netscaler(1027423549, false, v6, netip.MustParseAddrPort("[2001:db8::6]:80")), netscaler(77, false, v4, v4), "PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n", "",
		} {
			c := s.dial(s.fill("HTTP3"))
			say("%.8q: %s", head, gone(c.do(head+request("/", "Connection: close"))))
			c.Close()
		}
		for _, name := range []string{"number", "string", "none"} {
			for _, command := range []string{"set weight b/s 500%", "set weight b/none 5", "set server b/s addr x", "set server b/s addr 127.0.0.1", "get weight b/s", "nonsense", "disable server b/s", "set maxconn server b/s x"} {
				c := s.dial(s.dir + "/" + name + ".sock")
				io.WriteString(c, command+"\n")
				answer, err := io.ReadAll(c.r)
				if err != nil {
					t.Fatal(s.name, err)
				}
				first, _, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
				if before, _, ok := strings.Cut(first, "Unknown command"); ok { // and which may be meant
					first = before + "Unknown command"
				}
				say("%s %s: %q", name, command, s.mask(first))
			}
		}
		return got
	}
	same(t, "seen", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(7), ours.lines(7))
}

// TestListenBothFamilies: v4v6 and v6only on the unspecified address of IPv6.
func TestListenBothFamilies(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		tape.Skipf(t, "no IPv6: %v", err)
	} else {
		l.Close()
	}
	table := rows(`
bind :::PORT
bind :::PORT v4v6
bind :::PORT v6only
bind :::PORT v4v6 v6only
bind [::]:PORT v6only v4v6
bind *:PORT v6only
bind ::1:PORT v4v6
bind 127.0.0.1:PORT v4v6
bind ipv6@:PORT v4v6
bind ipv6@:PORT v6only
`)
	text := func() (text string, ports []string) {
		free, err := rig.FreePorts("0.0.0.0", len(table)) // none that a client's connection may have, as [::]:0 gives
		if err != nil {
			t.Fatal(err)
		}
		text = preface("", "LINE %ST")
		for i, line := range table {
			ports = append(ports, fmt.Sprint(free[i]))
			text += fmt.Sprintf("frontend f%d\n  %s\n  http-request return status 200\n", i, strings.Replace(line, "PORT", ports[i], 1))
		}
		return text, ports
	}
	theirText, theirPorts := text()
	ourText, ourPorts := text()
	theirs, ours := each(t, theirText, ourText, nil)
	drive := func(ports []string) func(s *subject) []string {
		return func(s *subject) (got []string) {
			for i, line := range table {
				for _, host := range []string{"127.0.0.1", "::1"} {
					answer := "refused"
					if c, err := net.Dial("tcp", net.JoinHostPort(host, ports[i])); err == nil {
						c.Close()
						answer = s.dial(net.JoinHostPort(host, ports[i])).do(request("/", "Connection: close"))
					}
					line += " | " + host + " " + answer
				}
				got = append(got, line)
			}
			return got
		}
	}
	same(t, "bind", seen(theirs, drive(theirPorts)), drive(ourPorts)(ours))
}

// TestPidfile: the global section's file has the master's process id.
func TestPidfile(t *testing.T) {
	recording := tape.Open(t, "haproxy")
	run := func(program string) []string {
		dir := t.TempDir()
		file := filepath.Join(dir, "c.cfg")
		text := "global\n  pidfile " + dir + "/of.pid\ndefaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten l\n  mode http\n  bind unix@" + dir + "/s\n  http-request return status 200\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := rig.Start(program, "-W", "-f", file)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		var read []byte
		wait.Until(t, "the file", func() bool {
			read, _ = os.ReadFile(dir + "/of.pid")
			return bytes.HasSuffix(read, []byte("\n")) || !p.Running()
		})
		st, err := os.Stat(dir + "/of.pid")
		if err != nil {
			t.Fatal(err, p.Output())
		}
		return []string{strings.Replace(string(read), fmt.Sprint(p.PID), "PID", 1), st.Mode().String()}
	}
	same(t, "file", tape.Observe(recording, "file", func() []string { return run(recording.Program()) }), run(built.LB))
}

// TestH2WebSocketWorkaround: whether clients of HTTP/2 are offered WebSockets.
func TestH2WebSocketWorkaround(t *testing.T) {
	for _, global := range []string{"", "h2-workaround-bogus-websocket-clients"} {
		theirs, ours := both(t, preface(global, "LINE %ST")+"frontend f\n  bind HTTP proto h2\n  http-request return status 200\n", nil)
		drive := func(s *subject) []string {
			c := s.dial(s.addr)
			defer c.Close()
			io.WriteString(c, http2.ClientPreface)
			fr := http2.NewFramer(c, c.r)
			fr.WriteSettings()
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Fatal(s.name, err)
				}
				if set, ok := f.(*http2.SettingsFrame); ok && !set.IsAck() {
					v, is := set.Value(http2.SettingEnableConnectProtocol)
					return []string{fmt.Sprint(v, is)}
				}
			}
		}
		same(t, global, seen(theirs, drive), drive(ours))
	}
}

// TestNoSplice: a long body arrives as it is, by way of a pipe or without one.
func TestNoSplice(t *testing.T) {
	const size = 8 << 20
	for _, global := range []string{"", "nosplice"} {
		theirs, ours := both(t, preface(global, "LINE %ST %B")+"listen f\n  bind HTTP\n  option splice-response\n  server s S1\n", nil)
		drive := func(s *subject) []string {
			c := s.dial(s.addr)
			defer c.Close()
			answer := c.do(request(fmt.Sprintf("/bytes/%d", size), "Connection: close"))
			n := len(answer)
			wait.Until(t, "its end", func() bool { return s.columns("f/s", "scur")[0] == "f/s scur=0" })
			spliced := s.info("TotalSplicdedBytesOut")
			return []string{fmt.Sprint(n > size), fmt.Sprint(len(spliced) == 1 && spliced[0] != "TotalSplicdedBytesOut: 0")}
		}
		same(t, global, seen(theirs, drive), drive(ours))
	}
}
