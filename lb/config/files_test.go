package config

import (
	"fmt"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
)

// TestEditsOfNoFile: a rule that changes a file's lines is no reason for the file to be there, as with HAProxy; one that looks samples up in it is.
func TestEditsOfNoFile(t *testing.T) {
	for _, rule := range []string{
		"set-map(/nowhere/at/all) %[src] 1", "del-map(/nowhere/at/all) %[src]", "add-acl(/nowhere/at/all) %[src]", "del-acl(/nowhere/at/all) %[src]",
	} {
		c := load(t, inFrontendSection("http-request "+rule), Options{})
		if got := fmt.Sprint(c.Notes); !strings.Contains(got, "/nowhere/at/all: no such file") || !strings.Contains(got, "create the file") {
			t.Errorf("%s: warnings %s", rule, got)
		}
		if len(c.Files) != 0 {
			t.Errorf("%s: files %v", rule, c.Files)
		}
	}
	for _, lines := range []string{
		"http-request set-map(/nowhere/at/all) %[src] 1\nhttp-request set-header X %[src,map(/nowhere/at/all)]",
		"http-request add-acl(/nowhere/at/all) %[src]\nhttp-request deny if { src -f /nowhere/at/all }",
	} {
		if _, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(inFrontendSection(lines))}}, Options{Environ: []string{}}); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all: no such file") {
			t.Errorf("%s: %v", lines, err)
		}
	}
}
