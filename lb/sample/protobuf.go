package sample

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// field is a protocol buffer's field as a converter asks for it: the numbers on
// the way to it, and how to read it. Immutable.
type field struct {
	path []uint64
	wire uint64
	read func(n uint64) int64 // nil: bytes as they are
}

// fieldTypes are those that give an integer.
var fieldTypes = map[string]struct {
	wire uint64
	read func(n uint64) int64
}{
	"int32": {0, func(n uint64) int64 { return int64(int32(n)) }}, "int64": {0, func(n uint64) int64 { return int64(n) }},
	"uint32": {0, func(n uint64) int64 { return int64(uint32(n)) }}, "uint64": {0, func(n uint64) int64 { return int64(n) }},
	"sint32": {0, func(n uint64) int64 { return int64(int32(uint32(n)>>1) ^ -int32(n&1)) }}, "sint64": {0, func(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }},
	"bool": {0, func(n uint64) int64 { return int64(min(n, 1)) }}, "enum": {0, func(n uint64) int64 { return int64(int32(n)) }},
	"fixed64": {1, func(n uint64) int64 { return int64(n) }}, "sfixed64": {1, func(n uint64) int64 { return int64(n) }},
	"double":  {1, func(n uint64) int64 { return int64(math.Float64frombits(n)) }},
	"fixed32": {5, func(n uint64) int64 { return int64(uint32(n)) }}, "sfixed32": {5, func(n uint64) int64 { return int64(int32(n)) }},
	"float": {5, func(n uint64) int64 { return int64(math.Float32frombits(uint32(n))) }},
}

const wireBytes = 2

func checkProtobuf(a *args) error {
	f := &field{wire: wireBytes}
	for _, word := range strings.Split(a.s[0], ".") {
		n, err := strconv.ParseUint(word, 10, 29)
		if err != nil || n == 0 {
			return fmt.Errorf("'%s' is not a field's number, or several with dots between them", a.s[0])
		}
		f.path = append(f.path, n)
	}
	if a.s[1] != "" {
		t, ok := fieldTypes[a.s[1]]
		if !ok {
			return fmt.Errorf("'%s' is not a type of protocol buffers that gives an integer", a.s[1])
		}
		f.wire, f.read, a.gives = t.wire, t.read, gives(Int)
	}
	a.any = f
	return nil
}

func convProtobuf(x *Ctx, a *args, v Value) (Value, bool) { return a.any.(*field).find(v.binary(x)) }

// convGRPC passes over the header of a gRPC message: whether it is compressed,
// and its length.
func convGRPC(x *Ctx, a *args, v Value) (Value, bool) {
	b := v.binary(x)
	if len(b) < 5 {
		return Value{}, false
	}
	n := binary.BigEndian.Uint32(b[1:])
	if b = b[5:]; b == nil || uint64(n) > uint64(len(b)) {
		return Value{}, false
	}
	return a.any.(*field).find(b[:n])
}

// find gives the first field of that path and wire type.
func (f *field) find(b []byte) (Value, bool) {
	for depth := 0; ; {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return Value{}, false
		}
		b = b[n:]
		number, content, rest, ok := takeField(key&7, b)
		if !ok {
			return Value{}, false
		}
		if key>>3 != f.path[depth] {
			b = rest
			continue
		}
		if depth++; depth < len(f.path) {
			if key&7 != wireBytes {
				return Value{}, false
			}
			b = content
			continue
		}
		switch {
		case f.read == nil: // whatever its type, as it stands there
			return Value{kind: Bin, b: content}, true
		case key&7 != f.wire:
			return Value{}, false
		}
		return IntValue(f.read(number)), true
	}
}

// takeField gives what a field of a wire type holds, and what follows it.
func takeField(wire uint64, b []byte) (number uint64, content, rest []byte, ok bool) {
	switch {
	case wire == 0:
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return 0, nil, nil, false
		}
		return n, b[:size], b[size:], true
	case wire == 1 && len(b) >= 8:
		return binary.LittleEndian.Uint64(b), b[:8], b[8:], true
	case wire == 5 && len(b) >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), b[:4], b[4:], true
	case wire == wireBytes:
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return 0, nil, nil, false
		}
		end := size + int(n)
		return 0, b[size:end], b[end:], true
	}
	return 0, nil, nil, false
}
