package cfgdiff

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
)

var begins = []string{"global", "defaults", "frontend", "backend", "listen", "userlist", "peers"}

func read(text string) *Side {
	s := new(Side)
	r := cfgfile.NewReader(cfgfile.Source{Name: "f", Data: []byte(text)}, cfgfile.NewEnv(nil), new(cfgfile.Report))
	for {
		line, ok := r.Next()
		if !ok {
			return s
		}
		s.Add(line, slices.Contains(begins, line.Keyword()))
	}
}

// told is a diff in short lines.
func told(d *Diff) string {
	var list []string
	for _, part := range []struct {
		name string
		list []Change
	}{{"L", d.Listeners}, {"P", d.Proxies}, {"S", d.Servers}, {"F", d.Files}, {"-", d.Settings}} {
		for _, c := range part.list {
			text := fmt.Sprintf("%s %s %s", part.name, c.Change, c.Section)
			if c.Name != "" {
				text += " " + c.Name
			}
			if len(c.Details) > 0 {
				text += ": " + strings.Join(c.Details, "; ")
			} else if part.name == "-" {
				text += ": " + c.Was + " > " + c.Now
			}
			list = append(list, strings.TrimSpace(text)+" @"+c.WasAt+"|"+c.NowAt)
		}
	}
	return strings.Join(list, "\n")
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ name, was, now, want string }{
		{"comments, blanks and the order of sections", "frontend a\n bind :1 # x\n mode http\nbackend b\n server s 1.1.1.1:1\n", "backend b\n  server  s 1.1.1.1:1\n\nfrontend a\n mode http\n bind :1\n", ""},
		{"listeners", "frontend a\n bind :1 name x\n bind :2\n bind :3 ssl crt a\n", "frontend a\n bind :3 ssl crt b\n bind :4 name x\n bind :5\n bind :6\n",
			"L changed frontend a :3: crt b, was a @f:4|f:2\nL changed frontend a :4: address :4, was :1 @f:2|f:3\nL removed frontend a :2 @f:3|\nL added frontend a :5 @|f:4\nL added frontend a :6 @|f:5"},
		{"one listener moves", "frontend a\n bind :1 ssl crt a\n", "frontend a\n bind :2 ssl crt a\n", "L changed frontend a :2: address :2, was :1 @f:2|f:2"},
		{"proxies", "listen a\n bind :1\n server s 1.1.1.1:1\n mode tcp\n", "backend b\n server s 1.1.1.1:1\n",
			"L removed listen a :1 @f:2|\nP removed listen a @f:1|\nP added backend b @|f:1\nS removed listen a s @f:3|\nS added backend b s @|f:2"},
		{"servers", "backend b\n server s 1.1.1.1:1 check weight 1\n server t 1.1.1.1:2\n", "backend b\n server s 1.1.1.2:1 weight 5 check inter 2s backup\n server u 1.1.1.1:2\n",
			"S changed backend b s: address 1.1.1.2:1, was 1.1.1.1:1; weight 5, was 1; with inter 2s backup @f:2|f:2\nS removed backend b t @f:3|\nS added backend b u @|f:3"},
		{"default-server, from the defaults section", "defaults\n default-server inter 1s\nbackend b\n server s 1.1.1.1:1\n", "defaults\n default-server inter 2s\nbackend b\n server s 1.1.1.1:1\n",
			"S changed backend b s: inter 2s, was 1s; by default-server @f:4|f:4\n- changed defaults: default-server inter 1s > default-server inter 2s @f:2|f:2"},
		{"a server before default-server", "backend b\n default-server check\n server s 1.1.1.1:1\n", "backend b\n server s 1.1.1.1:1\n default-server check\n",
			"S changed backend b s: without check; by default-server @f:3|f:2"},
		{"the order of servers", "backend b\n server s 1.1.1.1:1\n server t 1.1.1.1:2\n", "backend b\n server t 1.1.1.1:2\n server s 1.1.1.1:1\n", "S reordered backend b: now server t, server s @f:1|f:1"},
		{"the order of rules", "frontend a\n http-request deny if X\n timeout client 1s\n http-request allow\n", "frontend a\n http-request allow\n http-request deny if X\n timeout client 1s\n",
			"- reordered frontend a: http-request deny if X > http-request deny if X @f:2|f:3"},
		{"settings whose order means nothing", "frontend a\n timeout client 1s\n option a\n acl x path /\n acl y path /\n", "frontend a\n acl y path /\n acl x path /\n option a\n timeout client 1s\n", ""},
		{"a setting said twice", "frontend a\n timeout client 1s\n timeout client 2s\n", "frontend a\n timeout client 2s\n timeout client 1s\n",
			"- reordered frontend a: timeout client 1s > timeout client 1s @f:2|f:3"},
		{"a proxy that comes under other defaults", "defaults a\n mode tcp\ndefaults b\n mode http\nfrontend x\n", "defaults a\n mode tcp\nfrontend x\ndefaults b\n mode http\n",
			"- changed frontend x: from defaults b > from defaults a @f:5|f:3"},
		{"no option", "frontend a\n option x\n", "frontend a\n no option x\n", "- changed frontend a: option x > no option x @f:2|f:2"},
		{"what is hidden", "userlist u\n user a password abc\n", "userlist u\n user a password abd\n", "- changed userlist u: what is different is hidden @f:2|f:2"},
		{"other sections", "peers p\n peer a 1.1.1.1:1\n", "", "- removed peers p:  > @f:1|"},
	} {
		if got := told(Compare(read(c.was), read(c.now), nil)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if d := Compare(read(c.was), read(c.was), nil); !d.Empty() {
			t.Errorf("%s: differs from itself: %s", c.name, told(d))
		}
	}
}

