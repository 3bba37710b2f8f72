package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
)

// Cookie is `cookie NAME ...`: a client's cookie says which server it has.
type Cookie struct {
	Name     string
	Mode     CookieMode
	Indirect bool // a client that has its server is not told again; nor do servers see a cookie that we insert
	NoCache  bool // responses that set it must not be cached by others
	PostOnly bool // inserted in answers to POST only
	Preserve bool // a server may set or delete it itself

	// MaxIdle and MaxLife are how many seconds the cookie counts after it was last
	// renewed, and after it was first set; 0 for good.
	MaxIdle, MaxLife int64

	Suffix string // "; domain=..." and whatever else follows the path

	// making is how the values of servers are made that name none of their own; an
	// operator may change it.
	making  atomic.Pointer[cookieMaking]
	servers []cookieServer
	prefix  []byte // "NAME="
}

// cookieMaking is `cookie ... dynamic` and its key. Immutable.
type cookieMaking struct {
	on  bool
	key string
}

// Make sets how values are made: with key, if on. Such a value is empty
// without a key.
func (c *Cookie) Make(on bool, key string) { c.making.Store(&cookieMaking{on: on, key: key}) }

// Making is what Make was given last.
func (c *Cookie) Making() (on bool, key string) {
	m := c.making.Load()
	if m == nil {
		return false, ""
	}
	return m.on, m.key
}

// makes is how values are made now; nil if none are.
func (c *Cookie) makes() *cookieMaking {
	if m := c.making.Load(); m != nil && m.on && m.key != "" {
		return m
	}
	return nil
}

// CookieMode is who writes the cookie.
type CookieMode uint8

// The modes.
const (
	PassiveCookie CookieMode = iota // servers do
	InsertCookie                    // we do
	RewriteCookie                   // servers do, and we put the value in
	PrefixCookie                    // it is the application's, and the server's value stands before it
)

// cookieServer is a server and its value.
type cookieServer struct {
	*backend.Server
	made *atomic.Pointer[madeValue] // nil for one that names its value
}

// madeValue is a value that was made of a server's address.
type madeValue struct {
	of    *backend.Addr
	by    *cookieMaking
	value string
}

// Bind tells the cookie which servers there are.
func (c *Cookie) Bind(servers []*backend.Server) {
	c.prefix = []byte(c.Name + "=")
	for _, s := range servers {
		one := cookieServer{Server: s}
		if s.Cookie == "" {
			one.made = new(atomic.Pointer[madeValue])
		}
		c.servers = append(c.servers, one)
	}
}

// Value is the cookie's value for a server, "" when it has none.
func (c *Cookie) Value(srv *backend.Server) string {
	if srv.Cookie != "" || c.makes() == nil {
		return srv.Cookie
	}
	for i := range c.servers {
		if c.servers[i].Server == srv {
			return c.value(&c.servers[i])
		}
	}
	return ""
}

