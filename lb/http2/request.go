package http2

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// MaxFields bounds a request's fields, decoded, as section 6.5.2 counts them,
// unless the Decoder says otherwise.
const MaxFields = 16 << 10

// maxString bounds one name or value, decoded, far above MaxFields: a request
// that has too much is refused with an answer, but a string that was not read
// would leave the table unknown and be the end of the connection.
const maxString = 64 << 10

// tableSize is the dynamic table that both directions keep (RFC 7541).
const tableSize = 4096

// Request is a decoded field block of a client. Its bytes are valid until the
// Decoder's next call.
type Request struct {
	Head    []byte // a complete HTTP/1.1 request head
	Length  int64  // content-length, -1 when there is none
	Chunked bool   // the body follows in chunks, because nobody said how long it is

	KeyMade   bool // its Sec-WebSocket-Key is of ours
	WebSocket bool // an extended CONNECT (RFC 8441): Head asks to upgrade, and what follows is the tunnel's

	TooLarge bool   // more than MaxFields: there is no head
	Fault    string // what is malformed, "" when nothing is (section 8.1.1): there is no head
}

// Decoder reads the field blocks of one connection, all of them and in order.
type Decoder struct {
	Connect bool // the client was told that it may ask for a tunnel (RFC 8441)

	max int // bytes of fields; 0 is MaxFields

	hp    *hpack.Decoder
	table uint32 // the size that the dynamic table may have

	method, scheme, authority, path string
	protocol, host, key             string
	pseudos                         int
	regular                         bool
	fields, cookie                  []byte
	length                          int64
	size                            int
	fault                           string
	trailers                        bool
	head                            []byte
}

// NewDecoder makes the decoder of a connection.
func NewDecoder() *Decoder {
	d := new(Decoder)
	d.hp, d.table = hpack.NewDecoder(tableSize, d.field), tableSize
	d.hp.SetMaxStringLength(maxString)
	d.hp.SetAllowedMaxDynamicTableSize(0) // resize takes what may be
	return d
}

// SetMax has a request's fields be max bytes at most.
func (d *Decoder) SetMax(max int) {
	d.max = max
	d.hp.SetMaxStringLength(maxString / MaxFields * max)
}

func (d *Decoder) reset(trailers bool) {
	d.method, d.scheme, d.authority, d.path, d.protocol, d.host, d.key, d.fault = "", "", "", "", "", "", "", ""
	d.pseudos, d.regular, d.size, d.length, d.trailers = 0, false, 0, -1, trailers
	d.fields, d.cookie, d.head = d.fields[:0], d.cookie[:0], d.head[:0]
}

func (d *Decoder) read(block []byte) *Error {
	block, err := d.resize(block)
	if err != nil {
		return &Error{CompressionError, err.Error()}
	}
	d.hp.SetEmitEnabled(true)
	if _, err := d.hp.Write(block); err != nil {
		return &Error{CompressionError, "a field block that cannot be read"}
	}
	if err := d.hp.Close(); err != nil {
		return &Error{CompressionError, "a field block that is cut short"}
	}
	d.hp.SetMaxDynamicTableSize(d.table) // the library takes an update to nothing in the middle of a block
	return nil
}

// Request reads the block that begins a request. end says that no body follows.
func (d *Decoder) Request(block []byte, end bool) (Request, *Error) {
	d.reset(false)
	if err := d.read(block); err != nil {
		return Request{}, err
	}
	if d.size > cmp.Or(d.max, MaxFields) {
		return Request{TooLarge: true}, nil
	}
	if d.fault == "" {
		d.fault = d.check(end)
	}
	if d.fault != "" {
		return Request{Fault: d.fault}, nil
	}
	return d.build(end), nil
}

// Trailers reads the block after a body; what it gives are lines of an
// HTTP/1.1 trailer section.
func (d *Decoder) Trailers(block []byte) (lines []byte, fault string, e *Error) {
	d.reset(true)
	if err := d.read(block); err != nil {
		return nil, "", err
	}
	if d.size > cmp.Or(d.max, MaxFields) && d.fault == "" {
		d.fault = "the trailers are larger than a head may be"
	}
	return d.fields, d.fault, nil
}

