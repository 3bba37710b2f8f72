package sample

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
)

// Vars are the variables of one transaction, or of one session. The zero value
// is empty. Values are copied in; their memory is kept for the next transaction.
// Owned by the loop.
type Vars struct {
	list []variable
}

type variable struct {
	name  string // with its scope: "txn.x"
	unset bool   // it was set once, and is not now
	kind  Kind
	n     int64
	addr  netip.Addr
	b     []byte
}

// Reset forgets all variables and keeps their memory.
func (vs *Vars) Reset() { vs.list = vs.list[:0] }

// Any reports whether a variable is set.
func (vs *Vars) Any() bool { return len(vs.list) > 0 }

// find gives the variable, nil if it was never set.
func (vs *Vars) find(name string) *variable {
	for i := range vs.list {
		if vs.list[i].name == name {
			return &vs.list[i]
		}
	}
	return nil
}

func (vs *Vars) get(name string) (Value, bool) {
	if v := vs.find(name); v != nil && !v.unset {
		return Value{kind: v.kind, n: v.n, addr: v.addr, b: v.b}, true
	}
	return Value{}, false
}

func (vs *Vars) set(name string, v Value) {
	s := vs.find(name)
	if s == nil {
		at := len(vs.list)
		if at < cap(vs.list) {
			vs.list = vs.list[:at+1] // keeps the slot's old memory
		} else {
			vs.list = append(vs.list, variable{})
		}
		s = &vs.list[at]
	}
	s.name, s.unset, s.kind, s.n, s.addr = name, false, v.kind, v.n, v.addr
	s.b = append(s.b[:0], v.b...)
}

func (vs *Vars) clear(name string) {
	if v := vs.find(name); v != nil {
		v.unset = true
	}
}

// EndRequest forgets the variables of scope req: they are there until a server
// is connected.
func (vs *Vars) EndRequest() {
	for i := range vs.list {
		if strings.HasPrefix(vs.list[i].name, "req.") {
			vs.list[i].unset = true
		}
	}
}

// ProcVars are the variables of scope proc, which all loops share. The zero
// value is empty. Safe for concurrent use.
type ProcVars struct {
	mu   sync.RWMutex
	list Vars // mu guards it, and initial
	// initial are the values that the configuration gives.
	initial Vars
}

// store gives the variables among which a name is, nil where there are none;
// those of scope proc are elsewhere.
func (x *Ctx) store(name string) *Vars {
	switch {
	case strings.HasPrefix(name, "sess."):
		return x.SessVars
	case strings.HasPrefix(name, "res.") && !x.Rec.Answered:
		return nil // as HAProxy: there is no response yet
	}
	return &x.Rec.Vars
}

const procScope = "proc."

// Var gives a variable by its name with the scope; false when it is not set.
func (x *Ctx) Var(name string) (Value, bool) {
	if strings.HasPrefix(name, procScope) {
		return x.procVar(name)
	}
	vs := x.store(name)
	if vs == nil {
		return Value{}, false
	}
	return vs.get(name)
}

// procVar copies a variable of scope proc into the scratch: another loop may
// change it meanwhile.
func (x *Ctx) procVar(name string) (Value, bool) {
	if x.Proc == nil {
		return Value{}, false
	}
	x.Proc.mu.RLock()
	defer x.Proc.mu.RUnlock()
	v, ok := x.Proc.list.get(name)
	if v.b != nil {
		off := len(x.scratch)
		x.scratch = append(x.scratch, v.b...)
		v.b = x.scratch[off:]
	}
	return v, ok
}

// SetVar gives a variable a value if all conditions hold; false when it did not.
func (x *Ctx) SetVar(name string, v Value, when VarConds) bool {
	var vs *Vars
	if strings.HasPrefix(name, procScope) {
		if x.Proc == nil {
			return false
		}
		x.Proc.mu.Lock()
		defer x.Proc.mu.Unlock()
		vs = &x.Proc.list
	} else if vs = x.store(name); vs == nil {
		return false
	}
	if !when.hold(vs, name, v) {
		return false
	}
	vs.set(name, v)
	return true
}

// UnsetVar forgets a variable's value.
func (x *Ctx) UnsetVar(name string) {
	if strings.HasPrefix(name, procScope) {
		if x.Proc != nil {
			x.Proc.mu.Lock()
			defer x.Proc.mu.Unlock()
			x.Proc.list.clear(name)
		}
		return
	}
	if vs := x.store(name); vs != nil {
		vs.clear(name)
	}
}

// VarConds are the conditions of a set-var, all of which must hold.
type VarConds uint8

