// Package compress makes the bodies of responses smaller on their way.
//
//  1. The request says what the client understands: Choose.
//  2. The response's head says whether it may be compressed: Fits; if so, Mark
//     changes it to what the client gets.
//  3. The body goes through a Writer, which keeps nothing of it back.
//
// The conditions are HAProxy's. The compressor is stateless, as the libslz that
// HAProxy usually has: a response holds a few words of memory however slowly its
// client reads, and what a server has sent leaves at once.
package compress

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// Algorithm is a form of compressed bodies.
type Algorithm uint8

// The algorithms.
const (
	None       Algorithm = iota
	Identity             // nothing is changed but the head
	Gzip                 // RFC 1952
	Deflate              // RFC 1950
	RawDeflate           // RFC 1951, which some clients take "deflate" for
)

// algorithms are their names in the configuration, and the codings that stand in
// Accept-Encoding and Content-Encoding for them.
var algorithms = [...]struct{ name, coding string }{
	Identity: {"identity", "identity"}, Gzip: {"gzip", "gzip"}, Deflate: {"deflate", "deflate"}, RawDeflate: {"raw-deflate", "deflate"},
}

// Names are the algorithms' names in the configuration.
func Names() (names []string) {
	for _, a := range algorithms[Identity:] {
		names = append(names, a.name)
	}
	return names
}

// Named finds an algorithm by its name in the configuration.
func Named(name string) (Algorithm, bool) {
	for i, a := range algorithms {
		if a.name == name && name != "" {
			return Algorithm(i), true
		}
	}
	return None, false
}

// String is the algorithm's name in the configuration.
func (a Algorithm) String() string { return algorithms[a].name }

// Coding is its name in messages.
func (a Algorithm) Coding() string { return algorithms[a].coding }

// Settings are what a proxy says about compression. Immutable.
type Settings struct {
	Algorithms []Algorithm // in the order of the configuration
	Types      []string    // what Content-Type begins with; none: anything
	Offload    bool        // servers are not told that clients understand compression
	MinSize    int64       // bodies whose length is known and less are sent as they are
}

// Choose gives the algorithm that the client prefers, None if it understands
// none of them. Of two that it likes as much, the one that it names first wins;
// of two with one coding, and for "*", the last of the list does.
func Choose(h *http1.Head, from []Algorithm) Algorithm {
	if broken(h.Get("user-agent")) {
		return None
	}
	best, q := None, 0
	for i := h.Find("accept-encoding", 0); i >= 0; i = h.Find("accept-encoding", i+1) {
		for member := range http1.List(h.Value(i)) {
			token, weight := split(member)
			if weight <= q {
				continue
			}
			for j := len(from) - 1; j >= 0; j-- {
				if member[0] == '*' || http1.EqualFold(token, from[j].Coding()) {
					best, q = from[j], weight
					break
				}
			}
		}
	}
	if best != None {
		return best
	}
	for _, a := range from { // which needs nobody's consent
		if a == Identity {
			return Identity
		}
	}
	return None
}

// broken reports browsers that say they understand compression and do not:
// those before Internet Explorer 6 with Windows XP SP2.
func broken(agent []byte) bool {
	switch {
	case !bytes.HasPrefix(agent, []byte("Mozilla/4")):
		return false
	case len(agent) < 31 || string(agent[25:30]) != "MSIE " || agent[30] < '6':
		return true
	}
	return agent[30] == '6' && (len(agent) < 54 || string(agent[51:54]) != "SV1")
}

// split takes a member of Accept-Encoding apart: the coding and its weight in
// thousandths.
func split(member []byte) (token []byte, weight int) {
	n := 0
	for n < len(member) && isToken(member[n]) {
		n++
	}
	token, rest := member[:n], member[n:]
	for {
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) == 0 || rest[0] != ';' {
			return token, 1000
		}
		rest = bytes.TrimLeft(rest[1:], " \t")
		if bytes.HasPrefix(rest, []byte("q=")) {
			return token, Weight(rest[len("q="):])
		}
		next := bytes.IndexByte(rest, ';')
		if next < 0 {
			return token, 1000
		}
		rest = rest[next:]
	}
}

// Weight reads a qvalue (RFC 9110 section 12.4.2) as thousandths; what is none
// counts as 1.
func Weight(v []byte) int {
	digit := func(i int) (int, bool) {
		if i < len(v) && v[i] >= '0' && v[i] <= '9' {
			return int(v[i] - '0'), true
		}
		return 0, false
	}
	d, ok := digit(0)
	if !ok {
		return 1000
	}
	q := d * 1000
	if len(v) > 1 && v[1] == '.' {
		for i, unit := 2, 100; unit > 0; i, unit = i+1, unit/10 {
			if d, ok = digit(i); !ok {
				break
			}
			q += d * unit
		}
	}
	return min(q, 1000)
}

func isToken(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// Fits reports whether a response with this head may be compressed, as far as
// its fields say: not what was compressed already, must not be changed, or is of
// another type.
func Fits(h *http1.Head, types []string) bool {
	if s := h.Status(); s < 200 || s > 203 || h.Find("content-encoding", 0) >= 0 {
		return false
	}
	for i := h.Find("cache-control", 0); i >= 0; i = h.Find("cache-control", i+1) {
		for word := range http1.List(h.Value(i)) {
			if http1.EqualFold(word, "no-transform") {
				return false
			}
		}
	}
	if i := h.Find("etag", 0); i >= 0 && (!validETag(h.Value(i)) || h.Find("etag", i+1) >= 0) {
		return false
	}
	i := h.Find("content-type", 0)
	if i < 0 {
		return len(types) == 0
	}
	is := h.Value(i)
	if hasPrefixFold(is, "multipart") {
		return false
	}
	for _, t := range types {
		if hasPrefixFold(is, t) {
			return true
		}
	}
	return len(types) == 0
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && http1.EqualFold(b[:len(prefix)], prefix)
}

// validETag reports whether v is an entity tag, weak or strong.
func validETag(v []byte) bool {
	v = bytes.TrimPrefix(v, []byte("W/"))
	return len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"'
}

// Mark makes the head that of the compressed response, but for the framing: the
// coding, Vary, and a weak entity tag, as the bytes are others than the server's.
func (w *Writer) Mark(h *http1.Head) {
	a := w.Algorithm
	if i := h.Find("etag", 0); i >= 0 && h.Value(i)[0] == '"' {
		h.SetValue(i, append([]byte("W/"), h.Value(i)...))
		w.weakened = true
	}
	h.AddString("vary", "Accept-Encoding")
	if a != Identity {
		h.AddString("content-encoding", a.Coding())
	}
}

// Unmark undoes Mark.
func (w *Writer) Unmark(h *http1.Head) {
	if i := h.Find("etag", 0); i >= 0 && w.weakened {
		h.SetValue(i, bytes.Clone(bytes.TrimPrefix(h.Value(i), []byte("W/"))))
	}
	for i := h.Find("vary", 0); i >= 0; i = h.Find("vary", i+1) {
		if string(h.Value(i)) == "Accept-Encoding" && h.Find("vary", i+1) < 0 {
			h.DelAt(i)
		}
	}
	if w.Algorithm != Identity {
		h.Del("content-encoding")
	}
}