// value is as HAProxy makes it: XXH64 of the key, the address, and the port as
// four bytes in network order.
func (c *Cookie) value(s *cookieServer) string {
	if s.made == nil {
		return s.Cookie
	}
	by := c.makes()
	if by == nil {
		return ""
	}
	at := s.Addr()
	if made := s.made.Load(); made != nil && made.of == at && made.by == by {
		return made.value
	}
	made := &madeValue{of: at, by: by}
	if ip := at.IP; ip.IsValid() {
		b := append([]byte(by.key), ip.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint32(b, uint32(ip.Port()))
		made.value = fmt.Sprintf("%016x", xxhash.Sum64(b))
	}
	s.made.Store(made)
	return made.value
}

// Parts of a cookie's value.
const (
	cookieDate  = '|' // the value, when it was renewed and when it was first set
	cookiePart  = '~' // a server's value, and the application's
	cookieAhead = 86400
)

// readCookie binds the exchange to the server that the client's cookie names.
// The third letter of the termination state says what came: N none, I an
// unknown value, D a server that is down, V a valid one, E one that was not
// renewed for too long, O one that is too old, U one that is not used because a
// rule has chosen the server or ignores persistence.
func (t *txn) readCookie() {
	c, h := t.be.Cookie, &t.s.sh.req
	value, at, found := c.find(h)
	t.rec.Term[2] = 'N'
	if c.Mode == PassiveCookie && !c.Indirect { // as HAProxy: nothing is said of it
		defer func() { t.rec.Term[2] = '-' }()
	}
	if !found {
		return
	}
	t.hadCookie = true
	mine := value
	if c.Mode == PrefixCookie {
		mine, _, _ = bytes.Cut(value, []byte{cookiePart})
	} else if bar := bytes.IndexByte(value, cookieDate); bar >= 0 {
		mine = value[:bar]
		t.cookieDates(value[bar+1:])
	}
	now := t.s.sh.Loop.Time().Unix()
	switch {
	case t.cookieFirst != 0 && c.MaxLife != 0 && stale(now, t.cookieFirst, c.MaxLife):
		t.rec.Term[2] = 'O'
		mine, t.cookieFirst, t.cookieLast = nil, 0, 0
	case t.cookieLast != 0 && c.MaxIdle != 0 && stale(now, t.cookieLast, c.MaxIdle):
		t.rec.Term[2] = 'E'
		mine, t.cookieFirst, t.cookieLast = nil, 0, 0
	}
	t.followCookie(mine)
	switch {
	case c.Mode == PrefixCookie:
		if own := bytes.IndexByte(value, cookiePart); own >= 0 {
			v := h.Value(at)
			start := cap(v) - cap(value) // value is a part of v
			h.SetValue(at, append(bytes.Clone(v[:start]), v[start+own+1:]...))
		}
	case c.Mode == InsertCookie && c.Indirect:
		c.strip(h)
	}
}

// deniedCookies is what the log shows of the cookies of a request that is denied
// or held in the tarpit. As with HAProxy, those of one that a rule answers
// otherwise are not looked at.
func (t *txn) deniedCookies() {
	t.captureCookie()
	if be := t.cookieBackend(); be != nil {
		was := t.be
		t.be = be
		if t.readCookie(); t.srv != nil {
			t.rec.Server = t.srv.Name // as HAProxy: where it would have gone
		}
		t.be, t.srv, t.bound = was, nil, false
	}
}

// cookieBackend is the backend whose cookie the log speaks of, nil without one:
// that of a listen section is it before any is chosen.
func (t *txn) cookieBackend() *Backend {
	be := t.be
	if own := t.s.fe.Default; be == nil && own != nil && own.ID == t.s.fe.ID {
		be = own
	}
	if be == nil || be.Cookie == nil {
		return nil
	}
	return be
}

// completeCookieLetters writes N where nothing was said of a backend's cookie.
func (t *txn) completeCookieLetters() {
	be := t.cookieBackend()
	if be == nil || be.Cookie.Mode == PassiveCookie && !be.Cookie.Indirect {
		return
	}
	for i := 2; i < 4; i++ {
		if t.rec.Term[i] == '-' {
			t.rec.Term[i] = 'N'
		}
	}
}

// followCookie chooses the first server of the cookie's value that can be used.
func (t *txn) followCookie(value []byte) {
	c := t.be.Cookie
	down := false
	if len(value) > 0 && !t.bound && !t.ignored {
		for i := range c.servers {
			one := &c.servers[i]
			if c.value(one) != string(value) {
				continue
			}
			usable := one.Stats().Usable
			if usable || t.be.Persist || t.forced {
				t.srv, t.bound = one.Server, true
				t.rec.Term[2] = 'V'
				if !usable {
					t.rec.Term[2] = 'D'
				}
				return
			}
			down = true
		}
	}
	switch {
	case down:
		t.rec.Term[2] = 'D'
	case t.rec.Term[2] != 'N': // too old
	case t.bound || t.ignored:
		t.rec.Term[2] = 'U'
	default:
		t.rec.Term[2] = 'I'
	}
}

// cookieDates reads when a cookie was renewed and when it was first set.
func (t *txn) cookieDates(b []byte) {
	t.cookieLast = readDate(b)
	if bar := bytes.IndexByte(b, cookieDate); bar >= 0 && len(b)-bar > 5 {
		t.cookieFirst = readDate(b[bar+1:])
	}
}

// stale reports whether a date is more than limit seconds ago, or more than a
// day ahead.
func stale(now, date, limit int64) bool { return now-date > limit || date-now > cookieAhead }

// A date is 30 bits in steps of four seconds, six bits a letter.
const dateLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// readDate gives the Unix time of a date, 0 when b does not begin with one.
func readDate(b []byte) int64 {
	if len(b) < 5 {
		return 0
	}
	var n int64
	for _, letter := range b[:5] {
		i := bytes.IndexByte([]byte(dateLetters), letter)
		if i < 0 {
			return 0
		}
		n = n<<6 | int64(i)
	}
	return n << 2
}

func appendDate(b []byte, unix int64) []byte {
	for shift := 24; shift >= 0; shift -= 6 {
		b = append(b, dateLetters[unix>>2>>shift&63])
	}
	return b
}

// find looks for the cookie in all Cookie fields; at is the field's place.
func (c *Cookie) find(h *http1.Head) (value []byte, at int, found bool) {
	for i := h.Find("cookie", 0); i >= 0; i = h.Find("cookie", i+1) {
		rest := h.Value(i)
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			pair = bytes.TrimSpace(pair)
			if bytes.HasPrefix(pair, c.prefix) {
				return pair[len(c.prefix):], i, true
			}
		}
	}
	return nil, 0, false
}

