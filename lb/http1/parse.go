package http1

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
)

// Error is why a head or a body is refused. Its text goes to the log and the
// journal; Status is what the peer is told (400 for most, 422 for a transfer
// coding beneath chunked).
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// ErrIncomplete says that the head does not end within the bytes given.
var ErrIncomplete = errors.New("http1: the head is not complete")

// What a strict parser refuses (RFC 9112; the section in brackets).
var (
	errStartLine  = &Error{400, "malformed start line [3, 4]"}
	errMethod     = &Error{400, "malformed method [3.1]"}
	errTarget     = &Error{400, "malformed request target, or a forbidden character in it [3.2]"}
	errVersion    = &Error{400, "unsupported protocol version [2.3]"}
	errBareCR     = &Error{400, "bare CR in the head [2.2]"}
	errFold       = &Error{400, "folded header line [5.2]"}
	errName       = &Error{400, "forbidden character in a header name, or space before its colon [5.1]"}
	errValue      = &Error{400, "control character in a header value [5.5]"}
	errTooMany    = &Error{400, "too many header fields"}
	errLength     = &Error{400, "malformed Content-Length [6.2]"}
	errLengths    = &Error{400, "more than one Content-Length, and they differ [6.3]"}
	errCodings    = &Error{400, "more than one Transfer-Encoding, or chunked is not the last coding [6.1]"}
	errBeneath    = &Error{422, "a transfer coding beneath chunked [6.1]"}
	errCoding     = &Error{400, "unknown transfer coding [6.1]"}
	errKey        = &Error{400, "a WebSocket without Sec-WebSocket-Key [RFC 6455 4.1]"}
	errHosts      = &Error{400, "more than one Host [3.2]"}
	errHost       = &Error{400, "malformed Host [3.2]"}
	errAuthority  = &Error{400, "the request target names another host than Host does [3.2.2]"}
	errStatusLine = &Error{502, "malformed status line [4]"}
)

// ErrNoHost is what a server has to say to a request of HTTP/1.1 without Host.
// Parse takes one, as a head is more than a request.
var ErrNoHost = &Error{400, "no Host [3.2]"}

// ParseRequest reads a request head from the start of b and gives its length
// in bytes. The error is ErrIncomplete or an *Error. Empty lines before the
// request line are passed over (section 2.2).
func (h *Head) ParseRequest(b []byte) (int, error) {
	h.reset(b, false)
	i := 0
	for i < len(b) && (b[i] == '\r' || b[i] == '\n') {
		if b[i] == '\r' && i+1 < len(b) && b[i+1] != '\n' {
			return 0, h.bad(i, errBareCR)
		}
		i++
	}
	line, next, crlf, err := cutLine(b, i)
	if err != nil {
		if at, e := h.halfRequestLine(b[i:]); e != nil {
			return 0, h.bad(i+at, e)
		}
		return 0, err
	}
	if at, err := h.requestLine(line); err != nil {
		return 0, h.bad(i+at, err)
	}
	h.start, h.rawStart = span{uint32(i), uint32(next)}, crlf && b[next-3] <= '1'
	n, err := h.parseFields(next)
	if err != nil {
		return 0, err
	}
	if err := h.frameMessage(); err != nil {
		return 0, err
	}
	if err := h.checkAuthority(); err != nil {
		return 0, err
	}
	return n, nil
}

// ParseResponse reads a response head from the start of b and gives its length
// in bytes. The error is ErrIncomplete or an *Error.
func (h *Head) ParseResponse(b []byte) (int, error) {
	h.reset(b, true)
	line, next, crlf, err := cutLine(b, 0)
	if err != nil {
		if !bytes.HasPrefix(b, []byte(version)[:min(len(b), len(version))]) {
			return 0, errStatusLine // a line that never ends: whoever speaks there does not speak HTTP
		}
		return 0, err
	}
	if err := h.statusLine(line); err != nil {
		return 0, err
	}
	// RFC 9112 section 4: the space before the reason is never left out.
	h.start, h.rawStart = span{0, uint32(next)}, crlf && b[7] <= '1' && len(line) > len("HTTP/1.1 200")
	n, err := h.parseFields(next)
	if err != nil {
		return 0, err
	}
	if err := h.frameMessage(); err != nil {
		return 0, err
	}
	return n, nil
}

