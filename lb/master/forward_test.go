package master

import (
	"fmt"
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
	} {
		if got := r.ask(c[0]); got != c[1] {
			t.Errorf("%q: %q, want %q", c[0], got, c[1])
		}
	}
	for _, nobody := range []string{"@!1 x", "@2 x", "@ x", "@!x y"} {
		if got := r.ask(nobody); !strings.HasPrefix(got, "There is no worker ") {
			t.Errorf("%q: %q", nobody, got)
		}
	}
}