// field takes one field. What follows when the block is too large is not
// decoded but for the table, which stays the peer's: a block of 32 KiB may have
// as many fields, and nothing may come of it but work.
func (d *Decoder) field(f hpack.HeaderField) {
	if d.size += int(f.Size()); d.size > cmp.Or(d.max, MaxFields) {
		d.hp.SetEmitEnabled(false) // until the next block
		return
	}
	if d.fault != "" {
		return
	}
	if !cleanValue(f.Value) {
		d.fault = "forbidden character in a field value"
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		d.pseudo(f)
		return
	}
	d.regular = true
	if !cleanName(f.Name) {
		d.fault = "forbidden character in a field name"
		return
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		d.fault = "a field that belongs to HTTP/1 connections"
		return
	case "te":
		if f.Value != "trailers" {
			d.fault = "te is something else than trailers"
			return
		}
	}
	if d.trailers {
		d.trailer(f)
		return
	}
	switch f.Name {
	case "host":
		if d.host != "" && d.host != f.Value && d.authority == "" {
			d.fault = "two different hosts"
		}
		d.host = f.Value
	case "cookie": // may come in pieces (section 8.2.3)
		if len(d.cookie) > 0 {
			d.cookie = append(d.cookie, "; "...)
		}
		d.cookie = append(d.cookie, f.Value...)
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || d.length >= 0 {
			d.fault = "malformed content-length, or more than one"
			return
		}
		d.length = int64(n)
		d.fields = appendField(d.fields, f.Name, f.Value)
	case "sec-websocket-key":
		switch {
		case d.protocol == "":
			d.fields = appendField(d.fields, f.Name, f.Value)
		case d.key == "" && properKey(f.Value): // HTTP/2 needs none (RFC 8441 section 5), but one of HTTP/1 may have come this way
			d.key = f.Value
		}
	default:
		d.fields = appendField(d.fields, f.Name, f.Value)
	}
}

