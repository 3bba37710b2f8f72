package packages

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// TestCompletion has bash and zsh complete each verb and option that --help shows.
func TestCompletion(t *testing.T) {
	tape.Require(t, "zsh")
	dir := t.TempDir()
	for _, program := range []string{"lb", "syslogd"} {
		binary := filepath.Join(dir, program)
		if out, err := exec.Command("go", "build", "-o", binary, "lbsyslogd/cmd/"+program).CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		help, err := exec.Command(binary, "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		verbs := told(program, string(help))
		if len(verbs) < 6 || !slices.Contains(verbs[""], "-f") {
			t.Fatalf("%s --help was not understood: %v", program, verbs)
		}
		for verb, options := range verbs {
			bash := fmt.Sprintf(`compopt() { :; }; source ../../packaging/completion/%[1]s.bash
				COMP_WORDS=(%[1]s ""); COMP_CWORD=1; _%[1]s %[1]s "" %[1]s; first="${COMPREPLY[*]}"
				COMP_WORDS=(%[1]s "%[2]s" -); COMP_CWORD=2; _%[1]s %[1]s - "%[2]s"; echo "$first ${COMPREPLY[*]}"`, program, verb)
			zsh := fmt.Sprintf(`_describe() { print -r -- ${verbs%%%%:*} }; _arguments() { print -r -- "${@%%%%\[*}" | tr '*' ' ' }
				f() { source ../../packaging/completion/_%[1]s }
				words=(%[1]s ""); CURRENT=2; f; words=(%[1]s "%[2]s" -); CURRENT=3; f`, program, verb)
			for shell, script := range map[string]string{"bash": bash, "zsh": zsh} {
				out, err := exec.Command(shell, "-c", script).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v\n%s", shell, err, out)
				}
				completed := strings.Fields(string(out))
				for _, want := range append(options, verb) {
					if want != "" && !slices.Contains(completed, want) {
						t.Errorf("%s does not complete %s %s %s: %s", shell, program, verb, want, out)
					}
				}
			}
		}
	}
}

// told are the verbs of a program's help, each with its options; "" is the daemon itself.
func told(program, help string) map[string][]string {
	verbs := map[string][]string{}
	var now []string // the verbs that a line is about
	for l := range strings.Lines(help) {
		switch m := regexp.MustCompile(`^  ` + program + ` ([a-z|]*)`).FindStringSubmatch(l); {
		case m != nil:
			now = strings.Split(m[1], "|")
		case strings.HasPrefix(l, "  -"):
			now = []string{""}
			l, _, _ = strings.Cut("["+strings.TrimSpace(l), "   ")
			l += "]"
		case !strings.HasPrefix(l, "      "):
			now = nil
		}
		for _, verb := range now {
			verbs[verb] = append(verbs[verb], "") // there, even without options
		}
		for _, bracket := range regexp.MustCompile(`\[[^\]]*\]`).FindAllString(l, -1) {
			for _, option := range regexp.MustCompile(`[[|, ](--?[A-Za-z][A-Za-z-]*)`).FindAllStringSubmatch(bracket, -1) {
				for _, verb := range now {
					verbs[verb] = append(verbs[verb], option[1])
				}
			}
		}
	}
	return verbs
}
