package assemble

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// savedServers are the lines of servers, each with what a state file says of it from
// srv_addr on; "" for what no file knows. Checks go to SILENT and never end.
var savedServers = [][2]string{
	{"plain 127.0.0.1:9901 weight 7", "127.0.0.1 2 0 3 7 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"weight 127.0.0.1:9901 weight 9", "127.0.0.1 2 0 3 8 100 6 3 3 6 0 0 0 - 9901 - 0 0 - - 0"},
	{"off 127.0.0.1:9901 disabled", "127.0.0.1 2 0 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"readied 127.0.0.1:9901 disabled", "127.0.0.1 2 4 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"maint 127.0.0.1:9901", "127.0.0.1 0 1 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"drain 127.0.0.1:9901", "127.0.0.1 2 8 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"weighs 127.0.0.1:9901 weight 4", "127.0.0.1 2 8 0 0 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"set 127.0.0.1:9901", "127.0.0.1 0 0 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"moved 127.0.0.1:9901", "127.0.0.9 2 0 1 1 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"},
	{"port 127.0.0.1:9901", "127.0.0.1 2 0 1 1 100 1 0 0 0 0 0 0 - 9955 - 0 0 - - 0"},
	{"named localhost:9901", "127.0.0.7 2 0 1 1 100 6 3 4 0 0 0 0 localhost 9901 - 0 0 - - 0"},
	{"down 127.0.0.1:9901 check port SILENT", "127.0.0.1 0 0 1 1 100 8 2 0 6 0 0 0 - 9901 - 0 SILENT - - 0"},
	{"up 127.0.0.1:9901 check port SILENT", "127.0.0.1 2 0 1 1 100 6 3 3 6 0 0 0 - 9901 - 0 SILENT - - 0"},
	{"stopping 127.0.0.1:9901 check port SILENT", "127.0.0.1 3 0 1 1 100 6 3 3 6 0 0 0 - 9901 - 0 SILENT - - 0"},
	{"unchecked 127.0.0.1:9901 check port SILENT", "127.0.0.1 2 0 1 1 100 6 3 4 2 0 0 0 - 9901 - 0 SILENT - - 0"},
	{"elsewhere 127.0.0.1:9901 check port SILENT", "127.0.0.1 2 0 1 1 100 6 3 4 6 0 0 0 - 9901 - 0 SILENT 127.0.0.1 - 0"},
	{"short 127.0.0.1:9901", "127.0.0.1 2 0 5 1 100 6 3 3 6 0 0 0 - 9901 -"},
	{"bad 127.0.0.1:9901", "127.0.0.1 9 0 5 1 100 6 3 3 6 0 0 0 - 9901 - 0 0 - - 0"},
	{"both 127.0.0.1:9901", "127.0.0.1 2 9 5 1 100 6 3 3 6 0 0 0 - 9901 - 0 0 - - 0"},
	{"new 127.0.0.1:9901 weight 5", ""},
}

// TestSavedStatesAsHAProxy: servers begin as a file says, in all ways to name it, and
// as the configuration says where the file is none.
func TestSavedStatesAsHAProxy(t *testing.T) {
	haproxy := tape.Open(t, "haproxy")
	dir := t.TempDir()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	fill := strings.NewReplacer("DIR", dir, "SILENT", portOf(silent.Addr().String())).Replace
	var servers, lines strings.Builder
	for _, s := range savedServers {
		servers.WriteString("  server " + s[0] + "\n")
		if name, _, _ := strings.Cut(s[0], " "); s[1] != "" {
			lines.WriteString("3 b 1 " + name + " " + s[1] + "\n")
		}
	}
	for name, text := range map[string]string{
		"all": "1\n# names\n" + lines.String() + "3 b 77 gone 127.0.0.1 2 0 5 1 100 6 3 3 6 0 0 0 - 9901 - 0 0 - - 0\n4 other 1 plain 127.0.0.1 0 1 1 1 1 1 0 0 0 0 0 0 - 1 - 0 0 - - 0\n",
		"b":   "1\n3 b 1 plain 127.0.0.1 2 0 4 7 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0\n",
		"two": "2\n" + lines.String(), "torn": "1\n" + lines.String() + "3 b 1 new 127.0.0.1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, global, own string }{
		{"global", "server-state-file DIR/all", "load-server-state-from-file global"},
		{"base", "server-state-base DIR\n  server-state-file all", "load-server-state-from-file global"},
		{"local", "server-state-base DIR", "load-server-state-from-file local"},
		{"local backend", "server-state-base DIR", "load-server-state-from-file local\n  server-state-file-name use-backend-name"},
		{"local file", "server-state-base /nowhere", "load-server-state-from-file local\n  server-state-file-name DIR/all"},
		{"none", "server-state-file DIR/all", "load-server-state-from-file none"},
		{"unused", "server-state-file DIR/all", ""},
		{"missing", "server-state-file DIR/missing", "load-server-state-from-file global"},
		{"another version", "server-state-file DIR/two", "load-server-state-from-file global"},
		{"torn", "server-state-file DIR/torn", "load-server-state-from-file global"},
	} {
		text := func(who string) string {
			return strings.ReplaceAll(fill("global\n  stats socket DIR/WHO.sock level admin\n  "+c.global+`
defaults
  timeout connect 1h
  timeout client 2s
  timeout server 2s
  timeout check 1h
  default-server inter 1h
frontend f
  bind DIR/WHO.front
  default_backend b
backend b
  option tcp-check
  tcp-check expect string never
  `+c.own+"\n"+servers.String()), "WHO", who)
		}
		want := tape.Observe(haproxy, c.name, func() []string { return statesOfHAProxy(t, haproxy.Program(), dir, text("h")) })
		g := begin(t, text("l"), nil)
		got := states(filepath.Join(dir, "l.sock"))
		if !slices.Equal(got, want) {
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Errorf("%s: lb\n%s\nHAProxy\n%s", c.name, got[min(i, len(got)-1)], want[i])
				}
			}
		}
		g.Stop()
	}
}

func statesOfHAProxy(t *testing.T, program, dir, text string) (list []string) {
	file := filepath.Join(dir, "h.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	wait.Until(t, "HAProxy answers", func() bool { list = states(filepath.Join(dir, "h.sock")); return len(list) > 0 })
	return list
}

// states are what a socket shows of servers, without the numbers of the backend and
// of the checks, the times, and the health of servers without checks. `port` is the
// port of the agent in HAProxy, too, although there is none.
func states(socket string) (list []string) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil
	}
	defer c.Close()
	io.WriteString(c, "show servers state b\n")
	b, _ := io.ReadAll(c)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 25 || f[0] == "#" {
			continue
		}
		// 100 s in the file: one more or less where the clock was read at another
		// moment, and more on a slow machine.
		if since, _ := strconv.Atoi(f[9]); since >= 50 {
			f[9] = "100"
		} else {
			f[9] = "0"
		}
		flags, _ := strconv.Atoi(f[13])
		f[0], f[10], f[11], f[21], f[24] = "_", "_", "_", "_", "_"
		f[13] = strconv.Itoa(flags &^ 1) // whether a check is under way
		if flags&2 == 0 {
			f[12] = "_"
		}
		list = append(list, strings.Join(f, " "))
	}
	return list
}