func (h *Head) reset(b []byte, response bool) {
	*h = Head{MaxFields: h.MaxFields, Lax: h.Lax, wire: b, own: h.own[:0], fields: h.fields[:0], response: response, Length: -1}
}

// cutLine gives the line at i without its end and where the next one begins.
func cutLine(b []byte, i int) (line []byte, next int, crlf bool, err error) {
	n := bytes.IndexByte(b[i:], '\n')
	if n < 0 {
		return nil, 0, false, ErrIncomplete
	}
	line, next = b[i:i+n], i+n+1
	if n > 0 && line[n-1] == '\r' {
		return line[:n-1], next, true, nil
	}
	return line, next, false, nil
}

// version is what every status line begins with.
const version = "HTTP/1."

// halfRequestLine refuses the beginning of a line that cannot become a request line: a client that speaks another protocol, such as TLS to a port without it,
// sends no end of line and waits for a word. at is where in it the mistake lies.
func (h *Head) halfRequestLine(b []byte) (at int, e *Error) {
	m := firstNot(b, isToken)
	switch {
	case m < 0 || b[m] == '\r':
		return 0, nil
	case b[m] != ' ':
		return m, errMethod
	case m == 0:
		return 0, errStartLine
	}
	at = firstNot(b[m+1:], h.target())
	if at < 0 || b[m+1+at] == ' ' || b[m+1+at] == '\r' {
		return 0, nil
	}
	return m + 1 + at, errTarget
}

// target is the class of bytes that may stand in a request target.
func (h *Head) target() byte {
	if h.Lax {
		return isLaxTarget
	}
	return isTarget
}

// requestLine reads the line; at is where in it the mistake lies.
func (h *Head) requestLine(line []byte) (at int, e *Error) {
	m := bytes.IndexByte(line, ' ')
	if m <= 0 {
		return 0, errStartLine
	}
	v := len(line) - len(" HTTP/1.1")
	if v <= m || !bytes.HasPrefix(line[v:], []byte(" HTTP/")) {
		return max(bytes.LastIndexByte(line, ' '), m), errStartLine
	}
	if line[v+6] != '1' || line[v+7] != '.' || line[v+8] < '0' || line[v+8] > '9' {
		return v + 6, errVersion
	}
	h.method, h.uri, h.minor = line[:m], line[m+1:v], min(int(line[v+8]-'0'), 1)
	if i := firstNot(h.method, isToken); i >= 0 || string(h.method) == "PRI" { // which begins HTTP/2 (RFC 9113 section 3.4) and nothing else
		return max(i, 0), errMethod
	}
	if i := firstNot(h.uri, h.target()); i >= 0 || len(h.uri) == 0 {
		return m + 1 + max(i, 0), errTarget
	}
	if h.uri[0] == '/' || string(h.uri) == "*" {
		if string(h.method) == "CONNECT" {
			return m + 1, errTarget
		}
		return 0, nil
	}
	if _, host := h.authority(); len(host) == 0 {
		return m + 1, errTarget
	}
	return 0, nil
}

func (h *Head) statusLine(line []byte) error {
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte(version)) || line[8] != ' ' ||
		line[7] < '0' || line[7] > '9' {
		return errStatusLine
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return errStatusLine
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 || len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	h.minor = min(int(line[7]-'0'), 1)
	if len(line) > 13 {
		h.reason = line[13:]
	}
	for _, c := range h.reason {
		if class[c]&isCtl != 0 {
			return errStatusLine
		}
	}
	return nil
}

