package sample

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// convsBytes take blocks of bytes apart, and make them.
var convsBytes = []convRow{
	{name: "base2", in: Bin, out: Str, get: convBase2},
	{name: "be2dec", args: "sii?", in: Bin, out: Str, get: toDecimal(func(b []byte) (n uint64) {
		for _, c := range b {
			n = n<<8 | uint64(c)
		}
		return n
	}), check: checkDecimal},
	{name: "be2hex", args: "s?i?i?", in: Bin, out: Str, get: convBE2Hex, check: func(a *args) error {
		if a.n[1] < 1 && (a.s[0] != "" || a.n[2] != 0) {
			return fmt.Errorf("the chunk size is 1 or more bytes, not %d", a.n[1])
		}
		return checkTruncate(a)
	}},
	{name: "htonl", in: Int, out: Bin, get: func(x *Ctx, _ *args, v Value) (Value, bool) {
		n, ok := v.Integer()
		off := len(x.scratch)
		x.scratch = binary.BigEndian.AppendUint32(x.scratch, uint32(n))
		return Value{kind: Bin, b: x.scratch[off:]}, ok
	}},
	{name: "le2dec", args: "sii?", in: Bin, out: Str, get: toDecimal(func(b []byte) (n uint64) {
		for i, c := range b {
			n |= uint64(c) << (8 * i)
		}
		return n
	}), check: checkDecimal},
	{name: "protobuf", args: "ss?", in: Bin, out: Bin, get: convProtobuf, check: checkProtobuf},
	{name: "ungrpc", args: "ss?", in: Bin, out: Bin, get: convGRPC, check: checkProtobuf},
}

func checkDecimal(a *args) error {
	if a.n[1] < 1 || a.n[1] > 8 {
		return fmt.Errorf("the chunk size is 1 to 8 bytes, not %d", a.n[1])
	}
	return checkTruncate(a)
}

func checkTruncate(a *args) error {
	if a.n[2] != 0 && a.n[2] != 1 {
		return errors.New("the third argument says whether to truncate: 0 or 1")
	}
	return nil
}

// whole is how many bytes there are to show, without an incomplete chunk if that
// is to be dropped.
func whole(b []byte, a *args) []byte {
	if a.n[2] != 0 {
		return b[:len(b)-len(b)%int(a.n[1])]
	}
	return b
}

// toDecimal shows chunks of bytes as numbers.
func toDecimal(number func(chunk []byte) uint64) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		src, size := whole(v.binary(x), a), int(a.n[1])
		off := len(x.scratch)
		for at := 0; at < len(src); at += size {
			if at > 0 {
				x.scratch = append(x.scratch, a.s[0]...)
			}
			x.scratch = strconv.AppendUint(x.scratch, number(src[at:min(at+size, len(src))]), 10)
		}
		return StrValue(x.scratch[off:]), true
	}
}

// convBase2 shows each byte as eight binary digits.
func convBase2(x *Ctx, _ *args, v Value) (Value, bool) {
	src := v.binary(x)
	off := len(x.scratch)
	for _, c := range src {
		for bit := 7; bit >= 0; bit-- {
			x.scratch = append(x.scratch, '0'+c>>bit&1)
		}
	}
	return StrValue(x.scratch[off:]), true
}

func convBE2Hex(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.binary(x)
	size := len(src)
	if a.s[0] != "" || a.n[2] != 0 {
		src, size = whole(src, a), int(a.n[1])
	}
	off := len(x.scratch)
	for i, c := range src {
		if i > 0 && i%size == 0 {
			x.scratch = append(x.scratch, a.s[0]...)
		}
		x.scratch = append(x.scratch, upperHex[c>>4], upperHex[c&15])
	}
	return StrValue(x.scratch[off:]), true
}
