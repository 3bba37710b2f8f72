package cache

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"lbsyslogd/lb/http1"
)

// maxAge is the oldest that anything can be, in seconds (RFC 9111 section 1.2.2).
const maxAge = math.MaxInt32

// Store begins to keep the response with this head: what is found in it now is
// what clients get. length is that of its body, -1 if it is unknown. It gives nil
// when the response is not to be kept; else the caller must call Append with the
// bytes of the body as the head says they are framed, and then Commit or Discard.
// scratch is used for the head.
func (c *Cache) Store(r *Request, h *http1.Head, length, now int64, scratch *[]byte) *Object {
	switch {
	case !r.Keyed:
		return nil
	case !r.Keep || h.Status() != http.StatusOK:
		return nil
	case length > c.MaxObject:
		return nil
	}
	v := variant{}
	if c.Vary {
		var ok bool
		if v, ok = varies(h); !ok {
			return nil
		}
		if v.byReferer {
			v.referer = r.referer
		}
		if v != (variant{}) && !r.varies {
			return nil
		}
	} else if h.Find("vary", 0) >= 0 {
		return nil
	}
	if !cacheable(h, r.authorized) {
		return nil
	}
	lifetime, explicit := freshness(h, now)
	age := int64(0)
	if i := h.Find("age", 0); i >= 0 {
		n, err := strconv.ParseInt(string(h.Value(i)), 10, 64)
		if err != nil || n <= 0 || explicit && n > lifetime {
			return nil
		}
		age = min(n, maxAge)
		h.Del("age")
	}
	b := h.Append((*scratch)[:0])
	*scratch = b
	o := &Object{
		cache: c, key: r.Key, vary: v, head: len(b), stored: now, age: age, expires: now + c.MaxAge, lastModified: lastModified(h, now), etag: string(h.Get("etag")),
		first: none, last: none, refs: 1,
	}
	if explicit {
		o.expires = now + min(lifetime, c.MaxAge)
	}
	if !c.begin(r, o) {
		return nil
	}
	if !o.Append(b) || length >= 0 && o.size+length > c.MaxObject {
		o.Discard()
		return nil
	}
	return o
}

// Changes reports whether a request of this method that was answered with this
// status has changed what the key stands for (RFC 9111 section 4.4).
func Changes(method []byte, status int) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return false
	}
	return status >= 200 && status < 400
}

// cacheable reports whether the response's fields let a shared cache keep it, which for the response to one that was authorized they must say (RFC 9111
// section 3.5).
func cacheable(h *http1.Head, authorized bool) bool {
	if http1.EqualFold(h.Get("pragma"), "no-cache") {
		return false
	}
	timed, never, shared, public := h.Find("expires", 0) >= 0, false, false, false
	for i := h.Find("cache-control", 0); i >= 0; i = h.Find("cache-control", i+1) {
		for word := range members(h.Value(i)) {
			switch {
			case begins(word, "private"), http1.EqualFold(word, "no-cache"), begins(word, "no-cache="), begins(word, "no-store"),
				http1.EqualFold(word, "s-maxage=0"):
				return false
			case http1.EqualFold(word, "public"):
				public = true
			case http1.EqualFold(word, "max-age=0"), wrong(word, "max-age"):
				never = true
			case wrong(word, "s-maxage"):
				return false
			case begins(word, "s-maxage"):
				timed, never, shared = true, false, true
			case begins(word, "max-age"):
				timed = true
			}
		}
	}
	if never && !shared || authorized && !public {
		return false
	}
	return timed || h.Find("etag", 0) >= 0 || h.Find("last-modified", 0) >= 0
}

// freshness is how long the response says it may be used, in seconds, and
// whether it says so.
func freshness(h *http1.Head, now int64) (seconds int64, explicit bool) {
	seconds = -1
	for i := h.Find("cache-control", 0); i >= 0; i = h.Find("cache-control", i+1) {
		for word := range members(h.Value(i)) {
			if n, ok := directive(word, "s-maxage"); ok {
				return n, true
			}
			if n, ok := directive(word, "max-age"); ok && seconds < 0 {
				seconds = n
			}
		}
	}
	if seconds >= 0 {
		return seconds, true
	}
	if i := h.Find("expires", 0); i >= 0 {
		t, err := http.ParseTime(string(h.Value(i)))
		if err != nil {
			return 0, true // "0" and its kin: it is stale (RFC 9111 section 5.3)
		}
		return max(t.Unix()-now, 0), true
	}
	return 0, false
}

// wrong reports whether a directive has something that is no number of seconds: the response is stale (RFC 9111 section 4.2.1).
func wrong(word []byte, name string) bool {
	if len(word) < len(name)+1 || word[len(name)] != '=' || !begins(word, name) {
		return false
	}
	_, ok := directive(word, name)
	return !ok
}

// directive is the number of a directive such as max-age=60.
func directive(word []byte, name string) (n int64, ok bool) {
	if !begins(word, name) || len(word) < len(name)+2 || word[len(name)] != '=' {
		return 0, false
	}
	v := word[len(name)+1:]
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < 0 {
		return 0, false
	}
	return min(n, maxAge), true
}

// lastModified is when the response changed last, or when it was made.
func lastModified(h *http1.Head, now int64) int64 {
	for _, name := range [...]string{"last-modified", "date"} {
		if i := h.Find(name, 0); i >= 0 {
			if t, err := http.ParseTime(string(h.Value(i))); err == nil {
				return t.Unix()
			}
		}
	}
	return now
}