// parseFields reads field lines from i up to the empty line and gives the
// offset after it.
func (h *Head) parseFields(i int) (int, error) {
	b, name := h.wire, byte(isToken)
	if h.Lax {
		name = isLaxName
	}
	for {
		line, next, crlf, err := cutLine(b, i)
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return next, nil
		}
		colon := 0
		for colon < len(line) && class[line[colon]]&name != 0 {
			colon++
		}
		if colon == 0 || colon == len(line) || line[colon] != ':' {
			if line[0] == ' ' || line[0] == '\t' {
				return 0, h.bad(i, errFold)
			}
			return 0, h.bad(i+colon, errName)
		}
		from, to := colon+1, len(line)
		for from < to && (line[from] == ' ' || line[from] == '\t') {
			from++
		}
		for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
			to--
		}
		if c, bad := control(line[from:to]); bad {
			at := i + from + bytes.IndexByte(line[from:to], c)
			if c == '\r' {
				return 0, h.bad(at, errBareCR)
			}
			return 0, h.bad(at, errValue)
		}
		if len(h.fields) == cmp.Or(h.MaxFields, MaxFields) {
			return 0, h.bad(i, errTooMany)
		}
		f := field{
			name:  span{uint32(i), uint32(i + colon)},
			value: span{uint32(i + from), uint32(i + to)},
		}
		// Blanks around a value are ours to read (RFC 9110 section 5.5): a server that
		// reads them otherwise must not find another length, coding or host.
		if plain := to == len(line) && (from == colon+1 || from == colon+2 && line[colon+1] == ' '); plain && crlf {
			f.line = span{uint32(i), uint32(next)}
		}
		h.fields = append(h.fields, f)
		i = next
	}
}

// control finds a byte of v that may not stand in a field value. Eight bytes
// are looked at in one go: most values hold nothing below a space, and no DEL.
func control(v []byte) (c byte, bad bool) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(v) >= 8; v = v[8:] {
		x := binary.LittleEndian.Uint64(v)
		del := x ^ 0x7f*ones // a byte that is 0 here is a DEL
		if ((x-' '*ones)&^x|(del-ones)&^del)&tops == 0 {
			continue
		}
		for _, c := range v[:8] { // a TAB is no mistake
			if class[c]&isCtl != 0 {
				return c, true
			}
		}
	}
	for _, c := range v {
		if class[c]&isCtl != 0 {
			return c, true
		}
	}
	return 0, false
}

const (
	isToken     = 1 << iota
	isCtl       // may not stand in a field value: C0 but TAB, DEL
	isTarget    // may stand in a request target: ASCII without controls, space and "#"
	isLaxName   // may stand in a name if Head.Lax
	isLaxTarget // may stand in a request target if Head.Lax
	isHost      // may stand in Host (RFC 3986 section 3.2.2), with a port
	isName      // may stand in a host that is neither in brackets nor with a port
	isDigit
)

// class and lower are constant tables over all bytes.
var class, lower = tables()

func tables() (class, lower [256]byte) {
	for c := range 256 {
		lower[c] = byte(c)
		if c > ' ' && c < 0x7f && c != '#' {
			class[c] |= isTarget
		}
		if c > ' ' && c != 0x7f {
			class[c] |= isLaxTarget
			if c != ':' {
				class[c] |= isLaxName
			}
		}
		if bytes.IndexByte([]byte("!$%&'()*+,-.:;=[]_~"), byte(c)) >= 0 {
			class[c] |= isHost
			if c != ':' && c != '[' && c != ']' {
				class[c] |= isName
			}
		}
		switch {
		case c >= '0' && c <= '9':
			class[c] |= isToken | isHost | isName | isDigit
		case c >= 'A' && c <= 'Z':
			class[c] |= isToken | isHost | isName
			lower[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z':
			class[c] |= isToken | isHost | isName
		case bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0:
			class[c] |= isToken
		case c < ' ' && c != '\t' || c == 0x7f:
			class[c] |= isCtl
		}
	}
	return class, lower
}