func TestFilesRuntimeAndGoing(t *testing.T) {
	was := read("global\n maxconn 5\nfrontend a\n bind :1\n bind :2 ssl\nfrontend c\n bind :3\nfrontend e\n bind :4\n bind :5\nbackend b\n server s 1.1.1.1:1\n server t 1.1.1.1:2 weight 3\n server u 1.1.1.1:3\n server-template w 1-3 x:1\n")
	now := read("global\n maxconn 6\nfrontend a\n bind :2 ssl\nfrontend e\n bind :5\nbackend b\n server s 1.1.1.2:1\n server t 1.1.1.1:2 weight 4\n server n 1.1.1.1:9\n server-template w 1-2 x:1\n")
	d := Compare(was, now, nil)
	d.CompareFiles([]File{{"map", "m", "1"}, {"acl", "l", "1"}, {"file", "c", "1"}, {"file", "g", "1"}, {"file", "c.key", ""}},
		[]File{{"map", "m", "2"}, {"acl", "l", "1"}, {"file", "c", "2"}, {"file", "c.key", "1"}, {"file", "n", "1"}, {"file", "n.key", ""}})
	files := []string{}
	for _, f := range d.Files {
		files = append(files, f.Change+" "+f.Name)
	}
	if got := strings.Join(files, ","); got != "changed m,changed c,removed g,added c.key,added n" {
		t.Error(got)
	}
	for line, why := range map[string]string{
		"map m: 2 lines": "the file has changed", "acl l: 2 lines": "", "cert c: changed": "the file has changed", "ca-file g: changed": "nothing names the file any more",
		"global maxconn: 9, configured 5": "maxconn has changed", "global rate-limit sessions: 1, configured 0": "", "variable proc.x: 1": "",
		"frontend c maxconn: 1, configured 2": "the frontend goes", "frontend e maxconn: 1, configured 2": "",
		"server b/s: state maint, configured ready": "its address has changed", "server b/t: weight 9, configured 3": "weight has changed", "server b/t: state maint, configured ready": "",
		"server b/u: removed": "the server goes", "server b/n: added: 1.1.1.1:9": "the configuration has the server now", "server b/o: added: 1.1.1.1:9": "",
		"server b/w2: weight 1, configured 2": "", "server b/w3: weight 1, configured 2": "the server goes", "server gone/x: weight 1, configured 2": "the backend goes",
	} {
		if r := d.Runtime(line + "\n\n"); len(r) != 1 || r[0].Why != why || r[0].Kept != (why == "") {
			t.Errorf("%s: %+v, want %q", line, r, why)
		}
	}
	var going []string
	for _, g := range d.Going() {
		going = append(going, g.What)
	}
	if got := strings.Join(going, ","); got != "frontend a,frontend c,server b/s,server b/u" {
		t.Error(got)
	}
}

func TestMask(t *testing.T) {
	values := Secrets([]string{"DB_PASSWORD=sesame", "PATH=/bin:/usr", "X_KEY=abcdef", "S_TOKEN=abc"})
	for line, want := range map[string]string{
		"user a password $5$x groups g":           "user a password *** groups g",
		"user a insecure-password x":              "user a insecure-password ***",
		"stats auth admin:x":                      "stats auth admin:***",
		"stats uri /auth":                         "stats uri /auth",
		"setenv A b":                              "setenv A ***",
		"http-request auth realm x if { path / }": "http-request auth realm x if { path / }",
		"http-request set-header Authorization x y if { path /a }":     "http-request set-header Authorization *** *** if { path /a }",
		"http-request set-header X 'Basic abc='":                       `http-request set-header X Basic\ ***`,
		"http-request set-var(txn.x) str(a),hmac(sha256,abc)":          "http-request set-var(txn.x) str(a),hmac(***)",
		"http-request set-header A sesame-abcdef":                      "http-request set-header A ***-***",
		"http-check send hdr X-Api-Key abc":                            "http-check send hdr X-Api-Key ***",
		`tcp-check send AUTH\ abc\r\n`:                                 `tcp-check send AUTH\ ***`,
		"http-request deny unless { req.hdr(authorization) -m found }": "http-request deny unless { req.hdr(authorization) -m found }",
		"server a 1.1.1.1:1 check":                                     "server a 1.1.1.1:1 check",
	} {
		side := read("global\n" + line + "\n")
		if got := Mask(side.sections[0].items[0].words, values); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("frontend a\n bind :1\n", "frontend a from b\n bind\n")
	f.Add("defaults\n default-server x\nbackend b\n server\n server-template a\n no\n", "defaults from\nuser\nstats socket\n")
	f.Add("backend b\n server-template a 1-x y z\n server a1\n setenv a b\n", "tcp-check send-binary if\n stats auth\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		d := Compare(read(a), read(b), nil)
		d.Going()
		d.Runtime("server b/a1: added: x\nfrontend a maxconn: 1\nglobal maxconn: 2\n" + a)
		if d := Compare(read(a), read(a), nil); !d.Empty() {
			t.Errorf("differs from itself: %s", told(d))
		}
	})
}
