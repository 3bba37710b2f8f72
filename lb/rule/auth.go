package rule

import (
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/userlist"
)

// UserRef is a userlist as a rule names it. It means nothing until Bind: the
// section may stand behind the rules that use it.
type UserRef struct {
	Name string
	list *userlist.List
}

// Bind gives the reference its list. Before the first evaluation.
func (r *UserRef) Bind(l *userlist.List) { r.list = l }

// Ref is what a rule names and only the whole configuration can find:
// *TableRef, *UserRef, *Gauge or *FileRef.
type Ref interface{ isRef() }

func (*TableRef) isRef() {}
func (*UserRef) isRef()  {}

// fetchesAuth look at who the client says that it is (HAProxy configuration
// manual, section 7.3.6).
var fetchesAuth = []fetchRow{
	{name: "http_auth", args: "u", kind: kindBool, where: inRequest, get: func(x *Ctx, a *args) (value, bool) {
		if _, _, ok := x.credentials(); !ok {
			return value{}, false
		}
		_, ok := x.authenticated(a.users.list)
		return boolValue(ok), true
	}},
	{name: "http_auth_group", args: "u", kind: kindStr, where: inRequest, match: "auth", get: func(x *Ctx, a *args) (value, bool) {
		user, ok := x.authenticated(a.users.list)
		return strValue(user), ok
	}},
	{name: "http_auth_user", kind: kindStr, where: inRequest, get: func(x *Ctx, _ *args) (value, bool) {
		user, _, ok := x.credentials()
		return strValue(user), ok
	}},
	{name: "http_auth_pass", kind: kindStr, where: inRequest, get: func(x *Ctx, _ *args) (value, bool) {
		_, password, ok := x.credentials()
		return strValue(password), ok
	}},
	{name: "http_auth_type", kind: kindStr, where: inRequest, get: func(x *Ctx, _ *args) (value, bool) {
		_, _, ok := x.credentials()
		return stringValue(x, "Basic"), ok
	}},
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

func compileGroups(e *expr, pats []pat) (matcher, error) {
	m := &matchGroup{users: e.args.users}
	for _, p := range pats {
		m.groups = append(m.groups, p.text)
	}
	if len(m.groups) == 0 {
		return nil, errors.New("no group is given, so it would never match")
	}
	return m, nil
}

func (m *matchGroup) match(_ *Ctx, v value) bool {
	for _, g := range m.groups {
		if m.users.list != nil && m.users.list.Member(v.b, g) {
			return true
		}
	}
	return false
}

// askAuth answers that the client must say who it is.
type askAuth struct{ realm string } // "" is the proxy's name

func parseAuth(p *ruleParser) (action, error) {
	a := &askAuth{}
	for !p.atCond() {
		if word := p.next(); word != "realm" {
			return nil, fmt.Errorf("unknown argument '%s'%s", word, hint(word, []string{"realm"}))
		}
		var err error
		if a.realm, err = p.need("a text behind 'realm'"); err != nil {
			return nil, err
		}
	}
	if strings.ContainsAny(a.realm, "\r\n\x00\"") {
		return nil, fmt.Errorf("the realm '%s' holds a quote or a line break, which a header cannot carry there", a.realm)
	}
	return a, nil
}

func (a *askAuth) run(x *Ctx) Verdict {
	realm := a.realm
	if realm == "" {
		realm = x.Rec.Backend // until a backend is chosen, the frontend
	}
	x.reply = append(x.reply[:0], `www-authenticate: Basic realm="`...)
	x.reply = append(append(x.reply, realm...), "\"\r\n"...)
	x.Reply = Reply{Status: 401, ErrorFile: true, Header: x.reply}
	return Unauthorized
}
