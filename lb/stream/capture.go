package stream

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// What captures keep of a request and its response, for the log and for rules.

// captureRequest records the request headers that the log shows.
func (t *txn) captureRequest() {
	if fe := t.s.fe; len(fe.ReqCaptures) > 0 {
		t.rec.ReqCaptures = capture(t.rec.ReqCaptures, &t.s.sh.req, fe.ReqCaptures)
	}
	if fe := t.s.fe; len(fe.ResCaptures) > 0 && t.rec.ResCaptures == nil { // empty until there is a response, or a rule fills them
		t.rec.ResCaptures = make([]string, len(fe.ResCaptures))
	}
}

// captureCookie records the request's cookie that the log shows.
func (t *txn) captureCookie() {
	if c := &t.s.fe.CookieCapture; c.Len > 0 {
		t.rec.Cookie = c.cookie(&t.s.sh.req, "cookie")
	}
}

// capture puts what a head has of the wanted fields into their slots, and leaves the others to what rules put there before.
func capture(got []string, h *http1.Head, want []Capture) []string {
	if len(got) < len(want) {
		got = append(got, make([]string, len(want)-len(got))...)
	}
	for i, c := range want {
		if c.Header == "" { // a slot that rules fill
			continue
		}
		// The last of several is what HAProxy keeps.
		for j := h.Find(c.Header, 0); j >= 0; j = h.Find(c.Header, j+1) {
			v := h.Value(j)
			got[i] = string(v[:min(len(v), c.Len)])
		}
	}
	return got
}

// cookie is the first cookie whose name begins as wanted, as NAME=VALUE: of a
// Cookie field any pair, of a Set-Cookie field the first.
func (c *Capture) cookie(h *http1.Head, field string) string {
	for i := h.Find(field, 0); i >= 0; i = h.Find(field, i+1) {
		rest := h.Value(i)
		for more := true; more; more = len(rest) > 0 && field == "cookie" {
			end := pairEnd(rest)
			pair := bytes.TrimSpace(rest[:end])
			rest = rest[min(end+1, len(rest)):]
			if len(pair) >= len(c.Header) && string(pair[:len(c.Header)]) == c.Header && bytes.IndexByte(pair, '=') > 0 {
				return string(pair[:min(len(pair), c.Len)])
			}
		}
	}
	return ""
}

// pairEnd is where a cookie's pair ends: at a semicolon that is not quoted.
func pairEnd(b []byte) int {
	quoted := false
	for i, c := range b {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return i
		}
	}
	return len(b)
}
