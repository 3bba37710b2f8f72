package sample

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"lbsyslogd/lb/lookup"
)

// FileIndex finds, in one way of matching, the line of a file that a sample matches,
// while commands change lines. V is what a line's value is compiled to.
type FileIndex[V any] struct {
	method string
	row    *Method
	fold   bool
	any    bool // which line matches is not asked for
	picky  bool // not every text is a value
	value  func(text string) (V, error)

	changes atomic.Uint64 // made to it

	// Most methods are a few look-ups; the others try the lines.
	table lookup.Table[V]
	list  lookup.List[listed[V], Matcher]
}

// listed is a line that is tried.
type listed[V any] struct {
	Matcher
	value V
}

// hit is the line that counts; without an ID there is none.
type hit[V any] struct {
	id      uint64
	value   V
	matcher Matcher // of a line that was tried
}

// newFileIndex makes an empty one.
func newFileIndex[V any](method string, fold, anyLine bool, value func(string) (V, error)) (*FileIndex[V], error) {
	row, err := FindMethod(method)
	if err != nil {
		return nil, err
	}
	ix := &FileIndex[V]{method: method, row: row, fold: fold && method != "meth", any: anyLine, value: value}
	ix.table.Fill(0, nil)
	ix.list.Sum = ix.sum
	return ix, nil
}

// nothing is the value of a line that has none.
type nothing struct{}

// PatternFile is a file of ACL patterns.
type PatternFile interface {
	Matcher
	lookup.Index

	// Version grows with each change.
	Version() uint64
}

// NewPatternFile makes an empty one for a matching method.
func NewPatternFile(method string, fold bool) (PatternFile, error) {
	return newFileIndex(method, fold, true, func(string) (nothing, error) { return nothing{}, nil })
}

// Version implements PatternFile.
func (ix *FileIndex[V]) Version() uint64 { return ix.changes.Load() }

// keyed reports whether the table holds the lines.
func (ix *FileIndex[V]) keyed() bool {
	switch ix.method {
	case "str", "meth", "bin", "beg", "ip":
		return true
	case "end": // of several lines the first counts, not the longest
		return ix.any
	}
	return false
}

// sum tries some lines at once, where it does not matter which of them matches.
func (ix *FileIndex[V]) sum(items []lookup.Item[listed[V]]) Matcher {
	if !ix.any {
		return nil
	}
	if ix.method == "reg" { // compiling is dear, so each keeps its own
		m := &matchReg{}
		for i := range items {
			m.list = append(m.list, items[i].Value.Matcher.(*matchReg).list...)
		}
		return m
	}
	pats := make([]Pattern, len(items))
	for i := range items {
		pats[i] = items[i].Value.Matcher.(patterned).pattern
	}
	m, err := ix.row.Compile(pats)
	if err != nil {
		return neverMatch{} // each was compiled before
	}
	return m
}

// patterned is a matcher that is made anew together with others.
type patterned struct {
	Matcher
	pattern Pattern
}

type neverMatch struct{}

func (neverMatch) Match(*Ctx, Value) bool { return false }

// key is the line's key as the table has it, and its size there.
func (ix *FileIndex[V]) key(text string) (key string, size int, err error) {
	switch ix.method {
	case "bin":
		b, err := hex.DecodeString(text)
		if err != nil {
			return "", 0, fmt.Errorf("'%s' is not an even number of hexadecimal digits", text)
		}
		return string(b), 0, nil
	case "ip":
		n, err := parseNet(text)
		if err != nil {
			return "", 0, err
		}
		var buf [netKey]byte
		return string(appendNet(buf[:0], n)), netSize(n), nil
	}
	if ix.fold {
		text = strings.ToLower(text)
	}
	if ix.method == "beg" || ix.method == "end" {
		size = len(text)
	}
	return text, size, nil
}

// compiled is a line for the list.
func (ix *FileIndex[V]) compiled(text string) (Matcher, error) {
	p := Pattern{Text: text, Fold: ix.fold}
	m, err := ix.row.Compile([]Pattern{p})
	if err == nil && ix.any && ix.method != "reg" {
		m = patterned{m, p}
	}
	return m, err
}

// Check implements lookup.Index.
func (ix *FileIndex[V]) Check(e *lookup.Entry) error {
	if ix.picky {
		if _, err := ix.value(e.Value); err != nil {
			return fmt.Errorf("key '%s': %w", e.Key, err)
		}
	}
	var err error
	if ix.keyed() {
		_, _, err = ix.key(e.Key)
	} else {
		_, err = ix.compiled(e.Key)
	}
	return err
}

// line makes a line of the table; it was checked.
func (ix *FileIndex[V]) line(e *lookup.Entry) lookup.Keyed[V] {
	l := lookup.Keyed[V]{ID: e.ID}
	l.Value, _ = ix.value(e.Value)
	l.Key, l.Size, _ = ix.key(e.Key)
	return l
}

