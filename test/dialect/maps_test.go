package dialect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const hostsMap = `# hosts and their backends
one.example   b1
two.example	b2 and more

nothing
One.example upper
`

// TestMaps: what each way of matching finds, without and with a default, and what commands make of it.
func TestMaps(t *testing.T) {
	// With its cache, HAProxy takes what one way of matching found in a file for what another would find.
	theirs, ours := both(t, preface("tune.pattern.cache-size 0", "LINE %ST %b %HU")+`
frontend fe
  bind HTTP
  http-request set-header X-Str "%[hdr(key),map(DIR/hosts.map)]/%[hdr(key),lower,map_str(DIR/hosts.map,none)]/%[hdr(key),map_beg(DIR/paths.map,-)]/%[hdr(key),map_end(DIR/list.map,-)]"
  http-request set-header X-Sub "%[hdr(key),map_sub(DIR/list.map,-)]/%[hdr(key),map_dom(DIR/list.map,-)]/%[hdr(key),map_dir(DIR/list.map,-)]"
  http-request set-header X-Reg "%[hdr(key),map_reg(DIR/reg.map,-)]/%[hdr(key),map_regm(DIR/reg.map,-)]"
  http-request set-header X-Num "%[hdr(key),map_int(DIR/int.map,-)]/%[hdr(key),map_str_int(DIR/num.map,77),add(1)]/%[hdr(key),map_str_ip(DIR/addr.map,::1)]/%[hdr(key),map_ip(DIR/net.map,-)]/%[src,map_ip_int(DIR/netnum.map)]"
  acl listed hdr(key) -m beg -i -f DIR/acl.lst
  acl listed hdr(key) -f DIR/acl2.lst inline
  acl mapped hdr(key) -M -f DIR/hosts.map
  http-request set-header X-ACL listed if listed
  http-request set-header X-Mapped mapped if mapped
  use_backend %[hdr(key),lower,map(DIR/hosts.map,b1)] if { path /headers/b }
  default_backend b1
backend b1
  server s1 S1
backend b2
  server s2 S2
`, map[string]string{
		"hosts.map": hostsMap, "paths.map": "/ root\n/a first\n/a/b/c deep\n/a/b second\n/a again\n", "list.map": ".css style\nexample domain\nab/cd dir\ncss later\n/x/ slashes\n",
		"reg.map": "^/img/(.*)\\.png$ image-\\1\n(a+)(b*) \\2-\\1-\\0\n", "int.map": "1 one\n10:20 tens\n15 fifteen\n:0 minus\n", "num.map": "a 1\nb 16\nc -5\n", "addr.map": "a 1.2.3.4\nb ::2\n",
		"net.map": "10.0.0.0/8 ten\n10.1.0.0/16 one\n10.1.2.3 host\n2001:db8::/32 doc\n", "netnum.map": "127.0.0.0/8 8\n0.0.0.0/0 1\n",
		"acl.lst": "pre\n# no\n  UP\n", "acl2.lst": "whole line\nexact\n",
	})
	ask := func(s *subject) (got []string) {
		for _, key := range []string{
			"", "one.example", "ONE.example", "One.example", "two.example", "nothing", "x.example", "/", "/a", "/a/b", "/a/b/c/d", "/ab", "x.css", "css", "www.example.com", "/ab/cd/", "/y/x/z",
			"/img/a.png", "aabb", "1", "15", "20", "21", "-3", "0", "a", "b", "c", "10.1.2.3", "10.1.2.4", "10.2.0.0", "11.0.0.0", "2001:db8::1", "::ffff:10.1.2.3", "prefix", "PRE", "up", "down", "whole line", "exact", "inline",
		} {
			got = append(got, s.get("/headers", "Key: "+key))
			if len(key) > 5 {
				got = append(got, s.get("/headers/b", "Key: "+key))
			}
		}
		return got
	}
	same(t, "answer", seen(theirs, ask), ask(ours))

	// Lines have numbers, files have numbers: both are whatever they are.
	number := regexp.MustCompile(`(?m)^0x[0-9a-f]+ `)
	for _, command := range []string{
		"show map DIR/hosts.map", "show acl DIR/acl.lst", "show map DIR/nothing", "show map #999", "show acl",
		"set map DIR/hosts.map one.example b2", "show map DIR/hosts.map", "set map DIR/hosts.map absent b2", "add map DIR/hosts.map x.example b2", "add map DIR/hosts.map one.example second",
		"show map DIR/hosts.map", "del map DIR/hosts.map nothing", "del map DIR/hosts.map nothing", "del map DIR/hosts.map one.example", "show map DIR/hosts.map",
		"add map DIR/num.map d 4", "set map DIR/num.map a 9", "add map DIR/net.map 11.0.0.0/8 eleven", "del map DIR/net.map 10.1.0.0/16",
		"add acl DIR/acl.lst do", "del acl DIR/acl.lst UP", "add acl DIR/acl2.lst inlaid", "show acl DIR/acl.lst", "clear map DIR/int.map", "show map DIR/int.map", "clear acl DIR/acl2.lst", "add map DIR/paths.map /a/b/c/d deepest",
	} {
		g, w := number.ReplaceAllString(ours.command(command), "0x "), number.ReplaceAllString(theirs.command(command), "0x ")
		if command == "show acl" { // HAProxy lists those of single lines, too
			if !regexp.MustCompile(`\d+ \(DIR/acl.lst\) pattern loaded from file 'DIR/acl.lst' used by acl at file '`).MatchString(g) {
				t.Errorf("%s: %s", command, g)
			}
			continue
		}
		if strings.TrimSpace(g) != strings.TrimSpace(w) {
			t.Errorf("%s:\n    lb: %s\nhaproxy: %s", command, g, w)
		}
	}
	same(t, "answer behind the commands", seen(theirs, ask), ask(ours))

	line := regexp.MustCompile(`\d+ \(DIR/hosts.map\) .*`)
	mask := regexp.MustCompile(`^\d+|file '[^']*\.cfg' |line \d+|_ver=\d+|entry_cnt=\d+`)
	if g, w := mask.ReplaceAllString(line.FindString(ours.command("show map")), "N"), mask.ReplaceAllString(line.FindString(theirs.command("show map")), "N"); g != w || g == "" {
		t.Errorf("show map:\n    lb: %s\nhaproxy: %s", g, w)
	}
	for _, bad := range []string{"add map DIR/num.map e x", "add map DIR/net.map nonsense x", "set map DIR/num.map a x", "add map DIR/num.map", "del map DIR/num.map", "add acl #999 x"} {
		before := ours.command(ours.fill("show map DIR/num.map"))
		if out := ours.command(ours.fill(bad)); strings.TrimSpace(out) == "" {
			t.Errorf("%s is accepted", bad)
		}
		if after := ours.command(ours.fill("show map DIR/num.map")); after != before {
			t.Errorf("%s changed the map:\n%s", bad, after)
		}
	}

	// A reload keeps what commands changed, until the file says otherwise (test/handover: changes_test.go).
	if out, err := ours.Reload(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := ours.get("/headers/b", "Key: two.example"); !strings.Contains(a, "200") {
		t.Error(a)
	}
	if out := ours.command(ours.fill("show map DIR/hosts.map")); !strings.Contains(out, "x.example") {
		t.Errorf("after a reload: %s", out)
	}
}

// TestBigMap: a map of a hundred thousand lines is found in at once, and changed while it is asked.
func TestBigMap(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "host%d.example v%d\n", i, i)
	}
	s := start(t, built.LB, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  http-request return status 200 hdr X-Value %[hdr(key),map(DIR/big.map,none)]
`, map[string]string{"big.map": text.String()})
	done := make(chan string)
	go func() {
		bad := ""
		for i := range 2000 {
			if a := s.get("/", fmt.Sprintf("Key: host%d.example", i*50)); !strings.Contains(a, fmt.Sprintf("v%d\"", i*50)) {
				bad = a
			}
		}
		done <- bad
	}()
	for i := range 20 {
		s.command(s.fill(fmt.Sprintf("add map DIR/big.map new%d x", i)))
	}
	if bad := <-done; bad != "" {
		t.Error(bad)
	}
	if a := s.get("/", "Key: new19"); !strings.Contains(a, `X-Value=["x"]`) {
		t.Error(a)
	}
}
