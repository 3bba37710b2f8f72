package rule

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// An accepted condition evaluates to the same value twice, and to the opposite
// when negated; nothing panics.
func FuzzCond(f *testing.F) {
	for _, c := range oracleConditions {
		f.Add("{ " + c + " }")
	}
	f.Add("{ sc_http_req_rate(0) gt 10 } { src_inc_gpc0 ge 1 } { src,in_table(t) } { sc1_tracked } { table_avl(t) lt 5 } { src,table_expire(t,7) 7 }")
	f.Add("TRUE or !FALSE { path /x } || ! METH_GET")
	f.Add(`{ path_reg (a|b)+ } { src 10.0.0.0/8 ::1 } !{ hdr(a,-1),word(1,"\,") -m found }`)
	x := request(f, example)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "-f") || strings.Contains(text, "rand") || strings.Contains(text, "date") || strings.Contains(text, "uuid") {
			return // files of the machine; values that change
		}
		c, err := acl.ParseCond(strings.Fields(text), acl.NewACLs())
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		got := c.Eval(x)
		if again := c.Eval(x); again != got {
			t.Fatalf("%q: %v, then %v", text, got, again)
		}
		if c.Negate().Eval(x) == got {
			t.Fatalf("%q: its negation is %v too", text, got)
		}
	})
}

// An accepted format compiles again from its own source and shows the same; a
// log line never breaks in two unless its literal says so.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{logformat.HTTPLog, logformat.TCPLog, logformat.HTTPSLog, logformat.CLFLog, "%{+Q,+E}o %[src,hex]  %hr %%x", "%{+X}Ts %{-Q}ci"} {
		f.Add(s)
	}
	for _, s := range oracleSamples {
		f.Add("%[" + s + "]")
	}
	x := request(f, example)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "rand") || strings.Contains(text, "date") {
			return
		}
		for _, at := range []sample.Where{sample.InLog, sample.InRequest} {
			a, err := logformat.ParseAt(text, at, nil)
			if err != nil {
				continue
			}
			b, err := logformat.ParseAt(a.String(), at, nil)
			if err != nil {
				t.Fatalf("%q: its own source is refused: %v", text, err)
			}
			x.Rec.Vars.Reset() // an expression may set one
			got := a.Append(nil, x)
			x.Rec.Vars.Reset()
			if again := b.Append(nil, x); !bytes.Equal(got, again) {
				t.Fatalf("%q: %q, then %q", text, got, again)
			}
			if at == sample.InLog && bytes.ContainsAny(got, "\r\n") {
				t.Fatalf("%q: the line breaks: %q", text, got)
			}
		}
	})
}

// Whatever a rule does, the request it leaves after parses again: no sample
// may end a line or the head.
func FuzzRule(f *testing.F) {
	for _, r := range oracleRules {
		for _, one := range strings.Split(r, "|http-") {
			f.Add(strings.TrimPrefix(strings.TrimPrefix(one, "http-"), "request "), "/a?b=c", "x%0d%0ay")
		}
	}
	f.Add("set-header Host %[hdr(x-in)]", "http://h/x", "a/b?c")
	f.Add("replace-header X-In (.*) \\1%[hdr(x-in)]", "/", `\x0d\x0ay`)
	f.Add("track-sc0 hdr(x-in),lower table t if { sc0_conn_rate(t) gt 1 }", "/", "k")
	f.Add("sc-set-gpt0(1) %[src,table_conn_cur(t)]", "/", "7")
	f.Add("replace-path (.*) /x\\1", "http://h?x=1", "") // ended the worker once
	f.Add("replace-pathq (.*) /x\\1", "http://h?x=/1", "")
	f.Add("set-query a=b", "http://h?x=1", "")
	f.Add("set-path %[hdr(x-in),url_dec]", "/", "%20HTTP/1.1%0d%0aX:%20y")
	f.Fuzz(func(t *testing.T, text, target, in string) {
		if strings.Contains(text, "file") || strings.Contains(text, "-f") {
			return
		}
		r, err := ParseRule(Request, ruleWords(text), acl.NewACLs())
		if err != nil {
			return
		}
		x := request(t, "GET / HTTP/1.1\nHost: h")
		head := []byte("GET " + target + " HTTP/1.1\r\nHost: h\r\nX-In: " + in + "\r\n\r\n")
		if n, err := x.Req.ParseRequest(head); err != nil || n != len(head) {
			return
		}
		before := x.Req.Len()
		verdict := Rules{r}.Eval(x)
		out := x.Req.Append(nil)
		again := *x.Req
		n, err := again.ParseRequest(out)
		if err != nil {
			if strings.HasPrefix(text, "set-uri") || strings.HasPrefix(text, "replace-") || strings.HasPrefix(text, "set-path") || strings.HasPrefix(text, "set-header") || strings.HasPrefix(text, "add-header") {
				// A target without a slash, a second Host, a wrong
				// Content-Length: what the rule's author asked for.
				if bytes.Count(out, []byte("\r\n\r\n")) == 1 && bytes.Count(out, []byte("\n")) <= before+3 {
					return
				}
			}
			t.Fatalf("%q left %q: %v", text, out, err)
		}
		if n != len(out) {
			t.Fatalf("%q left more than one head: %q", text, out)
		}
		if verdict != Continue && verdict != Allow && !x.Reply.ErrorFile {
			if h := x.Reply.Header; len(h) > 0 && !bytes.HasSuffix(h, []byte("\r\n")) || bytes.Contains(h, []byte("\n\r\n")) || bytes.HasPrefix(h, []byte("\r\n")) {
				t.Fatalf("%q replies with %q", text, h)
			}
		}
	})
}

// Both address readers agree, but for zones, which no header carries.
func FuzzAddr(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2::3.4.5.6", "01.2.3.4", "1.2.3.256", "1:::2", ":1::", "12345::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1.2.3.4::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := netip.ParseAddr(s)
		got, ok := sample.ParseAddr([]byte(s))
		if want.Zone() != "" {
			return
		}
		if ok != (err == nil) || ok && got != want {
			t.Fatalf("%q: %v %v, net/netip has %v %v", s, got, ok, want, err)
		}
	})
}
