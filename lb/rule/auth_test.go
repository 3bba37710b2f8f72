package rule

import (
	"encoding/base64"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/userlist"
)

// authRequest is a request with Basic credentials.
func authRequest(t testing.TB, user, password string) *sample.Ctx {
	t.Helper()
	return request(t, "GET / HTTP/1.1\nHost: a\nAuthorization: Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func TestAuth(t *testing.T) {
	list := userlist.New("u")
	list.Add("anna", "secret", []string{"admins"})
	list.AddGroup("admins", nil)
	if err := list.AddHashed("bert", "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", nil); err != nil {
		t.Fatal(err)
	}
	if err := list.Finish(); err != nil {
		t.Fatal(err)
	}
	acls := acl.NewACLs()
	cond := func(text string) *acl.Cond {
		t.Helper()
		c, err := acl.ParseCond(strings.Fields(text), acls)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range acls.Take() {
			ref.(*sample.UserRef).Bind(list)
		}
		return c
	}
	known, admin := cond("{ http_auth(u) }"), cond("{ http_auth_group(u) staff admins }")
	for _, c := range []struct {
		user, password string
		known, admin   bool
	}{
		{"anna", "secret", true, true}, {"anna", "wrong", false, false}, {"bert", "secret", true, false}, {"bert", "wrong", false, false}, {"x", "secret", false, false},
	} {
		x := authRequest(t, c.user, c.password)
		if got := known.Eval(x); got != c.known {
			t.Errorf("%s %s: known %v", c.user, c.password, got)
		}
		if got := admin.Eval(x); got != c.admin {
			t.Errorf("%s %s: admin %v", c.user, c.password, got)
		}
	}
	for _, user := range []string{"anna", "bert"} { // in clear, and known by now
		x := authRequest(t, user, "secret")
		if n := testing.AllocsPerRun(100, func() { known.Eval(x) }); n > 0 {
			t.Errorf("%s: %v allocations", user, n)
		}
	}
}

func TestAuthRule(t *testing.T) {
	for text, want := range map[string]string{"auth": "shop", `auth realm Sub\ Scription if TRUE`: `Sub\`} {
		r, err := ParseRule(Request, strings.Fields(strings.Replace(text, ` Scription`, "", 1)), acl.NewACLs())
		if err != nil {
			t.Fatal(err)
		}
		x := authRequest(t, "a", "b")
		x.Rec.Backend = "shop"
		if v := (Rules{r}).Eval(x); v != Unauthorized || x.Reply.Status != 401 || !strings.Contains(string(x.Reply.Header), `Basic realm="`+want) {
			t.Errorf("%s: %v %+v", text, v, x.Reply)
		}
	}
	for _, text := range []string{"auth real x", "auth realm", "auth realm a\"b"} {
		if _, err := ParseRule(Request, strings.Fields(text), acl.NewACLs()); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
