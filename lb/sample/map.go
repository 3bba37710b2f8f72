package sample

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"lbsyslogd/lb/lookup"
)

// FileRef is a file of keys that a rule looks samples up in. It means nothing
// until Bind.
type FileRef struct {
	Path string
	Map  bool // its lines have values
	bind func(f *lookup.File) error
}

func NewFileRef(path string, lines bool, bind func(f *lookup.File) error) *FileRef {
	return &FileRef{Path: path, Map: lines, bind: bind}
}

func (*FileRef) isRef() {}

// Bind gives the reference its file. Before the first evaluation.
func (r *FileRef) Bind(f *lookup.File) error { return r.bind(f) }

// mapIndex is a map file compiled for one way of matching. Immutable.
type mapIndex interface {
	find(x *Ctx, v Value) (at int, found bool)
}

// mapping is one use of a map file by a converter.
type mapping struct {
	ref   *FileRef
	match string // matching method
	out   Kind
	regm  bool // \1 in values stands for a group
	deflt Value
	has   bool // a default is given
	now   atomic.Pointer[mapTable]
}

// mapTable is what a lookup needs, swapped as a whole.
type mapTable struct {
	index  mapIndex
	values []Value
	regs   []*Regexp // of regm
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
	m.ref = NewFileRef(a.s[0], true, func(f *lookup.File) error {
		f.AddUse(lookup.Use{Method: match, Find: m.find})
		return f.OnChange(m.compile)
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

func lookUp(x *Ctx, a *args, v Value) (Value, bool) {
	m := a.mapping
	now := m.now.Load()
	if now == nil {
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
	at, found := now.index.find(x, v)
	if !found {
		return m.deflt, m.has
	}
	if !m.regm {
		return now.values[at], true
	}
	b := v.Text(x)
	off := len(x.scratch)
	x.scratch = Expand(x.scratch, string(now.values[at].b), b, now.regs[at].re.FindSubmatchIndex(b))
	return StrValue(x.scratch[off:]), true
}

// compile makes the index of a file's lines.
func (m *mapping) compile(list []lookup.Entry) error {
	made := &mapTable{values: make([]Value, len(list))}
	for i, e := range list {
		var err error
		if made.values[i], err = mapValue(e.Value, m.out); err != nil {
			return fmt.Errorf("key '%s': %w", e.Key, err)
		}
	}
	var err error
	switch m.match {
	case "str":
		made.index = indexExact(list)
	case "beg":
		made.index = indexPrefix(list)
	case "ip":
		made.index, err = indexNets(list)
	default:
		made.index, err = indexList(m.match, list)
		if m.regm && err == nil {
			for _, one := range made.index.(listIndex) {
				made.regs = append(made.regs, one.(*matchReg).list[0])
			}
		}
	}
	if err == nil {
		m.now.Store(made)
	}
	return err
}

// find looks a text up, for the stats socket.
func (m *mapping) find(_ []lookup.Entry, text string) (at int, found bool) {
	v, ok := FromText(m.match, text)
	if now := m.now.Load(); ok && now != nil {
		return now.index.find(&Ctx{}, v)
	}
	return 0, false
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

// exactIndex is one look-up; of lines with the same key the first counts.
type exactIndex map[string]int

func indexExact(list []lookup.Entry) exactIndex {
	ix := make(exactIndex, len(list))
	for i, e := range list {
		if _, have := ix[e.Key]; !have {
			ix[e.Key] = i
		}
	}
	return ix
}

func (ix exactIndex) find(x *Ctx, v Value) (int, bool) {
	at, ok := ix[string(v.Text(x))]
	return at, ok
}

// prefixIndex finds the longest key that a sample begins with: a look-up for
// each length that there is.
type prefixIndex struct {
	exactIndex
	lengths []int // longest first
}

func indexPrefix(list []lookup.Entry) *prefixIndex {
	ix := &prefixIndex{exactIndex: indexExact(list)}
	for _, e := range list {
		ix.lengths = addOnce(ix.lengths, len(e.Key))
	}
	slices.Sort(ix.lengths)
	slices.Reverse(ix.lengths)
	return ix
}

func (ix *prefixIndex) find(x *Ctx, v Value) (int, bool) {
	b := v.Text(x)
	for _, n := range ix.lengths {
		if n <= len(b) {
			if at, ok := ix.exactIndex[string(b[:n])]; ok {
				return at, true
			}
		}
	}
	return 0, false
}

// netIndex finds the smallest network that an address lies in: a look-up for
// each prefix length that there is.
type netIndex struct {
	bits4, bits6 []int // longest first
	nets         map[netip.Prefix]int
}

func indexNets(list []lookup.Entry) (*netIndex, error) {
	ix := &netIndex{nets: make(map[netip.Prefix]int, len(list))}
	for i, e := range list {
		n, err := parseNet(e.Key)
		if err != nil {
			return nil, err
		}
		if _, have := ix.nets[n]; have {
			continue
		}
		ix.nets[n] = i
		if n.Addr().Is4() {
			ix.bits4 = addOnce(ix.bits4, n.Bits())
		} else {
			ix.bits6 = addOnce(ix.bits6, n.Bits())
		}
	}
	for _, bits := range [][]int{ix.bits4, ix.bits6} {
		slices.Sort(bits)
		slices.Reverse(bits)
	}
	return ix, nil
}

func (ix *netIndex) find(_ *Ctx, v Value) (int, bool) {
	a, ok := v.address()
	if !ok {
		return 0, false
	}
	a = a.Unmap().WithZone("")
	if at, ok := ix.at(a); ok {
		return at, true
	}
	if a, ok = embedded(a); ok {
		return ix.at(a)
	}
	return 0, false
}

func (ix *netIndex) at(a netip.Addr) (int, bool) {
	bits := ix.bits6
	if a.Is4() {
		bits = ix.bits4
	}
	for _, n := range bits {
		if p, err := a.Prefix(n); err == nil {
			if at, ok := ix.nets[p]; ok {
				return at, true
			}
		}
	}
	return 0, false
}

// listIndex tries one line after the other; the first that matches counts.
type listIndex []Matcher

func indexList(method string, list []lookup.Entry) (listIndex, error) {
	row, err := FindMethod(method)
	if err != nil {
		return nil, err
	}
	ix := make(listIndex, len(list))
	for i, e := range list {
		if ix[i], err = row.Compile([]Pattern{{Text: e.Key}}); err != nil {
			return nil, err
		}
	}
	return ix, nil
}

func (ix listIndex) find(x *Ctx, v Value) (int, bool) {
	for i, m := range ix {
		if m.Match(x, v) {
			return i, true
		}
	}
	return 0, false
}
