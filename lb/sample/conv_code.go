package sample

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
)

const upperHex = "0123456789ABCDEF"

func convHex(x *Ctx, _ *args, v Value) (Value, bool) {
	src := v.binary(x)
	off := len(x.scratch)
	for _, c := range src {
		x.scratch = append(x.scratch, upperHex[c>>4], upperHex[c&15])
	}
	return StrValue(x.scratch[off:]), true
}

func convHex2I(x *Ctx, _ *args, v Value) (Value, bool) {
	n := int64(0)
	for _, c := range v.Text(x) {
		h := unhex(c)
		if h < 0 {
			return Value{}, false
		}
		n = n<<4 | int64(h)
	}
	return IntValue(n), true
}

func convBase64(x *Ctx, _ *args, v Value) (Value, bool) { return encode64(x, v, base64.StdEncoding) }
func convUB64Enc(x *Ctx, _ *args, v Value) (Value, bool) {
	return encode64(x, v, base64.RawURLEncoding)
}
func convB64Dec(x *Ctx, _ *args, v Value) (Value, bool) { return decode64(x, v, base64.StdEncoding) }
func convUB64Dec(x *Ctx, _ *args, v Value) (Value, bool) {
	return decode64(x, v, base64.RawURLEncoding)
}

func encode64(x *Ctx, v Value, enc *base64.Encoding) (Value, bool) {
	src := v.binary(x)
	off := len(x.scratch)
	x.scratch = enc.AppendEncode(x.scratch, src)
	return StrValue(x.scratch[off:]), true
}

// wrapped64 reports whether a text has line ends, over which Go's decoders pass: two texts would be the same to lb and not to others.
func wrapped64(text []byte) bool { return bytes.ContainsAny(text, "\r\n") }

func decode64(x *Ctx, v Value, enc *base64.Encoding) (Value, bool) {
	src := v.Text(x)
	if wrapped64(src) {
		return Value{}, false
	}
	off := len(x.scratch)
	out, err := enc.AppendDecode(x.scratch, src)
	if err != nil {
		return Value{}, false
	}
	x.scratch = out
	return Value{kind: Bin, b: x.scratch[off:]}, true
}

// avalanche spreads a hash over its 32 bits (Bob Jenkins' full_avalanche).
func avalanche(a uint32) uint32 {
	a = a + 0x7ed55d16 + a<<12
	a = a ^ 0xc761c23c ^ a>>19
	a = a + 0x165667b1 + a<<5
	a = (a + 0xd3a2646c) ^ a<<9
	a = a + 0xfd7046c5 + a<<3
	a = a ^ 0xb55a4f09 ^ a>>16
	return a * 3221225473 // a prime: HAProxy spreads them over its tree so
}

func convSHA1(x *Ctx, _ *args, v Value) (Value, bool) {
	sum := sha1.Sum(v.binary(x))
	return digest(x, sum[:])
}

func checkSHA2(a *args) error {
	switch {
	case a.len == 0, a.n[0] == 224, a.n[0] == 256, a.n[0] == 384, a.n[0] == 512:
		return nil
	}
	return errors.New("use sha2(224), sha2(256), sha2(384) or sha2(512)")
}

func convSHA2(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.binary(x)
	switch a.n[0] {
	case 224:
		sum := sha256.Sum224(src)
		return digest(x, sum[:])
	case 384:
		sum := sha512.Sum384(src)
		return digest(x, sum[:])
	case 512:
		sum := sha512.Sum512(src)
		return digest(x, sum[:])
	}
	sum := sha256.Sum256(src)
	return digest(x, sum[:])
}

func digest(x *Ctx, sum []byte) (Value, bool) {
	off := len(x.scratch)
	x.scratch = append(x.scratch, sum...)
	return Value{kind: Bin, b: x.scratch[off:]}, true
}

// convURLDec decodes %XX; "+" is a space after the "?", or everywhere with a
// non-zero argument.
func convURLDec(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.Text(x)
	off := len(x.scratch)
	query := a.n[0] != 0
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '%':
			if i+2 >= len(src) || unhex(src[i+1]) < 0 || unhex(src[i+2]) < 0 {
				return Value{}, false
			}
			c = byte(unhex(src[i+1])<<4 | unhex(src[i+2]))
			i += 2
		case c == '+' && query:
			c = ' '
		case c == '?':
			query = true
		}
		x.scratch = append(x.scratch, c)
	}
	return StrValue(x.scratch[off:]), true
}

func checkURLEnc(a *args) error {
	if a.s[0] != "" && a.s[0] != "query" {
		return errors.New("'" + a.s[0] + "' is not an encoding; 'query' is the only one")
	}
	return nil
}

func convURLEnc(x *Ctx, _ *args, v Value) (Value, bool) {
	src := v.Text(x)
	off := len(x.scratch)
	for _, c := range src {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			x.scratch = append(x.scratch, c)
			continue
		}
		x.scratch = append(x.scratch, '%', upperHex[c>>4], upperHex[c&15])
	}
	return StrValue(x.scratch[off:]), true
}
