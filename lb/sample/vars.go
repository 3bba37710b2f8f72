package sample

import (
	"fmt"
	"net/netip"
	"strings"
)

// Vars are the variables of one transaction. The zero value is empty. Values
// are copied in; their memory is kept for the next transaction. Owned by the
// loop.
type Vars struct {
	list []variable
}

type variable struct {
	name string // with its scope: "txn.x"
	kind kind
	n    int64
	addr netip.Addr
	b    []byte
}

// Reset forgets all variables and keeps their memory.
func (vs *Vars) Reset() { vs.list = vs.list[:0] }

func (vs *Vars) get(name string) (Value, bool) {
	for i := range vs.list {
		if v := &vs.list[i]; v.name == name {
			return Value{kind: v.kind, n: v.n, addr: v.addr, b: v.b}, true
		}
	}
	return Value{}, false
}

func (vs *Vars) Set(name string, v Value) {
	at := -1
	for i := range vs.list {
		if vs.list[i].name == name {
			at = i
		}
	}
	if at < 0 {
		at = len(vs.list)
		if at < cap(vs.list) {
			vs.list = vs.list[:at+1] // keeps the slot's old memory
		} else {
			vs.list = append(vs.list, variable{})
		}
	}
	s := &vs.list[at]
	s.name, s.kind, s.n, s.addr = name, v.kind, v.n, v.addr
	s.b = append(s.b[:0], v.b...)
}

func (vs *Vars) Unset(name string) {
	for i := range vs.list {
		if vs.list[i].name == name {
			last := len(vs.list) - 1
			vs.list[i], vs.list[last] = vs.list[last], vs.list[i]
			vs.list = vs.list[:last]
			return
		}
	}
}

// CheckVar refuses a name without a scope this package keeps.
func CheckVar(name string) error {
	scope, rest, ok := strings.Cut(name, ".")
	switch {
	case !ok || rest == "":
		return fmt.Errorf("invalid variable name '%s': it must begin with its scope, as in 'txn.%s'", name, name)
	case scope == "txn" || scope == "req" || scope == "res":
	case scope == "proc" || scope == "sess" || scope == "check":
		return fmt.Errorf("variable '%s': scope '%s' is not supported by lb yet; 'txn.%s' lives as long as the transaction and its log line", name, scope, rest)
	default:
		return fmt.Errorf("invalid variable name '%s': the scope '%s' is unknown; use 'txn', 'req' or 'res'", name, scope)
	}
	for _, c := range rest {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.') {
			return fmt.Errorf("invalid variable name '%s': forbidden character %q", name, c)
		}
	}
	return nil
}