// item makes a line of the list; it was checked.
func (ix *FileIndex[V]) item(e *lookup.Entry) lookup.Item[listed[V]] {
	l := lookup.Item[listed[V]]{ID: e.ID}
	l.Value.value, _ = ix.value(e.Value)
	l.Value.Matcher, _ = ix.compiled(e.Key)
	return l
}

// Fill implements lookup.Index.
func (ix *FileIndex[V]) Fill(list []lookup.Entry) {
	defer ix.changes.Add(1)
	if ix.keyed() {
		ix.table.Fill(len(list), func(i int) lookup.Keyed[V] { return ix.line(&list[i]) })
		return
	}
	items := make([]lookup.Item[listed[V]], len(list))
	for i := range list {
		items[i] = ix.item(&list[i])
	}
	ix.list.Fill(items)
}

// Put implements lookup.Index.
func (ix *FileIndex[V]) Put(e *lookup.Entry) {
	defer ix.changes.Add(1)
	if ix.keyed() {
		ix.table.Put(ix.line(e))
	} else {
		ix.list.Put(ix.item(e))
	}
}

// Remove implements lookup.Index.
func (ix *FileIndex[V]) Remove(e *lookup.Entry) {
	defer ix.changes.Add(1)
	if !ix.keyed() {
		ix.list.Remove(e.ID)
	} else if key, _, err := ix.key(e.Key); err == nil {
		ix.table.Remove(e.ID, key)
	}
}

// Find implements lookup.Index.
func (ix *FileIndex[V]) Find(text string) uint64 {
	v, ok := FromText(ix.method, text)
	if !ok {
		return 0
	}
	if ix.keyed() || !ix.any {
		return ix.find(&Ctx{}, v).id
	}
	for _, part := range ix.list.Parts() {
		for i := range part.Items {
			if part.Items[i].Value.Match(&Ctx{}, v) {
				return part.Items[i].ID
			}
		}
	}
	return 0
}

// Match implements Matcher.
func (ix *FileIndex[V]) Match(x *Ctx, v Value) bool {
	if ix.keyed() {
		return ix.find(x, v).id != 0
	}
	for _, part := range ix.list.Parts() {
		if part.Sum.Match(x, v) {
			return true
		}
	}
	return false
}

// find gives the line that counts. Where any would do, only of a table.
func (ix *FileIndex[V]) find(x *Ctx, v Value) hit[V] {
	switch {
	case !ix.keyed():
		for _, part := range ix.list.Parts() {
			for i := range part.Items {
				if one := &part.Items[i]; one.Value.Match(x, v) {
					return hit[V]{one.ID, one.Value.value, one.Value.Matcher}
				}
			}
		}
		return hit[V]{}
	case ix.method == "bin":
		return ix.get(v.binary(x))
	case ix.method == "ip":
		return ix.findNet(v)
	}
	b := v.Text(x)
	if ix.fold {
		b = lowered(x, b)
	}
	if ix.method == "beg" || ix.method == "end" {
		return ix.findAffix(b)
	}
	return ix.get(b)
}

func (ix *FileIndex[V]) get(key []byte) (h hit[V]) {
	h.id, h.value = ix.table.Get(key)
	return h
}

// findAffix finds the longest key that b begins or ends with: a look-up for each
// length that there is. Lines that change meanwhile begin it again, or it could miss
// both the one that went and the one that came before that.
func (ix *FileIndex[V]) findAffix(b []byte) hit[V] {
	for {
		version := ix.table.Version()
		h := ix.affixOf(b)
		if ix.table.Version() == version {
			return h
		}
	}
}

func (ix *FileIndex[V]) affixOf(b []byte) hit[V] {
	for _, n := range ix.table.Sizes() {
		if n > len(b) {
			continue
		}
		part := b[:n]
		if ix.method == "end" {
			part = b[len(b)-n:]
		}
		if h := ix.get(part); h.id != 0 {
			return h
		}
	}
	return hit[V]{}
}

// findNet finds the smallest network that an address lies in, likewise.
func (ix *FileIndex[V]) findNet(v Value) hit[V] {
	a, ok := v.Address()
	if !ok {
		return hit[V]{}
	}
	a = a.Unmap().WithZone("")
	inner, both := embedded(a)
	for {
		version := ix.table.Version()
		h := ix.netOf(a)
		if h.id == 0 && both {
			h = ix.netOf(inner)
		}
		if ix.table.Version() == version {
			return h
		}
	}
}

func (ix *FileIndex[V]) netOf(a netip.Addr) hit[V] {
	var buf [netKey]byte
	for _, size := range ix.table.Sizes() {
		if (size >= 256) == a.Is4() {
			continue
		}
		n, err := a.Prefix(size & 255)
		if err != nil {
			continue
		}
		if h := ix.get(appendNet(buf[:0], n)); h.id != 0 {
			return h
		}
	}
	return hit[V]{}
}
