package sample

import (
	"errors"

	"lbsyslogd/lb/userlist"
)

// UserRef is a userlist as a rule names it. It means nothing until Bind: the
// section may be declared after the rules that use it.
type UserRef struct {
	Name string
	list *userlist.List
}

// Bind gives the reference its list. Before the first evaluation.
func (r *UserRef) Bind(l *userlist.List) { r.list = l }

// Ref is what a rule names and only the whole configuration can find:
// *TableRef, *UserRef, *Gauge, *FileRef, *GroupRef or *ResolversRef; or a *NoPattern or *NeverHere.
type Ref interface{ isRef() }

func (*TableRef) isRef()     {}
func (*UserRef) isRef()      {}
func (*GroupRef) isRef()     {}
func (*ResolversRef) isRef() {}
func (*NoPattern) isRef()    {}
func (*NeverHere) isRef()    {}
func (*Remark) isRef()       {}

// NoPattern is an expression of an ACL without a pattern, which is worth a warning.
type NoPattern struct{ Expr string }

// NeverHere is an ACL that looks at what is not there where it is used, which is
// worth a warning.
type NeverHere struct{ Why error }

// Remark is what a line says and HAProxy, whose meaning it keeps, reads in another
// way than its author may think: worth a warning.
type Remark struct {
	Text   string
	Shared bool // HAProxy warns of it, too
}

// ResolversRef is a rule's reference to a resolvers section.
type ResolversRef struct{ Name string }

// CacheRef is a rule's reference to a cache section.
type CacheRef struct{ Name string }

func (*CacheRef) isRef() {}

// GroupRef is a rule's reference to messages of an agent (filter spoe).
type GroupRef struct{ Engine, Group string }

// fetchesAuth look at who the client says that it is (HAProxy configuration
// manual, section 7.3.6).
var fetchesAuth = []fetchRow{
	{name: "http_auth", args: "u", kind: Bool, where: InRequest, get: func(x *Ctx, a *args) (Value, bool) {
		if _, _, ok := x.credentials(); !ok {
			return Value{}, false
		}
		_, ok := x.authenticated(a.users.list)
		return BoolValue(ok), true
	}},
	{name: "http_auth_group", args: "u", kind: Str, where: InRequest, match: "auth", get: func(x *Ctx, a *args) (Value, bool) {
		user, ok := x.authenticated(a.users.list)
		return StrValue(user), ok
	}},
	{name: "http_auth_user", kind: Str, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		user, _, ok := x.credentials()
		return StrValue(user), ok
	}},
	{name: "http_auth_pass", kind: Str, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		_, password, ok := x.credentials()
		return StrValue(password), ok
	}},
	{name: "http_auth_type", kind: Str, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		if _, _, ok := x.credentials(); ok {
			return stringValue(x, "Basic"), true
		}
		return stringValue(x, "Bearer"), x.hasBearer()
	}},
}

// hasBearer reports whether the Authorization field has a token.
func (x *Ctx) hasBearer() bool {
	if x.Req == nil {
		return false
	}
	_, ok := bearerToken(x.Req.Get("authorization"))
	return ok
}

// credentials are what the Authorization field has, in the scratch.
func (x *Ctx) credentials() (user, password []byte, ok bool) {
	if x.Req == nil {
		return nil, nil, false
	}
	field := x.Req.Get("authorization")
	if len(field) == 0 {
		return nil, nil, false
	}
	off := len(x.scratch)
	for range len(field) { // room, so that decoding does not allocate another time
		x.scratch = append(x.scratch, 0)
	}
	return userlist.Credentials(field, x.scratch[off:off:len(x.scratch)])
}

// authenticated gives the client's name when the list knows its password. The
// engine has settled what takes long before the rules run; a field that a rule
// wrote since then is hashed here.
func (x *Ctx) authenticated(l *userlist.List) (user []byte, ok bool) {
	user, password, ok := x.credentials()
	if !ok || l == nil {
		return nil, false
	}
	answer := l.Check(user, password, x.Doubt)
	if answer == userlist.Unsure {
		d := userlist.Doubts([]*userlist.List{l}, x.Req.Get("authorization"))
		d.Compute()
		answer = l.Check(user, password, d)
	}
	return user, answer == userlist.Right
}

// matchGroup tells whether a user is in one of the groups.
type matchGroup struct {
	users  *UserRef
	groups []string
}

func CompileGroups(users *UserRef, groups []string) (Matcher, error) {
	if len(groups) == 0 {
		return nil, errors.New("no group is given, so it would never match")
	}
	return &matchGroup{users: users, groups: groups}, nil
}

func (m *matchGroup) Match(_ *Ctx, v Value) bool {
	for _, g := range m.groups {
		if m.users.list != nil && m.users.list.Member(v.b, g) {
			return true
		}
	}
	return false
}
