package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

const root = "../.."

// TestPagesAreCleanRoff wants no word from mandoc's checker, be it about style.
func TestPagesAreCleanRoff(t *testing.T) {
	mandoc := tape.Require(t, "mandoc")
	dir := t.TempDir()
	if err := write(root, dir, "2026-01-02"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lb.8", "lb.cfg.5", "syslogd.8", "syslogd.yaml.5"} {
		out, err := exec.Command(mandoc, "-Tlint", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("mandoc -Tlint %s: %v\n%s", name, err, out)
		}
	}
}

// TestPagesNameEveryOption reads the usage text of each program: what it lists, the page and the shells' completions know.
func TestPagesNameEveryOption(t *testing.T) {
	word := regexp.MustCompile(`(?:^|[ \[|])(--?[a-zA-Z][a-zA-Z-]*)`)
	for program, source := range map[string]string{"lb": "cmd/lb/usage.go", "syslogd": "cmd/syslogd/main.go"} {
		text, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			t.Fatal(err)
		}
		_, usage, _ := strings.Cut(string(text), "const usage = `")
		usage, _, _ = strings.Cut(usage, "`")
		read := func(name string) string {
			b, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		page := read("packaging/man/" + program + ".8.md")
		bash := read("packaging/completion/" + program + ".bash")
		found := word.FindAllStringSubmatch(usage, -1)
		if len(found) < 5 {
			t.Fatalf("%s: the usage text was not found", source)
		}
		for _, m := range found {
			if !strings.Contains(page, m[1]) {
				t.Errorf("%s.8 does not know %s", program, m[1])
			}
			if !regexp.MustCompile(`[ "|]` + m[1] + `[ "|)]`).MatchString(bash) {
				t.Errorf("the completion of %s does not know %s", program, m[1])
			}
		}
	}
}

func TestRender(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a table is a list of terms", "| key | status | note |\n|---|---|---|\n| `a\\|b <x>` | ignored | no effect |\n", ".TP\n\\fBa|b <x>\\fR\nignored: no effect\n"},
		{"a default is said", "| Key | Meaning | Default |\n|---|---|---|\n| `k` | what | 3 |\n", ".TP\n\\fBk\\fR\nwhat. Default: 3\n"},
		{"a dot is no macro", "text\n.cfg is a suffix\n", ".PP\ntext\n\\&.cfg is a suffix\n"},
		{"code keeps backslashes", "```\na\\ b -c\n```\n", ".PP\n.RS 4\n.EX\na\\e b \\-c\n.EE\n.RE\n"},
		{"a link is its text", "see [here](x.md)\n", ".PP\nsee here\n"},
	} {
		got, err := render("# x(8) - y\n"+c.in, "2026-01-02")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if _, body, _ := strings.Cut(got, "\\- y\n"); body != c.want {
			t.Errorf("%s: got %q, want %q", c.name, body, c.want)
		}
	}
	for _, bad := range []string{"", "# no section\n", "# x(8) - y\n```\nopen\n"} {
		if _, err := render(bad, ""); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, name := range []string{"lb.8.md", "lb.cfg.5.md", "syslogd.8.md", "syslogd.yaml.5.md"} {
		text, err := expand(root, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	// No line of a source becomes a macro that the renderer did not mean.
	macro := regexp.MustCompile(`^\.(TH|SH|SS|PP|IP|TP|RS|RE|EX|EE)\b`)
	f.Fuzz(func(t *testing.T, text string) {
		page, err := render("# x(8) - y\n"+text, "2026-01-02")
		if err != nil {
			return
		}
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, ".") && !macro.MatchString(line) {
				t.Errorf("%q became the macro %q", text, line)
			}
		}
	})
}