// trailer takes a field after the body. What frames or routes a message may
// not come so late (RFC 9110 section 6.5.1).
func (d *Decoder) trailer(f hpack.HeaderField) {
	switch f.Name {
	case "host", "content-length", "trailer", "te", "cookie", "authorization", "content-encoding", "content-type", "content-range", "cache-control",
		"expect", "max-forwards", "range", "proxy-authorization", "x-forwarded-for":
		return
	}
	d.fields = appendField(d.fields, f.Name, f.Value)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

const (
	sawMethod = 1 << iota
	sawScheme
	sawAuthority
	sawPath
	sawProtocol
)

// pseudo takes one of the fields that make the request line (section 8.3.1).
func (d *Decoder) pseudo(f hpack.HeaderField) {
	var bit int
	var to *string
	switch f.Name {
	case ":method":
		bit, to = sawMethod, &d.method
	case ":scheme":
		bit, to = sawScheme, &d.scheme
	case ":authority":
		bit, to = sawAuthority, &d.authority
	case ":path":
		bit, to = sawPath, &d.path
	case ":protocol":
		if d.Connect {
			bit, to = sawProtocol, &d.protocol
		}
	}
	switch {
	case d.trailers || d.regular || to == nil || d.pseudos&bit != 0:
		d.fault = "a pseudo-header field in the wrong place, unknown or twice"
		return
	}
	d.pseudos |= bit
	*to = f.Value
}

// check says what is missing or contradicts itself.
func (d *Decoder) check(end bool) string {
	switch {
	case d.pseudos&sawProtocol != 0 && (d.method != "CONNECT" || d.authority == "" || d.length >= 0):
		return "a :protocol without CONNECT or :authority, or with a content-length"
	case d.method == "CONNECT" && !d.webSocket():
		return "" // build makes a request of it that is refused with an answer
	case d.pseudos&(sawMethod|sawScheme|sawPath) != sawMethod|sawScheme|sawPath || d.method == "" || d.scheme == "" || d.path == "":
		return "a pseudo-header field is missing"
	case !cleanMethod(d.method) || !cleanTarget(d.path) || !cleanTarget(d.authority):
		return "forbidden character in the request line"
	case !validScheme(d.scheme):
		return "malformed scheme"
	case d.path[0] != '/' && (d.path != "*" || d.method != "OPTIONS"):
		return "the path does not begin with a slash"
	case end && d.length > 0:
		return "a content-length and no content"
	}
	return ""
}

// webSocket reports whether the request is for the only kind of tunnel there is.
// Others are those of HTTP/1.1.
func (d *Decoder) webSocket() bool { return strings.EqualFold(d.protocol, "websocket") }

const keyBytes = 16 // of a Sec-WebSocket-Key, before base64 (RFC 6455 section 4.1)

func properKey(key string) bool {
	var raw [keyBytes + 2]byte
	if len(key) != base64.StdEncoding.EncodedLen(keyBytes) {
		return false
	}
	n, err := base64.StdEncoding.Strict().Decode(raw[:], []byte(key))
	return err == nil && n == keyBytes
}

func (d *Decoder) build(end bool) Request {
	webSocket := d.webSocket()
	switch {
	case webSocket:
		d.method, end = "GET", true
	case d.method == "CONNECT":
		d.path, d.length = "/", -1
		end = true
	}
	b := append(d.head, d.method...)
	b = append(b, ' ')
	if d.authority != "" && d.method != "CONNECT" { // rules and logs see the absolute form, as in HAProxy
		b = append(b, d.scheme...)
		b = append(b, "://"...)
		b = append(b, d.authority...)
	}
	if d.path != "*" || d.authority == "" {
		b = append(b, d.path...)
	}
	b = append(b, " HTTP/1.1\r\n"...)
	host := d.authority
	if host == "" { // else what host says counts for nothing (section 8.3.1)
		host = d.host
	}
	if host != "" {
		b = appendField(b, "host", host)
	}
	b = append(b, d.fields...)
	if len(d.cookie) > 0 {
		b = append(b, "cookie: "...)
		b = append(b, d.cookie...)
		b = append(b, "\r\n"...)
	}
	if webSocket {
		b = append(b, "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: "...)
		b = append(b, d.key...)
		if d.key == "" {
			var key [keyBytes]byte
			_, _ = rand.Read(key[:]) // it never fails
			b = base64.StdEncoding.AppendEncode(b, key[:])
		}
		b = append(b, "\r\n"...)
	}
	r := Request{Length: d.length, Chunked: !end && d.length < 0, WebSocket: webSocket, KeyMade: webSocket && d.key == ""}
	if r.Chunked {
		b = append(b, "transfer-encoding: chunked\r\n"...)
	}
	b = append(b, "\r\n"...)
	d.head, r.Head = b, b
	return r
}

// tokens is the characters of a token (RFC 9110 section 5.6.2) but capitals.
var tokens = func() (is [256]bool) {
	for c := range is {
		is[c] = c > ' ' && c < 0x7f && (c < 'A' || c > 'Z') && strings.IndexByte(`"(),/:;<=>?@[\]{}`, byte(c)) < 0
	}
	return is
}()

// cleanName reports whether name is a token in lower case (section 8.2.1).
func cleanName(name string) bool {
	for i := range len(name) {
		if !tokens[name[i]] {
			return false
		}
	}
	return name != ""
}

// cleanMethod reports whether s is a token.
func cleanMethod(s string) bool {
	for i := range len(s) {
		if c := s[i]; !tokens[c] && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// cleanValue reports whether value may stand in a line: no CR, LF or NUL, and no
// white space around it (section 8.2.1).
func cleanValue(value string) bool {
	if value == "" {
		return true
	}
	for i := range len(value) {
		if c := value[i]; c <= '\r' && (c == '\r' || c == '\n' || c == 0) {
			return false
		}
	}
	first, last := value[0], value[len(value)-1]
	return first != ' ' && first != '\t' && last != ' ' && last != '\t'
}

// cleanTarget reports whether s may stand in a request line.
func cleanTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// validScheme is RFC 3986 section 3.1.
func validScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(s) > 0
}
