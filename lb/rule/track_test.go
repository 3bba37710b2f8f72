package rule

import (
	"net/netip"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// newTable is a table that stores everything, over periods of ten seconds.
func newTable(name string, kind stick.Type) *stick.Table {
	s := stick.Spec{Name: name, Type: kind, Len: kind.KeyLen(), Size: 100}
	if s.Len == 0 {
		s.Len = 16
	}
	for d := range stick.NumData {
		s.Stores[d], s.Period[d] = true, 10_000
	}
	return stick.New(s)
}

// bind gives every reference that was read a table: "" is own.
func bind(t testing.TB, acls *acl.ACLs, own *stick.Table, others ...*stick.Table) {
	t.Helper()
	for _, one := range acls.Take() {
		ref, ok := one.(*sample.TableRef)
		if !ok {
			continue
		}
		if ref.Name == "" {
			ref.Bind(own)
		}
		for _, o := range others {
			if o.Name == ref.Name {
				ref.Bind(o)
			}
		}
		if ref.Table == nil {
			t.Fatalf("no table %q", ref.Name)
		}
	}
}

func rulesOf(t testing.TB, acls *acl.ACLs, stage Stage, lines ...string) Rules {
	t.Helper()
	var rules Rules
	for _, line := range lines {
		r, err := ParseRule(stage, strings.Fields(line), acls)
		if err != nil {
			t.Fatal(line, err)
		}
		rules = append(rules, r)
	}
	return rules
}

func TestTrackedFetches(t *testing.T) {
	own, other := newTable("own", stick.IP), newTable("other", stick.String)
	acls := acl.NewACLs()
	conn := rulesOf(t, acls, Connection, "track-sc0 src")
	req := rulesOf(t, acls, Request, "track-sc0 path", "track-sc1 path table other", "sc-inc-gpc0(1)", "sc-set-gpt0(0) 9", "sc-set-gpt0(1) src_port,add(1)", "deny if { sc_http_req_cnt(1) gt 1 }")
	bind(t, acls, own, own, other)
	f, err := logformat.Parse("%[sc0_conn_cur] %[sc0_http_req_cnt] %[sc1_http_req_cnt] %[sc_get_gpc0(1)] %[sc0_get_gpt0]/%[sc1_get_gpt0] %[sc0_tracked]%[sc2_tracked] %[sc2_conn_cur] %[src_conn_cnt(own)] %[str(/a),table_http_req_cnt(other)] %[str(/b),in_table(other)] %[src,table_conn_cur(own)] %[table_cnt(other)]", &acls.Uses)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, acls, own, own, other)

	x := request(t, "GET /a HTTP/1.1\nHost: a")
	var txn, session sample.Tracks
	x.Txn, x.Session, x.Now = &txn, &session, 1000
	if v := conn.Eval(x); v != Continue {
		t.Fatal(v)
	}
	if v := req.Eval(x); v != Continue {
		t.Fatal(v)
	}
	if txn[0].Valid() || !session[0].Valid() || !txn[1].Valid() {
		t.Error("track-sc0 was the session's already, track-sc1 is the request's", txn, session)
	}
	if got, want := string(f.Append(nil, x)), "1 0 1 1 9/4568 10 - 1 1 0 1 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// The head is made anew: nothing counts twice, and nobody is turned away.
	txn[1].Count(stick.HTTPReqCnt, stick.HTTPReqRate, 5, x.Now)
	x.Again = true
	if v := req.Eval(x); v != Continue {
		t.Error(v, "when the rules ran again")
	}
	x.Again = false
	if n, _ := txn[1].Get(stick.GPC0, x.Now); n != 1 {
		t.Errorf("gpc0 is %d", n)
	}
	if v := req.Eval(x); v != Deny {
		t.Error(v, "beyond the limit")
	}
	txn.Release(x.Now)
	session.Release(x.Now)
	if n, _ := own.GetKey([]byte{10, 1, 2, 3}, stick.ConnCur, x.Now); n != 0 {
		t.Errorf("conn_cur is %d", n)
	}
}

func TestStickKeys(t *testing.T) {
	own := newTable("own", stick.String)
	acls := acl.NewACLs()
	on, err := ParseStick(strings.Fields("on req.cook(session) if { path_beg /app }"), acls)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, acls, own)
	for head, want := range map[string]string{
		"GET /app HTTP/1.1\nCookie: session=abc":                             "abc",
		"GET /app HTTP/1.1\nCookie: session=longer-than-sixteen-bytes-of-it": "longer-than-sixt",
		"GET /app HTTP/1.1\nHost: a":                                         "",
		"GET /other HTTP/1.1\nCookie: session=abc":                           "",
	} {
		table, key := on.Key(request(t, head))
		if string(key) != want || (table != nil) != (want != "") {
			t.Errorf("%q: %q in %v", head, key, table)
		}
	}
	for _, words := range []string{"", "off src", "on", "on nonsense", "on src table", "store-response path"} {
		if _, err := ParseStick(strings.Fields(words), acls); err == nil {
			t.Errorf("%q: no error", words)
		}
	}
}

func TestTablesDoNotAllocate(t *testing.T) {
	own, other := newTable("own", stick.IP), newTable("other", stick.String)
	acls := acl.NewACLs()
	conn := rulesOf(t, acls, Connection, "track-sc0 src", "reject if { sc0_conn_cur gt 100 }")
	req := rulesOf(t, acls, Request, "track-sc1 path table other", "sc-inc-gpc0(0)", "deny deny_status 429 if { sc_http_req_rate(1) lt 0 } or { src_conn_rate(own) lt 0 } or { path,table_conn_cnt(other) lt 0 } or { sc0_inc_gpc1 lt 0 }")
	on, err := ParseStick([]string{"on", "path", "table", "other"}, acls)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, acls, own, own, other)
	x := request(t, "GET /a HTTP/1.1\nHost: a")
	var txn, session sample.Tracks
	x.Txn, x.Session = &txn, &session
	run := func() {
		x.Now++
		x.Rec.Client = netip.AddrPortFrom(x.Rec.Client.Addr().Next(), 1)
		if conn.Eval(x) != Continue || req.Eval(x) != Continue {
			t.Error("turned away")
		}
		if table, _ := on.Key(x); table == nil {
			t.Error("no key")
		}
		txn.Release(x.Now)
		session.Release(x.Now)
	}
	run()
	if n := testing.AllocsPerRun(500, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
