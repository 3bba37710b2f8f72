package sample

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fetchesContent look into the bytes that a client has sent in mode tcp, before
// a server is chosen, or into those that the server has sent, before the client
// gets them (HAProxy configuration manual, section 7.3.5). When bytes that they
// need may still come, they say so in Ctx.Missing.
var fetchesContent = []fetchRow{
	{name: "payload", args: "ii", kind: Bin, where: InRequest | InResponse | InCheck, get: fetchPayload, check: checkOffsets},
	{name: "payload_lv", args: "iis?", kind: Bin, where: InRequest | InResponse | InCheck, get: fetchPayloadLV, check: checkPayloadLV},
	{name: "res.len", kind: Int, where: InResponse | InCheck, get: fetchSize},
	{name: "res.payload", args: "ii", kind: Bin, where: InResponse | InCheck, get: fetchPayload, check: checkOffsets},
	{name: "res.payload_lv", args: "iis?", kind: Bin, where: InResponse | InCheck, get: fetchPayloadLV, check: checkPayloadLV},
	{name: "res.ssl_hello_type", kind: Int, where: InResponse, get: fetchHelloType},
	{name: "rdp_cookie", args: "s?", kind: Str, where: InRequest, get: fetchRDPCookie},
	{name: "rdp_cookie_cnt", args: "s?", kind: Int, where: InRequest, get: func(x *Ctx, a *args) (Value, bool) {
		_, ok := fetchRDPCookie(x, a)
		return IntValue(BoolValue(ok).n), !x.Missing
	}},
	{name: "req.len", kind: Int, where: InRequest, get: fetchSize},
	{name: "req.payload", args: "ii", kind: Bin, where: InRequest, get: fetchPayload, check: checkOffsets},
	{name: "req.payload_lv", args: "iis?", kind: Bin, where: InRequest, get: fetchPayloadLV, check: checkPayloadLV},
	{name: "req.proto_http", kind: Bool, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		return BoolValue(x.Req != nil), x.Req != nil || !x.missingHead()
	}},
	{name: "req.ssl_alpn", kind: Str, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		ext, ok := x.helloExtension(16)
		if !ok || len(ext) < 3 || len(ext) < 3+int(ext[2]) {
			return Value{}, false
		}
		return StrValue(ext[3 : 3+int(ext[2])]), true
	}},
	{name: "req.ssl_ec_ext", kind: Bool, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		_, ok := x.helloExtension(10)
		return BoolValue(ok), ok
	}},
	{name: "req.ssl_hello_type", kind: Int, where: InRequest, get: fetchHelloType},
	{name: "req.ssl_sni", kind: Str, where: InRequest, derive: true, get: fetchSNI},
	{name: "req.ssl_st_ext", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		ext, ok := x.helloExtension(35)
		switch {
		case !ok:
			_, ok := x.hello()
			return IntValue(0), ok && !x.Missing
		case len(ext) == 0:
			return IntValue(1), true
		}
		return IntValue(2), true
	}},
	{name: "req.ssl_ver", kind: Int, where: InRequest, match: "ver", get: func(x *Ctx, _ *args) (Value, bool) {
		b := x.Buf
		switch {
		case len(b) > 0 && (b[0] < 0x14 || b[0] > 0x17):
			return Value{}, false
		case len(b) < 11:
			x.short()
			return Value{}, false
		case b[1] < 3:
			return Value{}, false
		}
		return IntValue(int64(b[9])<<16 | int64(b[10])), true
	}},
	{name: "wait_end", kind: Bool, where: InRequest | InResponse, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Partial {
			x.Missing = true
			return Value{}, false
		}
		return BoolValue(true), true
	}},
}

// fetchSize is how many bytes have come.
func fetchSize(x *Ctx, _ *args) (Value, bool) {
	x.short()
	return IntValue(int64(len(x.Buf))), x.Buf != nil
}

// fetchHelloType is the type of a TLS handshake's message once all of it has
// come: 1 is what a client says first, 2 a server.
func fetchHelloType(x *Ctx, _ *args) (Value, bool) {
	b := x.Buf
	switch {
	case len(b) > 0 && (b[0] < 0x14 || b[0] > 0x17):
		return Value{}, false
	case len(b) < 9:
		x.short()
		return Value{}, false
	case b[1] < 3, binary.BigEndian.Uint16(b[3:]) < 4:
		return Value{}, false
	case len(b) < 9+(int(b[6])<<16|int(b[7])<<8|int(b[8])):
		x.short()
		return Value{}, false
	}
	return IntValue(int64(b[5])), true
}

// short notes that more bytes may make a difference.
func (x *Ctx) short() { x.Missing = x.Missing || x.Partial }

// missingHead reports whether what has come may become the head of a request.
func (x *Ctx) missingHead() bool {
	if x.HeadPartial && x.Partial {
		x.Missing = true
		return true
	}
	return false
}

func checkOffsets(a *args) error {
	if a.n[0] < 0 || a.n[1] < 0 {
		return errors.New("an offset and a length cannot be negative")
	}
	return nil
}

// fetchPayload gives length bytes from an offset on, or with 0 all that is there.
func fetchPayload(x *Ctx, a *args) (Value, bool) {
	from, n := a.n[0], a.n[1]
	if from+max(n, 1) > int64(len(x.Buf)) {
		x.short()
		return Value{}, false
	}
	b := x.Buf[from:]
	if n > 0 {
		b = b[:n]
	} else {
		x.short()
	}
	return Value{kind: Bin, b: b}, true
}

