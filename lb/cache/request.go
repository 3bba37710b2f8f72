package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"lbsyslogd/lb/http1"
)

// Key is what a response is found by: a hash of the host and the URI.
type Key [sha256.Size]byte

// short is the beginning of the hash, as HAProxy shows it.
func (k *Key) short() uint32 { return binary.LittleEndian.Uint32(k[:4]) }

// Request is what caches know of a request. The zero value is that of a request
// that has asked no cache.
type Request struct {
	Key   Key
	Keyed bool // it may change what a cache has, at least
	Look  bool // it may be answered from a cache
	Keep  bool // its response may be kept

	authorized bool // only if it says that it is public, then

	varies    bool // the fields below are known
	encodings encodings
	referer   uint64

	scratch []byte
}

// Reset makes it one that has asked no cache.
func (r *Request) Reset() { *r = Request{scratch: r.scratch[:0]} }

// Read looks at a request's head, as the rules have left it. http11 says that the
// client speaks that version, or HTTP/2.
func (r *Request) Read(h *http1.Head, http11 bool) {
	r.Reset()
	b := append(r.scratch, h.Get("host")...)
	if len(b) == 0 {
		return
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	b = append(append(b, 0), h.PathQuery()...)
	r.scratch = b
	r.Key, r.Keyed = sha256.Sum256(b), true
	method := string(h.Method())
	if !http11 || method != "GET" && method != "HEAD" {
		return
	}
	r.authorized = h.Find("authorization", 0) >= 0
	r.Look, r.Keep = !r.authorized, method == "GET"
	directed := false
	for i := h.Find("cache-control", 0); i >= 0; i = h.Find("cache-control", i+1) {
		directed = true
		for word := range members(h.Value(i)) {
			switch {
			case begins(word, "max-age"), begins(word, "no-cache"), begins(word, "max-stale"), begins(word, "min-fresh"):
				r.Look = false
			case begins(word, "no-store"):
				r.Look, r.Keep = false, false
			}
		}
	}
	if !directed && http1.EqualFold(h.Get("pragma"), "no-cache") { // RFC 9111 section 5.4
		r.Look = false
	}
}

// begins reports whether a word begins with another one, in whichever case.
func begins(word []byte, with string) bool {
	return len(word) >= len(with) && http1.EqualFold(word[:len(with)], with)
}

// members yields the members of a list that are not empty; a comma between quotes
// is part of one.
func members(v []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(v) > 0 {
			n, quoted := 0, false
			for ; n < len(v) && (quoted || v[n] != ','); n++ {
				switch {
				case v[n] == '"':
					quoted = !quoted
				case quoted && v[n] == '\\':
					n++
				}
			}
			n = min(n, len(v))
			one := bytes.Trim(v[:n], " \t")
			v = v[min(n+1, len(v)):]
			if len(one) > 0 && !yield(one) {
				return
			}
		}
	}
}
