package stream

import (
	"bytes"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
)

// Cookie is `cookie NAME insert ...`: the client learns which server it has.
type Cookie struct {
	Name     string
	Indirect bool   // the server never sees it
	NoCache  bool   // responses that set it must not be cached by others
	PostOnly bool   // set only in answers to POST
	Preserve bool   // a server may set or delete it itself
	Suffix   string // "; path=/; domain=..." and whatever else follows the value

	servers map[string]*backend.Server
	prefix  []byte // "NAME="
}

// Bind tells the cookie which servers have which value.
func (c *Cookie) Bind(servers []*backend.Server) {
	c.servers = map[string]*backend.Server{}
	c.prefix = []byte(c.Name + "=")
	for _, s := range servers {
		if s.Cookie != "" && c.servers[s.Cookie] == nil {
			c.servers[s.Cookie] = s
		}
	}
}

// readCookie binds the exchange to the server that the client's cookie names.
// The third letter of the termination state says what came: N none, I an
// unknown value, D a server that is down, V a valid one, U one that is not used
// because a rule has chosen the server or ignores persistence.
func (t *txn) readCookie() {
	c, h := t.be.Cookie, &t.s.sh.req
	value, found := c.find(h)
	t.rec.Term[2] = 'N'
	if !found {
		return
	}
	t.hadCookie = true
	srv := c.servers[string(value)]
	switch {
	case t.bound || t.ignored:
		t.rec.Term[2] = 'U'
	case srv == nil:
		t.rec.Term[2] = 'I'
	case !srv.Stats().Usable:
		t.rec.Term[2] = 'D'
		if t.be.Persist || t.forced {
			t.srv, t.bound = srv, true
		}
	default:
		t.rec.Term[2] = 'V'
		t.srv, t.bound = srv, true
	}
	c.strip(h)
}

// find looks for the cookie in all Cookie fields.
func (c *Cookie) find(h *http1.Head) (value []byte, found bool) {
	for i := h.Find("cookie", 0); i >= 0; i = h.Find("cookie", i+1) {
		rest := h.Value(i)
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			pair = bytes.TrimSpace(pair)
			if bytes.HasPrefix(pair, c.prefix) {
				return pair[len(c.prefix):], true
			}
		}
	}
	return nil, false
}

// strip takes the cookie out of the request when servers must not see it.
func (c *Cookie) strip(h *http1.Head) {
	if !c.Indirect {
		return
	}
	for i := h.Find("cookie", 0); i >= 0; i = h.Find("cookie", i+1) {
		v := h.Value(i)
		if !bytes.Contains(v, c.prefix) {
			continue
		}
		var kept []byte
		for rest := v; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			pair = bytes.TrimSpace(pair)
			if bytes.HasPrefix(pair, c.prefix) || len(pair) == 0 {
				continue
			}
			if len(kept) > 0 {
				kept = append(kept, "; "...)
			}
			kept = append(kept, pair...)
		}
		if len(kept) == 0 {
			h.DelAt(i)
		} else {
			h.SetValue(i, kept)
		}
	}
}

// setCookie tells the client its server, unless it knows. The fourth letter
// of the termination state says what was done: N nothing, I inserted, D the
// server's own deleted, P left.
func (t *txn) setCookie(h *http1.Head) {
	c := t.be.Cookie
	t.rec.Term[3] = 'N'
	if c.Preserve && c.setByServer(h) {
		t.rec.Term[3] = 'P'
		return
	}
	if c.removeServers(h) {
		t.rec.Term[3] = 'D'
	}
	if t.bound || t.ignored || t.srv.Cookie == "" || c.PostOnly && t.askedFor != methodPost {
		return
	}
	t.rec.Term[3] = 'I'
	value := make([]byte, 0, 128)
	value = append(value, c.prefix...)
	value = append(value, t.srv.Cookie...)
	value = append(value, c.Suffix...)
	h.Add([]byte("Set-Cookie"), value)
	if c.NoCache {
		h.Add([]byte("Cache-Control"), []byte("private"))
	}
}

// removeServers deletes what the server itself sets under the cookie's name.
func (c *Cookie) removeServers(h *http1.Head) (any bool) {
	for i := h.Find("set-cookie", 0); i >= 0; i = h.Find("set-cookie", i+1) {
		if bytes.HasPrefix(h.Value(i), c.prefix) {
			h.DelAt(i)
			any = true
		}
	}
	return any
}

func (c *Cookie) setByServer(h *http1.Head) bool {
	for i := h.Find("set-cookie", 0); i >= 0; i = h.Find("set-cookie", i+1) {
		if bytes.HasPrefix(h.Value(i), c.prefix) {
			return true
		}
	}
	return false
}
