package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
)

// TestSPOEFile: what a file of a filter spoe must not say is refused with its place.
func TestSPOEFile(t *testing.T) {
	const agent = "spoe-agent a\n use-backend agents\n timeout processing 1s\n"
	for _, test := range []struct{ filter, file, rule, want string }{
		{"", agent + " messages m\nspoe-message m\n args ip=src path\n event on-frontend-http-request if { path /a }\n", "", ""},
		{"engine e", "[other]\nspoe-agent a\n nonsense\n[e]\n" + agent + " groups g\nspoe-message m\n args body=req.body\nspoe-group g\n messages m\n", "http-request send-spoe-group e g", ""},
		{"", "[e]\n" + agent, "", "names no engine"},
		{"engine e", "[other]\n" + agent, "", "no spoe-agent for engine 'e'"},
		{"", "spoe-agent a\n timeout processing 1s\n", "", "has no 'use-backend'"},
		{"", "spoe-agent a\n use-backend nothing\n", "", "unable to find backend 'nothing'"},
		{"", agent + " messages m\n", "", "message 'm', which is not in"},
		{"", agent + " messages m\nspoe-message m\n args path\n", "", "has no event"},
		{"", agent + " messages m\nspoe-message m\n event on-http-response\n", "", "not about responses"},
		{"", agent + " messages m\nspoe-message m\n event on-nothing\n", "", "unknown event 'on-nothing'"},
		{"", agent + "spoe-message m\n args status nonsense\n", "", "agent:5: "},
		{"", agent + " groups g\nspoe-message m\n args status path\nspoe-message n\n args status\nspoe-group g\n messages m n\n", "", ""}, // sent nowhere
		{"", agent + " groups g\nspoe-message m\n args path\n args status\nspoe-group g\n messages m\n", "http-request send-spoe-group a g", "agent:7: "},
		{"", agent + " messages m\nspoe-message m\n event on-frontend-http-request\n args status\n", "", "agent:7: "},
		{"", agent + " groups g\n", "", "group 'g', which is not in"},
		{"", agent + " option nothing\n", "", "unknown keyword 'option nothing'"},
		{"", agent + " no option async\n no option pipelining\n no option dontlog-normal\n no option send-frag-payload\n", "", ""},
		{"", agent + " no option continue-on-error\n", "", "'option continue-on-error' cannot be negated"},
		{"", agent + " no option force-set-var\n", "", "'option force-set-var' cannot be negated"},
		{"", agent + " no option set-on-error x\n", "", "'option set-on-error' cannot be negated"},
		{"", agent + " no timeout hello 1s\n", "", "'timeout hello' cannot be negated"},
		{"", agent + " max-frame-size 20\n", "", "between 256"},
		{"", agent, "http-request send-spoe-group a g", "no group 'g' of an engine 'a'"},
		{"", agent, "http-response send-spoe-group a g", "http-request send-spoe-group"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "agent")
		if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "lb.cfg")
		text := "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:18000\n filter spoe " +
			test.filter + " config " + file + "\n " + test.rule + "\nbackend agents\n mode tcp\n server a 127.0.0.1:1\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load([]string{path}, Options{})
		var texts []string
		if e, ok := err.(*cfgfile.Errors); ok {
			for _, one := range e.List {
				texts = append(texts, one.Error())
			}
		}
		switch all := strings.Join(texts, "\n"); {
		case test.want == "" && err != nil:
			t.Errorf("%s: %s", test.file, all)
		case test.want != "" && !strings.Contains(all, test.want):
			t.Errorf("%s: %q, want %q", test.file, all, test.want)
		}
	}
}
