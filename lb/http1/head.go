package http1

import "bytes"

// MaxFields is how many header fields a head may have unless it says otherwise,
// HAProxy's tune.http.maxhdr.
const MaxFields = 101

// span is a view into the wire bytes or, with its own flag set on the field,
// into the head's scratch.
type span struct{ off, end uint32 }

// field is one header field line.
type field struct {
	name, value span
	line        span // the whole line with its CRLF, in wire; empty when it must be rendered, as for odd blanks
	own         bool // name and value lie in Head.own
	deleted     bool
}

// Head is one parsed message head, with the edits made to it since. Views are
// valid until the next Parse, Add or Set*, and while the parsed bytes stay
// where they are.
type Head struct {
	MaxFields int // 0 is the constant MaxFields
	// Lax takes names of fields and targets with bytes that should not be in
	// them, but cannot be taken for a delimiter either.
	Lax bool
	// Whole says that the target is absolute only because HTTP/2 names scheme and
	// authority of each request: a server of HTTP/1 is asked for the path.
	Whole bool

	// Framing facts, set by Parse and not touched by edits.

	Length     int64 // Content-Length; -1 when there is none
	Chunked    bool  // Transfer-Encoding ends with chunked
	Close      bool  // Connection: close
	KeepAlive  bool  // Connection: keep-alive
	Upgrade    bool  // Connection: upgrade, with an Upgrade field
	Coded      bool  // chunked is not the only transfer coding
	Repaired   bool  // it was chunked with a length besides, or in HTTP/1.0: nothing after it is to be read
	Hops       bool  // there are fields for this hop alone: DropHops has work
	Expect     bool  // Expect: 100-continue
	HasHost    bool
	response   bool
	minor      int
	status     int
	method     []byte
	uri        []byte
	reason     []byte
	startDirty bool // the start line must be rendered anew
	start      span // start line with its line end, in wire
	rawStart   bool // start ended in CRLF and held nothing to normalise

	wire   []byte
	badAt  int // see BadAt
	own    []byte
	fields []field
}

// Method is the request's method.
func (h *Head) Method() []byte { return h.method }

// URI is the request target as received or set.
func (h *Head) URI() []byte { return h.uri }

// Minor is N of HTTP/1.N; anything above 1 counts as 1.
func (h *Head) Minor() int { return h.minor }

// BadAt is where in the bytes given the mistake lies, after Parse has refused
// them.
func (h *Head) BadAt() int { return h.badAt }

// bad notes where the mistake lies.
func (h *Head) bad(at int, e *Error) *Error {
	h.badAt = at
	return e
}

// Status is the response's status code.
func (h *Head) Status() int { return h.status }

// Reason is the response's reason phrase, possibly empty.
func (h *Head) Reason() []byte { return h.reason }

// IsResponse reports which kind of head was parsed last.
func (h *Head) IsResponse() bool { return h.response }

// Len is the number of fields, deleted ones included.
func (h *Head) Len() int { return len(h.fields) }

// Deleted reports whether field i was deleted.
func (h *Head) Deleted(i int) bool { return h.fields[i].deleted }

// Name is the name of field i as it was written.
func (h *Head) Name(i int) []byte { return h.view(&h.fields[i], h.fields[i].name) }

// Value is the value of field i without surrounding white space.
func (h *Head) Value(i int) []byte { return h.view(&h.fields[i], h.fields[i].value) }

func (h *Head) view(f *field, s span) []byte {
	if f.own {
		return h.own[s.off:s.end]
	}
	return h.wire[s.off:s.end]
}

// Find gives the index of the next field called name at or after from, or -1.
// Names compare without regard to case.
func (h *Head) Find(name string, from int) int {
	for i := from; i < len(h.fields); i++ {
		f := &h.fields[i]
		if !f.deleted && int(f.name.end-f.name.off) == len(name) && EqualFold(h.view(f, f.name), name) {
			return i
		}
	}
	return -1
}

// Get is the value of the first field called name, nil when there is none.
func (h *Head) Get(name string) []byte {
	if i := h.Find(name, 0); i >= 0 {
		return h.Value(i)
	}
	return nil
}

// Del deletes every field called name and says how many there were.
func (h *Head) Del(name string) int {
	n := 0
	for i := h.Find(name, 0); i >= 0; i = h.Find(name, i+1) {
		h.fields[i].deleted = true
		n++
	}
	return n
}

// DelAt deletes field i.
func (h *Head) DelAt(i int) { h.fields[i].deleted = true }

// Add appends a field. The caller answers for name and value: no CR, LF or NUL.
func (h *Head) Add(name, value []byte) { add(h, name, value) }

// AddString is Add for strings.
func (h *Head) AddString(name, value string) { add(h, name, value) }

func add[T string | []byte](h *Head, name, value T) {
	off := uint32(len(h.own))
	h.own = append(h.own, name...)
	mid := uint32(len(h.own))
	h.own = append(h.own, value...)
	h.fields = append(h.fields, field{
		name:  span{off, mid},
		value: span{mid, uint32(len(h.own))},
		own:   true,
	})
}

// Set replaces every field called name with one that has value.
func (h *Head) Set(name, value []byte) {
	for i := range h.fields {
		f := &h.fields[i]
		if !f.deleted && bytes.EqualFold(h.view(f, f.name), name) {
			f.deleted = true
		}
	}
	h.Add(name, value)
}

// SetValue replaces the value of field i and keeps its place.
func (h *Head) SetValue(i int, value []byte) {
	name := h.Name(i)
	off := uint32(len(h.own))
	h.own = append(h.own, name...)
	mid := uint32(len(h.own))
	h.own = append(h.own, value...)
	h.fields[i] = field{name: span{off, mid}, value: span{mid, uint32(len(h.own))}, own: true}
}

