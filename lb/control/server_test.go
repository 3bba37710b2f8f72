package control

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// expect reads from c until the answer is complete.
func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		t.Fatalf("%q (%v), want %q", got[:n], err, want)
	}
}

// ended waits until the other side closes c, and gives what it said before.
func ended(t *testing.T, c net.Conn) string {
	t.Helper()
	rest, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest)
}

// A prompt keeps the connection, and its levels, until quit.
func TestPrompt(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Level: Admin, Version: "1.2"})
	c := dial(t, path)
	for _, step := range [][2]string{
		{"prompt\n", "\n> "},
		{"show version\n", "1.2\n\n> "},
		{"show version;show cli level\n", "1.2\n\n> admin\n\n> "},
		{"show ver", ""},
		{"sion\n", "1.2\n\n> "},
		{"get weight be/s1\nget weight be/s2\n", "10 (initial 10)\n\n> 1 (initial 1)\n\n> "},
		{"user\n", "\n> "},
		{"set weight be/s1 1\n", "Permission denied\n\n> "},
	} {
		io.WriteString(c, step[0])
		expect(t, c, step[1])
	}
	io.WriteString(c, "quit\n")
	if rest := ended(t, c); rest != "" {
		t.Errorf("%q after quit", rest)
	}
	// A second `prompt` turns it off, and with it the connection.
	if got := ask(t, path, "prompt\nprompt\n"); got != "\n> \n" {
		t.Errorf("prompt twice: %q", got)
	}
}

// Without a prompt one line is answered, and those that came with it.
func TestOneShot(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Version: "1.2"})
	for in, want := range map[string]string{
		"show version\n":                 "1.2\n\n",
		"show version\nshow cli level\n": "1.2\n\nuser\n\n",
		"show version;quit;show version": "1.2\n\n",
		"show version":                   "1.2\n\n", // the last line needs no end
		"show version;":                  "1.2\n\n",
	} {
		c := dial(t, path).(*net.UnixConn)
		io.WriteString(c, in)
		c.CloseWrite()
		if got := ended(t, c); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A silent client is sent away after the timeout, which it may change itself.
func TestTimeout(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Timeout: 30 * time.Millisecond})
	if got := ended(t, dial(t, path)); got != "" {
		t.Errorf("%q", got)
	}
	long, _ := serve(t, &Server{Runtime: newFake()})
	c := dial(t, long)
	io.WriteString(c, "prompt;set timeout cli 30ms\n")
	if got := ended(t, c); got != "\n> \n> " {
		t.Errorf("own timeout: %q", got)
	}
}

// When the worker leaves, prompts end, and who is about to say a line is
// answered first.
func TestLeave(t *testing.T) {
	path, stop := serve(t, &Server{Runtime: newFake(), Version: "1.2"})
	idle, late := dial(t, path), dial(t, path)
	io.WriteString(idle, "prompt\n")
	expect(t, idle, "\n> ")
	// Both are accepted: connections are accepted in order.
	third := dial(t, path)
	io.WriteString(third, "prompt\n")
	expect(t, third, "\n> ")
	left := make(chan struct{})
	go func() {
		stop()
		close(left)
	}()
	if got := ended(t, idle); got != "" {
		t.Errorf("%q at the end of a prompt", got)
	}
	select {
	case <-left:
		t.Error("did not wait for the client that had not spoken")
	default:
	}
	io.WriteString(late, "show version\n")
	if got := ended(t, late); got != "1.2\n\n" {
		t.Errorf("%q", got)
	}
	<-left
}

// More clients than maxconn wait for their turn and are answered then.
func TestMaxConn(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), MaxConn: 1, Version: "1.2"})
	first := dial(t, path)
	io.WriteString(first, "prompt\n")
	expect(t, first, "\n> ")
	second := dial(t, path)
	io.WriteString(second, "show version\n")
	second.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("served although the place is taken: %v", err)
	}
	second.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(first, "quit\n")
	if got := ended(t, second); got != "1.2\n\n" {
		t.Errorf("%q", got)
	}
}

