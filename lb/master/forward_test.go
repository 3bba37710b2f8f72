package master

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	is := func(line string, want ...string) {
		t.Helper()
		if got := split(line); !slices.Equal(got, want) {
			t.Errorf("%q: %q", line, got)
		}
	}
	is("", "")
	is("a;b", "a", "b")
	is(`a\;b;c`, `a\;b`, "c")
	is(`a\\;b`, `a\\`, "b")
	is(";", "", "")
}

// Commands go to the worker that serves, and to those that leave, through the master's socket; what follows on a line goes together, with its payload.
func TestCommandsForWorkers(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	_, first := r.connect()
	if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
		t.Fatal(answer)
	}
	heard := func(pid int, text string) string { return fmt.Sprintf("worker %d heard %q\n\n", pid, text) }
	_, second := r.mustCall()
	for _, c := range [][2]string{
		{"@1 show info", heard(second, "show info\n")},
		{"@1 a; @1 b;show version;@1 c", heard(second, "a;b\n") + r.ask("show version") + heard(second, "c\n")},
		{fmt.Sprintf("@!%d show sess", first), heard(first, "show sess\n")},
		{fmt.Sprintf("@!%d;x y;@master;show version", first), heard(first, "x y\n") + r.ask("show version")},
		{`@1 add map m a\;b c`, heard(second, `add map m a\;b c`+"\n")},
		{"@1 add map m <<\na b\n\n", heard(second, "add map m <<\na b\n\n")},
		{"@1 show map; @1 add map m <<; a b\nc d\n\n", heard(second, "show map;add map m <<; a b\nc d\n\n")},
		{"@1 add map m <<;", heard(second, "add map m <<;\n")},
		{"@1;a;@;show version", heard(second, "a\n") + r.ask("show version")},
		{"@1 a; user; @1 b; @1 add map m <<\na b\n\n", heard(second, "a\n") + heard(second, "user;b;add map m <<\na b\n\n")},
		{"experimental-mode on; expert-mode on; @1 a; expert-mode off; @1 b; operator; @1 c", heard(second, "experimental-mode on;expert-mode on;a\n") + heard(second, "experimental-mode on;b\n") + heard(second, "operator;c\n")},
		{"operator; @1 a; user; reload; stop; operator", heard(second, "operator;a\n") + "Permission denied\nPermission denied\nPermission denied!\n"},
	} {
		if got := r.ask(c[0]); got != c[1] {
			t.Errorf("%q: %q, want %q", c[0], got, c[1])
		}
	}
	for _, nobody := range []string{"@!1 x", "@2 x", "@masters x", "@!x y"} {
		if got := r.ask(nobody); !strings.HasPrefix(got, "Can't find the target PID matching the prefix ") {
			t.Errorf("%q: %q", nobody, got)
		}
	}
}

// TestPayloadsAreNoCommands: what follows `<<` is read to its empty line, whatever becomes of the command; a line that is too long is read to its
// end and answered.
func TestPayloadsAreNoCommands(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	version := r.ask("show version")
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ name, line, want string }{
		{"unknown", "bogus <<\nshow version\nstop now", "Unknown command: 'bogus <<'"},
		{"for a worker that is not there", "@!1 set ssl cert a.pem <<\nshow version\nstop now", "Can't find the target PID matching the prefix '@!1'"},
		{"with a blank after it", "bogus << \nshow version\nstop now", "Unknown command: 'bogus <<"},
		{"with a word after it", "bogus <<EOF\nshow version\nstop now", "a word after \"<<\" is not known here"},
		{"for a worker, with a word after it", "@1 add map m << EOF\nshow version\nstop now", "a word after \"<<\" is not known here"},
		{"on the same line", "bogus <<; stop now\nstop now", "Unknown command: 'bogus <<'"},
		{"too long, on the same line", "x <<; " + long + "; stop now\nstop now", "The line is longer than 16384 bytes, nothing was done.\n"},
		{"for the master", "help <<\r\nshow version\r\nstop now", "The following commands"},
		{"too long", long + " <<\nshow version\nstop now", "The line is longer than 16384 bytes, nothing was done.\n"},
		{"too long, and no payload", long, "The line is longer than 16384 bytes, nothing was done.\n"},
		{"too long, with a word after it", long + " <<EOF\nshow version\nstop now", "The line is longer than 16384 bytes, nothing was done.\nA payload begins after"},
		{"too long, with a long word after it", "@1 x << " + long + "\nshow version\nstop now", "The line is longer than 16384 bytes, nothing was done.\nA payload begins after"},
		{"too long, with blanks at the border", long[:maxLine-60] + " <<" + strings.Repeat(" ", 200) + "\nshow version\nstop now", "The line is longer than 16384 bytes, nothing was done.\n"},
		{"a line of the payload is too long", "bogus <<\n" + strings.Repeat("x", maxLine) + "\n" + long + "\nstop now", "Unknown command: 'bogus <<'"},
	} {
		text := c.line + "\n\n"
		if !strings.Contains(c.line, "<<") {
			text = c.line + "\n"
		}
		for _, prompt := range []string{"", "prompt\n"} {
			conn := r.say(prompt + text + "quit")
			answer, err := io.ReadAll(conn)
			conn.Close()
			if err != nil && prompt != "" || !strings.Contains(string(answer), c.want) || strings.Contains(string(answer), strings.TrimSpace(version)) {
				t.Errorf("%s, %q: %v, %.300q", c.name, prompt, err, answer)
			}
		}
		if _, pid := r.mustCall(); pid == 0 {
			t.Fatalf("%s: the workers have ended", c.name)
		}
	}
	// A client that is refused halfway through its line reads no answer.
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 64 {
		if _, err := io.WriteString(c, long[:16<<10]); err != nil {
			t.Fatalf("in the middle of a long line: %v", err)
		}
	}
	fmt.Fprintln(c)
	if answer, err := io.ReadAll(c); !strings.HasPrefix(string(answer), "The line is longer") {
		t.Errorf("%v, %q", err, answer)
	}
}