// strip takes the cookie out of the request.
func (c *Cookie) strip(h *http1.Head) {
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
// of the termination state says what was done: N nothing, P the server's own
// was left, D deleted, R given the server's value; I one was inserted, U
// renewed.
func (t *txn) setCookie(h *http1.Head) {
	c := t.be.Cookie
	if t.ignored { // then the server's own is none of ours
		t.rec.Term[3] = 'N'
		return
	}
	if t.rec.Term[3] = c.editServers(t, h); c.Mode == PassiveCookie && !c.Indirect {
		t.rec.Term[3] = '-'
	}
	if c.Mode != InsertCookie || c.Preserve && t.rec.Term[3] == 'P' || c.PostOnly && t.askedFor != methodPost {
		return
	}
	now := t.s.sh.Loop.Time().Unix()
	switch {
	case !t.bound:
	case (c.MaxIdle != 0 || t.cookieLast != 0) && t.cookieLast < now: // none, or not of this moment
	case c.MaxLife != 0 && t.cookieFirst == 0, c.MaxLife == 0 && t.cookieFirst != 0: // the first date is missing, or is not wanted
	default:
		return
	}
	mine := c.Value(t.srv)
	t.rec.Term[3] = 'I'
	if t.bound && mine != "" {
		t.rec.Term[3] = 'U'
	}
	value := append(make([]byte, 0, 128), c.prefix...)
	if mine == "" { // such a server binds nobody
		value = append(value, "; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"...)
	} else {
		value = append(c.appendDates(append(value, mine...), now, t.cookieFirst), "; path=/"...)
	}
	h.Add([]byte("Set-Cookie"), append(value, c.Suffix...))
	if c.NoCache && cacheable(t.askedFor, h) {
		h.Add([]byte("Cache-Control"), []byte("private"))
	}
}

// appendDates writes when the cookie was renewed, and when it was first set.
func (c *Cookie) appendDates(b []byte, now, first int64) []byte {
	if c.MaxIdle == 0 && c.MaxLife == 0 {
		return b
	}
	b = appendDate(append(b, cookieDate), now+3)
	if c.MaxLife == 0 {
		return b
	}
	if first == 0 {
		first = now + 3
	}
	return appendDate(append(b, cookieDate), first)
}

// editServers does what the mode asks to cookies of the name that the server
// sets, and gives its letter.
func (c *Cookie) editServers(t *txn, h *http1.Head) (letter byte) {
	letter = 'N'
	mine := c.Value(t.srv)
	for i := h.Find("set-cookie", 0); i >= 0; i = h.Find("set-cookie", i+1) {
		v := h.Value(i)
		if !bytes.HasPrefix(v, c.prefix) {
			continue
		}
		letter = 'P'
		own := v[len(c.prefix):]
		end := bytes.IndexByte(own, ';')
		if end < 0 {
			end = len(own)
		}
		switch {
		case c.Preserve:
		case c.Mode == InsertCookie || t.bound && c.Indirect:
			h.DelAt(i)
			letter = 'D'
		case mine != "" && c.Mode == RewriteCookie:
			h.SetValue(i, append(append(bytes.Clone(c.prefix), mine...), own[end:]...))
			letter = 'R'
		case mine != "" && c.Mode == PrefixCookie:
			b := append(append(bytes.Clone(c.prefix), mine...), cookiePart)
			h.SetValue(i, append(b, own...))
			letter = 'R'
		}
	}
	return letter
}

// cacheable reports whether a cache between us and the client may keep the
// answer, as HAProxy judges it: it says for how long, or how to ask again.
func cacheable(asked method, h *http1.Head) bool {
	switch asked {
	case methodGet, methodHead, methodOptions, methodTrace:
	default:
		return false
	}
	switch h.Status() {
	case 200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501:
	default:
		return false
	}
	if http1.EqualFold(h.Get("pragma"), "no-cache") {
		return false
	}
	may := h.Get("expires") != nil || h.Get("etag") != nil || h.Get("last-modified") != nil
	for i := h.Find("cache-control", 0); i >= 0; i = h.Find("cache-control", i+1) {
		for rest := h.Value(i); len(rest) > 0; {
			var word []byte
			word, rest, _ = bytes.Cut(rest, []byte(","))
			switch word = bytes.ToLower(bytes.TrimSpace(word)); string(word) {
			case "private", "no-cache", "no-store", "max-age=0", "s-maxage=0":
				return false
			}
			may = may || bytes.HasPrefix(word, []byte("max-age=")) || bytes.HasPrefix(word, []byte("s-maxage="))
		}
	}
	return may
}

// blockCookie ends an exchange whose answer a cache would keep together with
// the cookie of one client: option checkcache.
func (t *txn) blockCookie() {
	t.deniedAnswer()
	t.noResponse()
	t.fail('P', 'H', 502)
}