// Listening sockets are given only where the configuration says so.
func TestGetSockets(t *testing.T) {
	f := newFake()
	closed, _ := serve(t, &Server{Runtime: f, Level: Admin})
	if got := ask(t, closed, "_getsocks\n"); got != "" || f.gifts() != 0 {
		t.Errorf("given without expose-fd: %q", got)
	}
	open, _ := serve(t, &Server{Runtime: f, Level: User, ExposeFD: true})
	if got := ask(t, open, "_getsocks\n"); got != "sockets" || f.gifts() != 1 {
		t.Errorf("not given: %q", got)
	}
}

// The tables come through whole, in every form, and hide the set-up from
// users.
func TestTables(t *testing.T) {
	f := newFake()
	admin, _ := serve(t, &Server{Runtime: f, Level: Admin})
	user, _ := serve(t, &Server{Runtime: f, Level: User})
	rows := func(path, command string) [][]string {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(ask(t, path, command+"\n"))).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return rows
	}
	for command, want := range map[string]int{
		"show stat": 3, "show stat 3 -1 -1": 2, "show stat be 2 0": 2, "show stat 3 1 -1": 1, "show stat 9 -1 -1": 1,
		"show stat up no-maint": 3, "show stat -1 1 -1 up": 2,
	} {
		if got := len(rows(admin, command)); got != want {
			t.Errorf("%s: %d rows, want %d", command, got, want)
		}
	}
	if all := rows(admin, "show stat"); all[0][0] != "# pxname" || all[2][76] != "roundrobin" {
		t.Errorf("%v", all[2])
	}
	if all := rows(user, "show stat"); all[2][76] != "" {
		t.Errorf("a user sees %s", all[2][76])
	}
	if got := ask(t, admin, "show stat 3 -1 -1 typed\n"); !strings.HasPrefix(got, "B.3.0.0.pxname.1:KNS:str:be\n") || !strings.HasSuffix(got, "\n\n") {
		t.Errorf("typed: %.80q", got)
	}
	if got := ask(t, admin, "show stat typed desc\n"); !strings.HasPrefix(got, "F.2.0.0.pxname.1:KNS:str:fe:\"Name of the proxy\"\n") {
		t.Errorf("desc: %.80q", got)
	}
	for _, command := range []string{"show stat json", "show info json", "show info typed json"} {
		if got := ask(t, admin, command+"\n"); !json.Valid([]byte(got)) {
			t.Errorf("%s: %.80q", command, got)
		}
	}
	if got := ask(t, admin, "show info\n"); !strings.HasPrefix(got, "Name: HAProxy\n") || !strings.HasSuffix(got, "Tainted: 0\n\n") {
		t.Errorf("info: %.80q", got)
	}
	if got := ask(t, admin, "show info typed\n"); !strings.HasPrefix(got, "0.Name.1:POS:str:HAProxy\n") {
		t.Errorf("info typed: %.80q", got)
	}
	if got := ask(t, admin, "show cli sockets\n"); got != "# socket lvl processes\n\n" {
		t.Errorf("%q", got)
	}
}

// Everything a command changes reaches the engine.
func TestClearCounters(t *testing.T) {
	f := newFake()
	path, _ := serve(t, &Server{Runtime: f, Level: Admin})
	ask(t, path, "clear counters;clear counters all\n")
	f.mu.Lock()
	defer f.mu.Unlock()
	if !reflect.DeepEqual(f.cleared, []bool{false, true}) {
		t.Errorf("%v", f.cleared)
	}
}

