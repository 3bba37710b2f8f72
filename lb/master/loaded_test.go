package master

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// What the worker that serves was loaded from is what it said, not what the file has
// by now, until a reload; strangers do not hear of it.
func TestConfigurationIsWhatServes(t *testing.T) {
	r := newRig(t)
	first := "listen " + r.addr + "\n"
	r.start(first)
	loaded := func(generation int, want string) {
		t.Helper()
		head, text, _ := strings.Cut(r.ask("configuration"), "\n")
		var l Loaded
		if err := json.Unmarshal([]byte(head), &l); err != nil {
			t.Fatalf("%v: %s", err, head)
		}
		if dir, _ := os.Getwd(); l.Generation != generation || l.Dir != dir || !slices.Equal(l.Args, []string{r.config}) || strings.TrimSpace(text) != strings.TrimSpace(want) {
			t.Errorf("%+v %q, want generation %d of %q", l, text, generation, want)
		}
	}
	loaded(1, first)
	second := first + "# sesame\n"
	if err := os.WriteFile(r.config, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded(1, first)
	if answer := r.ask("reload"); !strings.HasPrefix(answer, "Success=1") {
		t.Fatal(answer)
	}
	loaded(2, second)
	var out bytes.Buffer
	s := &session{run: &run{Master: new(Master)}, w: &out, stranger: true} // where not even the socket's mode is lb's own
	s.command([]string{"configuration"})
	if !strings.HasPrefix(out.String(), "Refused: ") {
		t.Error(out.String())
	}
}