var varConds = []string{"ifexists", "ifnotexists", "ifempty", "ifnotempty", "ifset", "ifnotset", "ifgt", "iflt"}

const (
	ifExists VarConds = 1 << iota
	ifNotExists
	ifEmpty
	ifNotEmpty
	ifSet
	ifNotSet
	ifGt
	ifLt
)

// hold tells whether v may become the variable's value.
func (c VarConds) hold(vs *Vars, name string, v Value) bool {
	if c == 0 {
		return true
	}
	old := vs.find(name)
	set := old != nil && !old.unset
	exists := set || strings.HasPrefix(name, procScope) // those are made when the configuration is read
	empty := (v.kind == Str || v.kind == Bin) && len(v.b) == 0
	numbers := set && old.kind == Int && v.kind == Int
	switch {
	case c&ifExists != 0 && !exists,
		c&ifNotExists != 0 && exists,
		c&ifEmpty != 0 && !empty,
		c&ifNotEmpty != 0 && empty,
		c&ifSet != 0 && !set,
		c&ifNotSet != 0 && set,
		c&ifGt != 0 && numbers && old.n <= v.n,
		c&ifLt != 0 && numbers && old.n >= v.n:
		return false
	}
	return true
}

// ParseVar reads <name>[,<condition>...], as set-var has it in parentheses.
func ParseVar(text string) (name string, when VarConds, err error) {
	return ParseVarAt(text, Anywhere)
}

// ParseVarAt is ParseVar for a place of its own, such as a health check.
func ParseVarAt(text string, at Where) (name string, when VarConds, err error) {
	words := strings.Split(text, ",")
	if err := CheckVarAt(words[0], at); err != nil {
		return "", 0, err
	}
	when, err = parseVarConds(words[1:])
	return words[0], when, err
}

func parseVarConds(words []string) (when VarConds, err error) {
words:
	for _, w := range words {
		for i, name := range varConds {
			if w == name {
				when |= 1 << i
				continue words
			}
		}
		return 0, fmt.Errorf("'%s' is not a condition of set-var%s; there are %s", w, Hint(w, varConds), strings.Join(varConds, ", "))
	}
	return when, nil
}

// CheckVar refuses what cannot be a variable's name where there is a client.
func CheckVar(name string) error { return CheckVarAt(name, Anywhere) }

// CheckVarAt refuses what cannot be a variable's name at a place.
func CheckVarAt(name string, at Where) error {
	scope, rest, ok := strings.Cut(name, ".")
	switch {
	case !ok || rest == "":
		return fmt.Errorf("invalid variable name '%s': it must begin with its scope, as in 'txn.%s'", name, name)
	case at == InCheck && (scope == "check" || scope == "sess" || scope == "proc"):
	case at == InCheck:
		return fmt.Errorf("variable '%s': a health check has variables of the scopes 'check', 'sess' and 'proc', as in 'check.%s'", name, rest)
	case scope == "txn" || scope == "req" || scope == "res" || scope == "sess" || scope == "proc":
	case scope == "check":
		return fmt.Errorf("variable '%s': scope 'check' is for the rules of health checks; a variable of scope 'proc' is seen by checks and by all other rules", name)
	default:
		return fmt.Errorf("invalid variable name '%s': the scope '%s' is unknown; use 'proc', 'sess', 'txn', 'req' or 'res'", name, scope)
	}
	for _, c := range rest {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.') {
			return fmt.Errorf("invalid variable name '%s': forbidden character %q", name, c)
		}
	}
	return nil
}

// Begin notes the present values as those that the configuration gives.
func (p *ProcVars) Begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.list.list {
		name := p.list.list[i].name
		if v, ok := p.list.get(name); ok {
			p.initial.set(name, v)
		}
	}
}

// Configured is the value that the configuration gives a variable, as text.
func (p *ProcVars) Configured(name string) (string, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, ok := p.initial.get(name)
	return string(v.append(nil)), ok
}

// Restore gives a variable that value again.
func (p *ProcVars) Restore(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.initial.get(name); ok {
		p.list.set(name, v)
		return
	}
	p.list.clear(name)
}

// Show gives a variable's type, by HAProxy's name, and its value as text.
func (p *ProcVars) Show(name string) (kind, value string, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, ok := p.list.get(name)
	if !ok {
		return "", "", false
	}
	kind = [...]string{Bool: "bool", Int: "sint", Addr: "ipv6", Str: "str", Bin: "bin"}[v.kind]
	if v.kind == Addr && v.addr.Is4() {
		kind = "ipv4"
	}
	if v.kind == Bin {
		return kind, hex.EncodeToString(v.b), true
	}
	return kind, string(v.append(nil)), true
}