// What HAProxy has and this has not is refused with what to do instead, and no
// two rows of the table are in each other's way.
// TestMisspelled: what begins as no command does is answered with the few that it may have been.
func TestMisspelled(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Level: Admin})
	for line, want := range map[string]string{
		"shwo info": "show info", "xyzzy": "", "sett server be/s1": "set server", strings.Repeat("x", 5000): "", "reload-nope": "",
	} {
		got := strings.Split(strings.TrimSuffix(ask(t, path, line+"\n"), "\n\n"), "\n")
		if len(got) != 1+5+3 || got[0] != maybeMeant || !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "  "+want) }) {
			t.Errorf("%.20q: %q", line, got)
		}
	}
	if got := ask(t, path, ";\n"); strings.HasPrefix(got, maybeMeant) {
		t.Errorf("without a word: %q", got)
	}
}

func TestAbsent(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Level: Admin})
	for _, cmd := range commands() {
		if cmd.absent == "" {
			continue
		}
		want := "'" + cmd.words + "' is not available here: " + cmd.absent + ".\n\n"
		if got := ask(t, path, cmd.words+" more words\n"); got != want {
			t.Errorf("%s: %q, want %q", cmd.words, got, want)
		}
	}
	if got := ask(t, path, "set server be/s1\n"); got != setUsage+"\n\n" {
		t.Errorf("%q", got)
	}
}

// Servers that are added and moved, in HAProxy's words.
func TestServerCommands(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Level: Admin})
	for _, c := range [][2]string{
		{"add server", "Require 'backend/server'."},
		{"add server be", "Require 'backend/server'."},
		{"add server nope/x 127.0.0.1:1", "No such backend."},
		{"add server be/x 127.0.0.1:1", "New server registered."},
		{"del server be/x", "Server deleted."},
		{"del server be/x", "No such server."},
		{"set server be/s1 addr", "set server <b>/<s> addr requires an address and optionally a port."},
		{"set server be/s1 addr localhost", "Invalid addr 'localhost' by 'stats socket command'"},
		{"set server be/s1 addr 127.0.0.9", "IP changed from '127.0.0.1' to '127.0.0.9' by 'stats socket command'"},
		{"set server be/s1 addr 127.0.0.9 port 9", "no need to change the addr, port changed from '18490' to '9' by 'stats socket command'"},
		{"set server be/s1 addr 127.0.0.9 port 9", "no need to change the addr, no need to change the port by 'stats socket command'"},
		{"set server be/s1 addr ::1 port 70000", "IP changed from '127.0.0.9' to '::1', provided port is out of range by 'stats socket command'"},
		{"set server be/s1 check-port 5", "health checks are not enabled on this server"},
		{"set server be/s1 fqdn x", "set server <b>/<s> fqdn failed because no resolution is configured."},
		{"set rate-limit connections global", "Expects an integer value."},
		{"set rate-limit connections global 5", ""},
		{"set var proc.x str(a)", "This command is restricted to experimental mode only."},
		{"get var proc.x", "Variable not found."},
	} {
		if got := strings.TrimSuffix(ask(t, path, c[0]+"\n"), "\n"); strings.TrimSuffix(got, "\n") != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := ask(t, path, "set severity-output number;set server be/s1 addr x\n"); got != "\n[4]: Invalid addr 'x' by 'stats socket command'\n\n" {
		t.Errorf("with its level: %q", got)
	}
}

