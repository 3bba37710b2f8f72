package sample

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"lbsyslogd/lb/lookup"
)

// FileRef is a file of keys that a rule looks samples up in. It means nothing
// until Bind.
type FileRef struct {
	Path   string
	Map    bool // its lines have values
	Unread bool // the rule changes its lines and looks nothing up: it need not exist
	bind   func(f *lookup.File) error
}

func NewFileRef(path string, lines bool, bind func(f *lookup.File) error) *FileRef {
	return &FileRef{Path: path, Map: lines, bind: bind}
}

func (*FileRef) isRef() {}

// Bind gives the reference its file. Before the first evaluation.
func (r *FileRef) Bind(f *lookup.File) error { return r.bind(f) }

// mapping is one use of a map file by a converter.
type mapping struct {
	ref   *FileRef
	match string // matching method
	out   Kind
	regm  bool // \1 in values stands for a group
	deflt Value
	has   bool // a default is given
	index *FileIndex[mapResult]
	bound bool // the file is known
}

// convsMap are the map converters (HAProxy configuration manual, section
// 7.3.1): map, map_<match> and map_<match>_<output>.
var convsMap = mapConvs()

func mapConvs() []convRow {
	var rows []convRow
	add := func(name, match string, out Kind) {
		row := convRow{name: name, args: "ss?", in: Str, out: out, get: lookUp}
		switch match {
		case "ip":
			row.in = Addr
		case "int":
			row.in = Int
		}
		row.check = func(a *args) error { return a.mapFile(match, out, strings.HasPrefix(name, "map_regm")) }
		rows = append(rows, row)
	}
	add("map", "str", Str)
	for _, match := range []string{"str", "beg", "sub", "dir", "dom", "end", "reg", "int", "ip"} {
		add("map_"+match, match, Str)
		add("map_"+match+"_str", match, Str)
		add("map_"+match+"_int", match, Int)
		add("map_"+match+"_ip", match, Addr)
	}
	add("map_regm", "reg", Str)
	return rows
}

// mapFile prepares a converter's lookup.
func (a *args) mapFile(match string, out Kind, regm bool) error {
	if a.s[0] == "" {
		return fmt.Errorf("missing the map file's name")
	}
	m := &mapping{match: match, out: out, regm: regm, has: a.len > 1}
	var err error
	if m.has {
		if m.deflt, err = mapValue(a.s[1], out); err != nil {
			return err
		}
	}
	if m.index, err = newFileIndex(match, false, false, func(text string) (mapResult, error) { return mapText(text, out) }); err != nil {
		return err
	}
	m.index.picky = out != Str
	m.ref = NewFileRef(a.s[0], true, func(f *lookup.File) error {
		m.bound = true
		method := match
		if regm {
			method = "regm"
		}
		return f.AddUse(lookup.Use{Method: method, Index: m.index})
	})
	a.mapping = m
	return nil
}

// mapValue reads what a line maps to.
func mapValue(text string, out Kind) (Value, error) {
	switch out {
	case Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Value{}, fmt.Errorf("the value '%s' is not an integer", text)
		}
		return IntValue(n), nil
	case Addr:
		addr, ok := ParseAddr([]byte(text))
		if !ok {
			return Value{}, fmt.Errorf("the value '%s' is not an IP address", text)
		}
		return AddrValue(addr), nil
	}
	return StrValue([]byte(text)), nil
}

// mapResult is what a line of a map stands for, in 16 bytes: there may be a million of them.
// A number stands in text's bytes, so that no look-up reads it again.
type mapResult struct{ text string }

func mapText(text string, out Kind) (mapResult, error) {
	v, err := mapValue(text, out)
	if err != nil {
		return mapResult{}, err
	}
	switch out {
	case Int:
		return mapResult{string(binary.NativeEndian.AppendUint64(nil, uint64(v.n)))}, nil
	case Addr:
		b, err := v.addr.MarshalBinary()
		return mapResult{string(b)}, err
	}
	return mapResult{text}, nil
}

func (m mapResult) value(out Kind) Value {
	b := unsafe.Slice(unsafe.StringData(m.text), len(m.text))
	switch out {
	case Int:
		return IntValue(int64(binary.NativeEndian.Uint64(b)))
	case Addr:
		var addr netip.Addr
		_ = addr.UnmarshalBinary(b) // MarshalBinary made it
		return AddrValue(addr)
	}
	return StrValue(b)
}

func lookUp(x *Ctx, a *args, v Value) (Value, bool) {
	m := a.mapping
	if !m.bound {
		return Value{}, false
	}
	// What is no address or number at all is not looked up.
	if m.match == "ip" {
		if _, ok := v.address(); !ok {
			return Value{}, false
		}
	}
	if m.match == "int" && textual(v.kind) && len(v.b) == 0 {
		return Value{}, false
	}
	line := m.index.find(x, v)
	if line.id == 0 {
		return m.deflt, m.has
	}
	if !m.regm {
		return line.value.value(m.out), true
	}
	b := v.Text(x)
	off := len(x.scratch)
	x.scratch = Expand(x.scratch, line.value.text, b, line.matcher.(*matchReg).list[0].re.FindSubmatchIndex(b))
	return StrValue(x.scratch[off:]), true
}

// FromText makes the sample that a matching method looks up of a text; false
// when the text is none.
func FromText(method, text string) (Value, bool) {
	switch method {
	case "ip":
		addr, ok := ParseAddr([]byte(text))
		return AddrValue(addr), ok
	case "int":
		n, err := strconv.ParseInt(text, 10, 64)
		return IntValue(n), err == nil
	}
	return StrValue([]byte(text)), true
}
