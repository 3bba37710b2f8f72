package spop

import (
	"bytes"
	"net/netip"
)

// Kind is the type of a value.
type Kind uint8

// Kinds of values.
const (
	Null Kind = iota
	Bool
	Int32
	Uint32
	Int64
	Uint64
	IPv4
	IPv6
	String
	Binary
)

// Value is one typed value.
type Value struct {
	Kind  Kind
	Int   int64 // Bool (0 or 1) and the integers
	Bytes []byte
	Addr  netip.Addr
}

const boolTrue = 0x10 // in the byte of the kind

// AppendVarint appends an integer in the protocol's own form.
func AppendVarint(dst []byte, n uint64) []byte {
	if n < 240 {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(n)|240)
	for n = (n - 240) >> 4; n >= 128; n = (n - 128) >> 7 {
		dst = append(dst, byte(n)|128)
	}
	return append(dst, byte(n))
}

// AppendText appends a string or a block with its length.
func AppendText[T string | []byte](dst []byte, text T) []byte {
	return append(AppendVarint(dst, uint64(len(text))), text...)
}

// AppendValue appends a typed value.
func AppendValue(dst []byte, v Value) []byte {
	switch v.Kind {
	case Bool:
		if v.Int != 0 {
			return append(dst, byte(Bool)|boolTrue)
		}
		return append(dst, byte(Bool))
	case Int32, Uint32, Int64, Uint64:
		return AppendVarint(append(dst, byte(v.Kind)), uint64(v.Int))
	case IPv4:
		a := v.Addr.As4()
		return append(append(dst, byte(IPv4)), a[:]...)
	case IPv6:
		a := v.Addr.As16()
		return append(append(dst, byte(IPv6)), a[:]...)
	case String, Binary:
		return AppendText(append(dst, byte(v.Kind)), v.Bytes)
	}
	return append(dst, byte(Null))
}

// AppendMessage begins a message: its name and how many arguments follow, each
// by AppendArg.
func AppendMessage(dst []byte, name string, args int) []byte {
	return append(AppendText(dst, name), byte(args))
}

// AppendArg appends one argument, whose name may be "".
func AppendArg(dst []byte, name string, v Value) []byte { return AppendValue(AppendText(dst, name), v) }

// reader reads the protocol's forms; after a mistake it gives zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	r.b, r.err = nil, errFrame
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) varint() uint64 {
	n := uint64(r.byte())
	if n < 240 {
		return n
	}
	for shift := 4; ; shift += 7 {
		if len(r.b) == 0 || shift > 60 {
			r.fail()
			return 0
		}
		c := r.byte()
		n += uint64(c) << shift
		if c < 128 {
			return n
		}
	}
}

func (r *reader) text() []byte { return r.take(r.varint()) }

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) value() Value {
	c := r.byte()
	v := Value{Kind: Kind(c & 0x0f)}
	switch v.Kind {
	case Null:
	case Bool:
		v.Int = int64(c & boolTrue >> 4)
	case Int32, Uint32, Int64, Uint64:
		v.Int = int64(r.varint())
	case IPv4:
		if b := r.take(4); b != nil {
			v.Addr = netip.AddrFrom4([4]byte(b))
		}
	case IPv6:
		if b := r.take(16); b != nil {
			v.Addr = netip.AddrFrom16([16]byte(b))
		}
	case String, Binary:
		v.Bytes = bytes.Clone(r.text())
	default:
		r.fail()
	}
	return v
}