func TestLevels(t *testing.T) {
	for _, l := range []Level{User, Operator, Admin} {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%v: %v, %v", l, got, err)
		}
	}
	if _, err := ParseLevel("root"); err == nil || !strings.Contains(err.Error(), "user, operator or admin") {
		t.Errorf("%v", err)
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"show stat":           {"show", "stat"},
		"  show\t stat \r":    {"show", "stat"},
		`a\;b c\ d \\`:        {"a;b", "c d", `\`},
		"a\\":                 {"a"},
		`add map m \#1 a\\;b`: {"add", "map", "m", "#1", `a\;b`},
	} {
		if got := words([]byte(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseDelay(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"10": 10 * time.Second, "5s": 5 * time.Second, "100ms": 100 * time.Millisecond, "2m": 2 * time.Minute,
		"1h": time.Hour, "1d": 24 * time.Hour, "7us": 7 * time.Microsecond, "24d": 576 * time.Hour,
		"": 0, "0": 0, "abc": 0, "-1": 0, "1x": 0, "s": 0, "25d": 0, "1sm": 0, "9999999999": 0, "1.5s": 0,
	} {
		if got, ok := parseDelay(s); got != want || ok != (want > 0) {
			t.Errorf("%q: %v %v, want %v", s, got, ok, want)
		}
	}
}

func TestParseWeight(t *testing.T) {
	for s, want := range map[string]string{
		"10": "10", "0": "0", "256": "256", "+7": "7", "-0": "0", "50%": "10", "0%": "0", "100%": "20", "9999999999999%": "256",
		"257": "Absolute weight can only be between 0 and 256 inclusive.", "-1": "Absolute weight can only be between 0 and 256 inclusive.",
		"-5%": "Relative weight must be positive.", "": "Require <weight> or <weight%>.", "12x": "Trailing garbage in weight string",
		"%": "Empty weight string empty or preceded by garbage", "x": "Empty weight string empty or preceded by garbage",
		"-": "Empty weight string empty or preceded by garbage", "5%%": "Trailing garbage in weight string",
	} {
		n, err := parseWeight(s, 20)
		got := fmt.Sprint(n)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// Words come out of a command as they went in, whatever they are made of.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"show stat", "a;b", `a\;b`, "", " ", "\\", "a\\\nb", "x\x00y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first := words([]byte(text))
		var b strings.Builder
		for _, w := range first {
			b.WriteByte(' ')
			for j := range len(w) {
				b.WriteByte('\\')
				b.WriteByte(w[j])
			}
		}
		if again := words([]byte(b.String())); !reflect.DeepEqual(again, first) {
			t.Fatalf("%q: %q became %q", text, first, again)
		}
	})
}

// script is a client that has said everything and reads everything.
type script struct {
	net.Conn
	io.Reader
	strings.Builder
}

func (s *script) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.Builder.Write(p) }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.UnixAddr{} }

// converse has a session answer what a client says, at once.
func converse(level Level, said string) string {
	client := &script{Reader: strings.NewReader(said)}
	s := &Server{Runtime: newFake(), Level: level, Version: "1"}
	s.Converse(context.Background(), client)
	return client.String()
}

// Nothing that a client says makes a session do worse than refuse, and what
// comes as a payload is not run.
func FuzzSession(f *testing.F) {
	for _, s := range []string{"help", "show stat 1 2 3 typed", "set server be/s1 weight 5%", "set timeout cli 1d", "show servers state be;prompt", "set table fe key 192.0.2.1 data.gpc0 5 data.conn_rate 7;show table fe data.gpc0 gt 4", `set table tcpbe key a\ b data.server_id 2;clear table tcpbe key a\ b`, "_getsocks", "get weight /",
		"set ssl cert x <<\nshow version\n\nshow version", "prompt\nadd map x <<\na b\n\n", "set severity-output number;set weight", "show sess all;shutdown session 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		got := converse(Admin, said)
		if !strings.Contains(said, "quit") && !strings.Contains(said, "_getsocks") && !strings.Contains(said, "<<") && strings.Trim(said, " \t\r\n;") != "" && got == "" {
			t.Fatalf("%q has no answer", said)
		}
	})
}

// TestCommandsForOneServer look at no other: a backend may have thousands.
func TestCommandsForOneServer(t *testing.T) {
	f := newFake()
	path, _ := serve(t, &Server{Runtime: f, Level: Admin})
	for _, command := range []string{
		"set server be/s1 weight 5", "set server be/s1 state drain", "set server be/#1 health up", "set weight be/s1 7", "set maxconn server be/s1 3",
		"disable server be/s1", "enable server be/s1", "get weight be/s1", "shutdown sessions server be/s1", "set server be/s1 addr 127.0.0.9",
	} {
		ask(t, path, command+"\n")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listed > 0 || f.servers[0].Weight != 7 {
		t.Errorf("%d commands listed all servers; weight %d", f.listed, f.servers[0].Weight)
	}
}
