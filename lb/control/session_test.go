package control

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// Lines of a payload are data, whatever becomes of the command before them: a
// private key in the place of an unknown command would be 665 commands.
func TestPayloadIsNotRun(t *testing.T) {
	for _, command := range []string{"bogus", "set ssl cert x.pem", "add map nope", "add acl nope", "show version", "get weight be/s1<<", "quit-not"} {
		for _, level := range []Level{User, Operator, Admin} {
			f := newFake()
			path, _ := serve(t, &Server{Runtime: f, Level: level, Version: "1.2"})
			got := ask(t, path, "prompt\n"+command+" <<\nset server be/s1 state maint\r\nclear counters all\n\nshow cli level\nquit\n")
			if f.servers[0].Admin != 0 || len(f.cleared) > 0 {
				t.Errorf("%s at %s: a line of the payload was run", command, level)
			}
			if want := "\n> " + level.String() + "\n\n> "; !strings.HasSuffix(got, want) {
				t.Errorf("%s at %s: %q, want the answer to the next command at its end", command, level, got)
			}
			if n := strings.Count(got, "+ "); n != 3 {
				t.Errorf("%s: %d prompts for lines of the payload, want 3: %q", command, n, got)
			}
		}
	}
}

// TestWordAfterMark: a word after "<<", by which other releases know a payload's end, ends the session: no line of what follows is run.
func TestWordAfterMark(t *testing.T) {
	long := strings.Repeat("x", maxCommand)
	for _, command := range []string{"add map nope <<EOF", "add map nope << EOF", "bogus <<%E%", "show version; add map nope <<EOF;", "add map nope <<EOF\r",
		"add map nope " + long + " <<EOF", long + " << " + long, long + "; add map nope <<EOF;", long[10:] + " bogus <<EOF", long[:maxCommand-2] + " <<EOF"} {
		f := newFake()
		path, _ := serve(t, &Server{Runtime: f, Level: Admin, Version: "1.2"})
		got := ask(t, path, "prompt\n"+command+"\nset server be/s1 state maint\nclear counters all\n\nEOF\nshow cli level\nquit\n")
		if f.servers[0].Admin != 0 || len(f.cleared) > 0 || !strings.Contains(got, "this session ends") || strings.Contains(got, "admin") {
			t.Errorf("%.20q: %.300q", command, got)
		}
	}
	f := newFake()
	path, _ := serve(t, &Server{Runtime: f, Level: Admin, Version: "1.2"})
	if got := ask(t, path, "show version <<EOF x y; show cli level\n"); strings.Contains(got, "this session ends") { // no mark
		t.Errorf("%q", got)
	}
}

// TestPayloadAfterSemicolon: the payload of a command in the middle of a line begins
// there, and that of a command which is too long is left out with it.
func TestPayloadAfterSemicolon(t *testing.T) {
	for _, command := range []string{"add map nope <<; ", "add map nope << \t\n", "bogus << ;", "show env " + strings.Repeat("x", maxCommand) + " << \n", "show version; bogus <<;", "bogus <<;\n", "show env " + strings.Repeat("x", maxCommand) + " <<\n", "show env " + strings.Repeat("x", maxCommand) + " <<;", "bogus <<\r\n",
		strings.Repeat("x", maxCommand-1) + " <<\n", "show env " + strings.Repeat("x", maxCommand-10) + " <<\n", "show env " + strings.Repeat("x", maxCommand) + `\; <<` + "\n"} {
		f := newFake()
		path, _ := serve(t, &Server{Runtime: f, Level: Admin, Version: "1.2"})
		got := ask(t, path, "prompt\n"+command+"set server be/s1 state maint\nclear counters all\n\nshow cli level\nquit\n")
		if ran := f.servers[0].Admin != 0 || len(f.cleared) > 0; ran != (command == "bogus <<;\n") { // there an empty line ends the payload at once
			t.Errorf("%.20q: lines of the payload were run: %t", command, ran)
		}
		if want := "\n> admin\n\n> "; !strings.HasSuffix(got, want) {
			t.Errorf("%.20q: %.300q, want the answer to the next command at its end", command, got)
		}
	}
}

// A payload that its client did not end may be half of one.
func TestUnendedPayload(t *testing.T) {
	if got := converse(Admin, "get weight be/s1 <<\nline"); got != "" {
		t.Errorf("%q", got)
	}
}

// A command or payload that is too long is answered, and costs no more than
// itself.
func TestTooMuch(t *testing.T) {
	got := converse(Admin, "show env "+strings.Repeat("x", maxCommand)+";show version\nshow version\n")
	if want := fmt.Sprintf("The command is longer than %d bytes, nothing was done.\n\n1\n\n", maxCommand); got != want {
		t.Errorf("%q", got)
	}
	got = converse(Admin, "show env "+strings.Repeat("x", maxCommand)) // without a line end
	if want := fmt.Sprintf("The command is longer than %d bytes, nothing was done.\n\n", maxCommand); got != want {
		t.Errorf("%q", got)
	}
	payload := strings.Repeat("line of it\n", maxPayload/10)
	got = converse(Admin, "show version <<\n"+payload+"\nshow version\n")
	if want := errPayload.Error() + "\n\n1\n\n"; got != want {
		t.Errorf("%q", got)
	}
	got = converse(User, "show version <<\n"+strings.Repeat("x", 10*smallPayload)+"\n\nshow version\n")
	if want := errPayload.Error() + "\n\n1\n\n"; got != want {
		t.Errorf("%q", got)
	}
}

// One line may hold any number of commands.
func TestManyCommandsInALine(t *testing.T) {
	const n = 2000
	got := converse(User, strings.Repeat("get weight be/s1;", n)+"\n")
	if want := strings.Repeat("10 (initial 10)\n\n", n); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// A client may send all its commands before it reads the first answer.
func TestAnswersThatAreNotReadYet(t *testing.T) {
	path, _ := serve(t, &Server{Runtime: newFake(), Timeout: 20 * time.Second})
	c := dial(t, path)
	const n = 5000
	if _, err := io.WriteString(c, "prompt\n"+strings.Repeat("get weight be/s1\n", n)+"quit\n"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(ended(t, c), "10 (initial 10)\n"); got != n {
		t.Errorf("%d answers, want %d", got, n)
	}
}
