package dialect

import (
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// unknown is why a word stands in alone that HAProxy 2.6 refuses.
const unknown = "HAProxy 2.6 does not know it"

// lbAlone reports whether HAProxy 2.6 does not know a fetch or converter.
func lbAlone(name string) bool {
	return slices.Contains(unknownWords(), "fetch "+name) || slices.Contains(unknownWords(), "converter "+name)
}

// unknownWords are those words of alone.
func unknownWords() (words []string) {
	for _, a := range alone {
		if a.why == unknown {
			for name := range strings.Lines(strings.TrimSpace(a.names)) {
				words = append(words, strings.TrimSpace(name))
			}
		}
	}
	return words
}

// TestNewerIsUnknown: HAProxy 2.6 lists none of the words that are excused as unknown to it.
func TestNewerIsUnknown(t *testing.T) {
	recording := tape.Open(t, "haproxy")
	known := tape.Observe(recording, "known words", func() (known []string) {
		for _, kind := range []string{"cnv", "smp"} { // it lists one kind only
			out, err := exec.Command(recording.Program(), "-dK"+kind, "-q", "-c", "-f", "/dev/null").CombinedOutput()
			if len(out) < 1000 {
				t.Fatalf("%v: %s", err, out)
			}
			for _, word := range unknownWords() {
				_, name, _ := strings.Cut(word, " ")
				if regexp.MustCompile(`(?m)^(\[[ Y.]+\] )?\s*` + regexp.QuoteMeta(name) + `\b[^.]`).Match(out) {
					known = append(known, word)
				}
			}
			if probe := map[string]string{"cnv": "table_gpc", "smp": "sc_get_gpc"}[kind]; !strings.Contains(string(out), probe+"(") {
				t.Errorf("%s is not listed:\n%s", probe, out)
			}
		}
		return known
	})
	if len(known) > 0 {
		t.Errorf("HAProxy knows %q", known)
	}
}

// TestNewerNamesInLogs: names of HAProxy 2.7 to 3.4 give what the variables of log formats give, whose values others compare, of requests that are
// answered late, denied, sent again, redispatched and queued.
func TestNewerNamesInLogs(t *testing.T) {
	names := []string{ // each beside its variable
		"%Th=%[fc.timer.handshake]", "%Tt=%[fc.timer.total]", "%TR=%[req.timer.hdr]", "%Ti=%[req.timer.idle]", "%Tw=%[req.timer.queue]", "%Tq=%[req.timer.tq]", "%Tc=%[bc.timer.connect]", "%Tr=%[res.timer.hdr]", "%Td=%[res.timer.data]",
		"%Ta=%[txn.timer.total]", "%rc=%[txn.redispatched,iif(+,_)]%[txn.conn_retries]", "%ts=%[txn.sess_term_state]", "%ST=%[txn.status]", "%sq=%[bc_srv_queue]", "%bq=%[bc_be_queue]", "%Ts=%[accept_date]",
		"%Ts%ms=%[accept_date(ms)]", "%trl=%[request_date,ltime(%d/%b/%Y:%H:%M:%S\\ %z)]", "%Tl=%[accept_date(s),ltime(%d/%b/%Y:%H:%M:%S\\ %z)]", "%tr=%[request_date(ms),ms_ltime(%d/%b/%Y:%H:%M:%S.%3N)]", "%t=%[accept_date(us),us_ltime(%d/%b/%Y:%H:%M:%S.%3N)]",
	}
	s := start(t, built.LB, preface("", "LINE %HU|"+strings.Join(names, "|"))+`
frontend fe
  bind HTTP
  http-request deny if { path /denied }
  use_backend retried if { path /r/again }
  use_backend full if { path_beg /drip }
  default_backend be
backend be
  server s1 S1
backend retried
  option redispatch 1
  retries 3
  server down DOWN
  server s1 S1
backend full
  timeout queue 50ms
  http-after-response set-status 429 if { txn.sess_term_state sQ }
  server s1 S1 maxconn 1
`, nil)
	for _, row := range []struct{ path, status, shows string }{
		{"/delay/30", "200 Answer", `%Tr=([3-9]\d|\d{3,})\|`}, {"/denied", "403 Forbidden", `%Tc=-1\|.*%ts=PR\|`}, {"/r/again", "200 Answer", `%rc=\+1`}, {"/status/500", "500 Answer", `%ST=500`}, {"/drip/30000", "", ""}, {"/drip/1", "429 Too Many", `%ts=sQ\|`},
	} {
		c := s.dial(s.addr)
		if row.status == "" { // it takes the only place, and stays
			io.WriteString(c, request(row.path))
			s.until("full/s1", "scur=1", "scur")
			continue
		}
		if answer := c.do(request(row.path, "Connection: close")); !strings.HasPrefix(answer, row.status) {
			t.Errorf("%s: %s", row.path, answer)
		}
		line := s.lines(1)[0]
		parts := strings.Split(line, "|")[1:]
		shown := ""
		for i, part := range parts {
			name, _, _ := strings.Cut(names[i], "=")
			variable, sample, _ := strings.Cut(part, "=")
			sample = strings.TrimPrefix(sample, "_") // not redispatched
			shown += name + "=" + sample + "|"
			if variable != sample {
				t.Errorf("%s: %s: %s, not %s", row.path, names[i], sample, variable)
			}
		}
		if !regexp.MustCompile(row.shows).MatchString(shown) {
			t.Errorf("%s: %s has no %s", row.path, shown, row.shows)
		}
	}
}

// TestNewerTimeouts: each timeout of the proxies and of the exchange, as the manuals of HAProxy 2.9 and later say: those of the configuration, and
// the current ones, which are the same as no rule sets them.
func TestNewerTimeouts(t *testing.T) {
	s := start(t, built.LB, `
defaults
  mode http
  timeout connect 1s
  timeout client 20s
  timeout server 20s
  timeout queue 2s
  timeout tarpit 3s
frontend fe
  bind HTTP
  timeout client 21s
  timeout tarpit 4s
  http-request set-header X-Front "%[fe_client_timeout]/%[fe_tarpit_timeout]/%[cur_client_timeout]/%[cur_tarpit_timeout]"
  default_backend be
backend be
  timeout connect 5s
  timeout queue 6s
  timeout tarpit 7s
  http-request set-header X-Back "%[be_connect_timeout]/%[cur_connect_timeout]/%[be_queue_timeout]/%[cur_queue_timeout]/%[be_tarpit_timeout]/%[cur_tarpit_timeout]"
  server s1 S1
`, nil)
	answer := s.get("/headers")
	for _, want := range []string{"x-front: 21000/4000/21000/4000", "x-back: 5000/5000/6000/6000/7000/7000"} {
		if !strings.Contains(answer, want) {
			t.Errorf("no %s in %s", want, answer)
		}
	}
}

// TestFaultInLogs: why lb refused a request, in the log and in `show errors`.
func TestFaultInLogs(t *testing.T) {
	s := start(t, built.LB, preface("", "LINE %ST <%[lb_fault]>")+`
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
`, nil)
	s.get("/")
	if line := s.lines(1)[0]; line != "200 <->" {
		t.Errorf("of a good request: %s", line)
	}
	s.dial(s.addr).do("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
	line := s.lines(1)[0]
	fault, _, _ := strings.Cut(strings.TrimPrefix(line, "400 <"), ">")
	if len(fault) < 5 || !strings.HasPrefix(line, "400 <") || !strings.Contains(s.command("show errors"), fault) {
		t.Errorf("%s, and errors:\n%s", line, s.command("show errors"))
	}
}
