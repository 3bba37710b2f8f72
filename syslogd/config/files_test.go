package config

import (
	"strings"
	"testing"
)

func TestFileTemplates(t *testing.T) {
	row := func(outputs, want string) *Config {
		t.Helper()
		c, err := Parse("x.yaml", []byte("listen: udp://:514\noutputs:\n"+outputs))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", outputs, err, want)
		}
		return c
	}
	o := row("- file: /var/log/hosts/%host%/%tag%.log\n  files: {open: 5, names: 50}\n  format: {template: \"%tag%: %text%\"}\n", "").Outputs[0]
	if *o.Files != (Files{"/var/log/hosts", "%host%/%tag%.log", 5, 50}) || o.Rule.Format != "template:%tag%: %text%" {
		t.Errorf("got %+v", o)
	}
	if o := row("- file: /var/log/100%%.log\n", "").Outputs[0]; o.Files != nil || o.Path != "/var/log/100%.log" {
		t.Errorf("got %+v", o)
	}
	row("- file: /%host%.log\n", "x.yaml:3: file \"/%host%.log\": before its first field must be a directory of its own")
	row("- file: logs/%host%.log\n", "must be a directory of its own")
	row("- file: /var/log/hosts/%hots%.log\n", "x.yaml:3: file: template \"%hots%.log\": \"%hots%.log\" is not a field")
	row("- file: /var/log/hosts/%host%/.x\n", "begin with a dot")
	row("- file: /var/log/hosts/%host%//x\n", "may be empty")
	row("- file: /var/log/h/%host%\n  files: {open: 0}\n", "x.yaml:4: files: open and names are at least 1")
	row("- file: /var/log/h/a.log\n- file: /var/log/h/%host%.log\n", "x.yaml:4: /var/log/h/a.log lies beneath /var/log/h, where messages choose")
	row("- file: /var/log/h/%host%.log\n- file: /var/log/h/x/%tag%\n", "x.yaml:4: /var/log/h/x/%tag% lies beneath /var/log/h")
	row("- file: /var/log/h/%host%.log\n- file: /var/log/hh/a.log\n", "")
	row("- file: /var/log/h/%host%.log\n  format: rfc5424\n  forward: tcp://h:1\n", "x.yaml:3: forward cannot follow several files")
	row("- file: /var/log/h/%host%.log\n  rotate: {naming: numbered, keep: 3}\n", "")
	for _, end := range []string{"%host%", "%host%.%Y", "%tag%.7", "%host%/log"} {
		row("- file: /var/log/h/"+end+"\n  rotate: {naming: numbered, keep: 3}\n", "let it end in text, such as .log")
	}
	row("- file: /var/log/h/%host%.log\n  chain: yes\n", "x.yaml:3: file \"/var/log/h/%host%.log\": chain wants an output that has one file")
	if o := row("- file: a\n  chain: yes\n", "").Outputs[0]; !o.Rotate.Chain {
		t.Errorf("got %+v", o)
	}
	row("- file: a\n  format: \"template:%text%\"\n", "for a template write {template:")
	row("- file: a\n  format: {template: \"%texts%\"}\n", "x.yaml:4: template \"%texts%\"")
}