// checkPayloadLV reads where the bytes begin: after their length, at an offset,
// or with a sign so many bytes from the length's end.
func checkPayloadLV(a *args) error {
	if err := checkOffsets(a); err != nil {
		return err
	}
	if a.n[1] < 1 || a.n[1] > 8 {
		return fmt.Errorf("the length takes 1 to 8 bytes, not %d", a.n[1])
	}
	at := a.n[0] + a.n[1]
	if word := a.s[2]; word != "" {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return fmt.Errorf("'%s' is not an offset", word)
		}
		if word[0] == '+' || word[0] == '-' {
			n += at
		}
		if at = n; at < 0 {
			return fmt.Errorf("the offset '%s' leads before the first byte", word)
		}
	}
	a.n[2] = at
	return nil
}

func fetchPayloadLV(x *Ctx, a *args) (Value, bool) {
	end := a.n[0] + a.n[1]
	if end > int64(len(x.Buf)) {
		x.short()
		return Value{}, false
	}
	n := uint64(0)
	for _, c := range x.Buf[a.n[0]:end] {
		n = n<<8 | uint64(c)
	}
	if n == 0 || n > 1<<20 {
		return Value{}, false
	}
	if a.n[2]+int64(n) > int64(len(x.Buf)) {
		x.short()
		return Value{}, false
	}
	return Value{kind: Bin, b: x.Buf[a.n[2] : a.n[2]+int64(n)]}, true
}

func fetchSNI(x *Ctx, _ *args) (Value, bool) {
	ext, ok := x.helloExtension(0)
	if !ok || len(ext) < 5 || ext[2] != 0 {
		return Value{}, false
	}
	n := int(binary.BigEndian.Uint16(ext[3:]))
	if n > len(ext)-5 {
		return Value{}, false
	}
	return StrValue(ext[5 : 5+n]), true
}

// helloExtension finds an extension of a TLS ClientHello (RFC 8446 section
// 4.1.2); false when there is none, or not yet.
func (x *Ctx) helloExtension(kind uint16) ([]byte, bool) {
	hello, ok := x.hello()
	if !ok {
		return nil, false
	}
	r := reader(hello)
	if !r.skip(2+32) || !r.skipVector(1) || !r.skipVector(2) || !r.skipVector(1) {
		return nil, false
	}
	all, ok := r.vector(2)
	if !ok {
		return nil, false
	}
	for r = reader(all); len(r) >= 4; {
		id := binary.BigEndian.Uint16(r)
		r = r[2:]
		ext, ok := r.vector(2)
		if !ok {
			return nil, false
		}
		if id == kind {
			return ext, true
		}
	}
	return nil, false
}

// hello gives the body of a ClientHello that lies in one record, or in the
// scratch when it came in several.
func (x *Ctx) hello() ([]byte, bool) {
	const handshake, clientHello, headers = 22, 1, 5
	b := x.Buf
	var joined []byte
	for {
		switch {
		case len(b) > 0 && b[0] != handshake, len(b) > 1 && b[1] != 3:
			return nil, false
		case len(b) < headers:
			x.short()
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 {
			return nil, false
		}
		part := b[headers:]
		if n <= len(part) {
			part = part[:n]
		}
		message := part
		if joined != nil {
			joined = append(joined, part...)
			message = joined
		}
		if len(message) >= 4 {
			size := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
			if message[0] != clientHello || size > maxHello {
				return nil, false
			}
			if len(message) >= 4+size {
				return message[4 : 4+size], true
			}
		}
		if len(part) < n || len(b) < headers+n {
			x.short()
			return nil, false
		}
		if joined == nil {
			joined = append(x.scratch[len(x.scratch):], part...)
		}
		b = b[headers+n:]
	}
}

// maxHello is more than the hellos of post-quantum key exchanges take.
const maxHello = 1 << 16

// reader takes TLS's vectors apart.
type reader []byte

func (r *reader) skip(n int) bool {
	if len(*r) < n {
		return false
	}
	*r = (*r)[n:]
	return true
}

// vector gives the bytes of a vector whose length takes so many bytes.
func (r *reader) vector(size int) ([]byte, bool) {
	if len(*r) < size {
		return nil, false
	}
	n := 0
	for _, c := range (*r)[:size] {
		n = n<<8 | int(c)
	}
	*r = (*r)[size:]
	if len(*r) < n {
		return nil, false
	}
	v := (*r)[:n]
	*r = (*r)[n:]
	return v, true
}

func (r *reader) skipVector(size int) bool {
	_, ok := r.vector(size)
	return ok
}

// fetchRDPCookie gives the cookie of a remote desktop's connection request, or
// the one of a name: "Cookie: mstshash=anna".
func fetchRDPCookie(x *Ctx, a *args) (Value, bool) {
	const headers = 11 // TPKT and X.224
	b := x.Buf
	if len(b) <= headers+len("Cookie:") {
		x.short()
		return Value{}, false
	}
	b = b[headers:]
	if !bytes.EqualFold(b[:len("Cookie:")], []byte("Cookie:")) {
		return Value{}, false
	}
	b = bytes.TrimLeft(b[len("Cookie:"):], " ")
	end := bytes.IndexByte(b, '\r')
	if end < 0 || end+1 == len(b) {
		x.short()
		return Value{}, false
	}
	name, val, ok := bytes.Cut(b[:end], equals)
	if !ok || b[end+1] != '\n' || a.s[0] != "" && !strings.EqualFold(a.s[0], string(name)) {
		return Value{}, false
	}
	return StrValue(val), true
}

// RDPCookie is the cookie of a name that a client of RDP begins with.
func RDPCookie(x *Ctx, name string) (value []byte, found bool) {
	var a args
	a.s[0] = name
	v, ok := fetchRDPCookie(x, &a)
	return v.b, ok
}