// SetName changes how the name of field i is written.
func (h *Head) SetName(i int, name string) {
	value := h.Value(i)
	off := uint32(len(h.own))
	h.own = append(h.own, name...)
	mid := uint32(len(h.own))
	h.own = append(h.own, value...)
	h.fields[i] = field{name: span{off, mid}, value: span{mid, uint32(len(h.own))}, own: true}
}

// BadName reports whether the name of field i is no token, which only Lax takes.
func (h *Head) BadName(i int) bool { return firstNot(h.Name(i), isToken) >= 0 }

// OddName reports whether the name of field i has other characters than letters,
// digits and hyphens.
func (h *Head) OddName(i int) bool {
	for _, c := range h.Name(i) {
		if l := lower[c]; l != '-' && (l < '0' || l > '9') && (l < 'a' || l > 'z') {
			return true
		}
	}
	return false
}

// SetMethod, SetURI and SetStatus change the start line. They keep the slice
// given, which must stay unchanged until Append.
func (h *Head) SetMethod(m []byte) { h.method, h.startDirty = m, true }

// SetURI replaces the request target.
func (h *Head) SetURI(u []byte) { h.uri, h.startDirty = u, true }

// SetStatus replaces the status code and the reason phrase.
func (h *Head) SetStatus(code int, reason []byte) {
	h.status, h.reason, h.startDirty = code, reason, true
}

// SetMinor sets the version that Append writes: HTTP/1.minor.
func (h *Head) SetMinor(minor int) {
	if h.minor != minor {
		h.minor, h.startDirty = minor, true
	}
}

// Path is the request target without scheme, authority and query; "*" and a
// CONNECT authority give nil.
func (h *Head) Path() []byte {
	p := h.origin()
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		p = p[:i]
	}
	return p
}

// Query is what follows the first "?", nil when there is none.
func (h *Head) Query() []byte {
	if i := bytes.IndexByte(h.uri, '?'); i >= 0 {
		return h.uri[i+1:]
	}
	return nil
}

// PathQuery is the request target without scheme and authority; nil as Path.
func (h *Head) PathQuery() []byte { return h.origin() }

// origin is the target from the path's slash on.
func (h *Head) origin() []byte {
	u := h.uri
	if len(u) == 0 || u[0] == '/' {
		return u
	}
	i := schemeEnd(u)
	if i < 0 {
		return nil
	}
	u = u[i+3:]
	if j := AuthorityEnd(u); j < len(u) {
		return u[j:]
	}
	return nil
}

// Append renders the head, with its edits, for the wire. Runs of untouched
// lines are copied whole.
func (h *Head) Append(dst []byte) []byte {
	run := span{}
	if h.rawStart && !h.startDirty {
		run = h.start
	} else {
		dst = h.appendStart(dst)
	}
	for i := range h.fields {
		f := &h.fields[i]
		if f.deleted {
			continue
		}
		if f.line.end != 0 && !f.own {
			if f.line.off == run.end {
				run.end = f.line.end
				continue
			}
			dst = append(dst, h.wire[run.off:run.end]...)
			run = f.line
			continue
		}
		dst = append(dst, h.wire[run.off:run.end]...)
		run = span{}
		dst = append(dst, h.view(f, f.name)...)
		dst = append(dst, ": "...)
		dst = append(dst, h.view(f, f.value)...)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, h.wire[run.off:run.end]...)
	return append(dst, "\r\n"...)
}

// Size is how many bytes Append would render.
func (h *Head) Size() int {
	n := int(h.start.end - h.start.off)
	switch {
	case h.rawStart && !h.startDirty:
	case h.response:
		n = len("HTTP/1.1 200 \r\n") + len(h.reason)
	default:
		n = len("  HTTP/1.1\r\n") + len(h.method) + len(h.uri)
	}
	for i := range h.fields {
		f := &h.fields[i]
		switch {
		case f.deleted:
		case f.line.end != 0 && !f.own:
			n += int(f.line.end - f.line.off)
		default:
			n += int(f.name.end-f.name.off) + int(f.value.end-f.value.off) + len(": \r\n")
		}
	}
	return n + len("\r\n")
}

// Save keeps in was what the head is, so that Restore can take back what is edited after it. The memory of an earlier Save in was is used again.
func (h *Head) Save(was *Head) {
	fields := append(was.fields[:0], h.fields...)
	*was = *h
	was.fields = fields
}

// Restore makes the head what it was at Save. No Parse may lie between the two.
func (h *Head) Restore(was *Head) {
	own, fields := h.own[:len(was.own)], append(h.fields[:0], was.fields...)
	*h = *was
	h.own, h.fields = own, fields
}

func (h *Head) appendStart(dst []byte) []byte {
	if h.response {
		dst = append(dst, "HTTP/1."...)
		dst = append(dst, byte('0'+h.minor), ' ')
		dst = append(dst, byte('0'+h.status/100%10), byte('0'+h.status/10%10), byte('0'+h.status%10), ' ')
		dst = append(dst, h.reason...)
		return append(dst, "\r\n"...)
	}
	dst = append(dst, h.method...)
	dst = append(dst, ' ')
	dst = append(dst, h.uri...)
	dst = append(dst, " HTTP/1."...)
	return append(dst, byte('0'+h.minor), '\r', '\n')
}

// EqualFold reports whether b is s without regard to ASCII case; s is expected
// in any case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if lower[b[i]] != lower[s[i]] {
			return false
		}
	}
	return true
}
