package rule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// TestNewerSamples: fetches and converters of HAProxy 2.7 to 3.4, as its manual
// describes them. The encrypted texts are OpenSSL's.
func TestNewerSamples(t *testing.T) {
	const key, nonce = "MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA==" // 0123456789abcdef, fedcba9876543210
	x := request(t, example)
	x.Front, x.Back = &sample.Side{ClientTimeout: 1, TarpitTimeout: 2}, &sample.Side{ConnectTimeout: 3, QueueTimeout: 4, TarpitTimeout: 5}
	x.Rec.BeQueue, x.Rec.SrvQueue = 3, 4
	for _, row := range []struct{ expr, want string }{
		{"bin(01020304050607),le2dec(:,2)", "513:1027:1541:7"}, {"bin(01020304050607),le2dec(-,2,1)", "513-1027-1541"}, {"bin(ffffffffffffff7f),le2dec(,8)", "9223372036854775807"},
		{"bin(a501),base2", "1010010100000001"}, {"str(),base2", "-"},
		{"str(www.example.com),reverse", "moc.elpmaxe.www"}, {"str(),reverse", "-"},
		{"str(a=1&b=two&b=3&c&d=),param(b)", "two"}, {"str(a=1&b=two&c&d=),param(c),length", "0"}, {"str(a=1&d=),param(d),length", "0"}, {"str(a=1&b=2),param(nope)", "-"}, {"str(a=1;b=2&c;c=3),param(b,;)", "2&c"}, {"str(xa=1),param(a)", "-"},
		{`int(1733011200042),ms_utime("%Y-%m-%dT%H:%M:%S.%3NZ")`, "2024-12-01T00:00:00.042Z"}, {`int(1733011200042),ms_utime("%s.%N",3600)`, "1733014800.042000000"},
		{`int(1733011200000042),us_utime("%S.%6N %1N%%")`, "00.000042 0%"}, {`int(1733011200999999),us_ltime("%s%2N")`, "173301120099"}, {`int(1733011200042),ms_ltime(%s)`, "1733011200"},
		{"str(0123456789abcdefg),aes_cbc_enc(128," + nonce + "," + key + "),hex", "6575CF6B37479D9215337FF9767FE78690D3A0C1199456E0A2040A3B00E329DB"}, {"str(),aes_cbc_enc(256," + nonce + ",MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=),hex", "04989748156EFD600D9ACEE2267DCCC3"},
		{"str(0123456789abcdefg),aes_cbc_enc(128," + nonce + "," + key + "),aes_cbc_dec(128," + nonce + "," + key + ")", "0123456789abcdefg"},
		{"bin(00),aes_cbc_dec(128," + nonce + "," + key + ")", "-"}, {"str(0123456789abcdef),aes_cbc_dec(128," + nonce + "," + key + ")", "-"}, {"str(a),aes_cbc_enc(128,YQ==," + key + ")", "-"},
		{"str(secret),aes_gcm_enc(128," + nonce + "," + key + ",txn.tag),aes_gcm_dec(128," + nonce + "," + key + ",txn.tag)", "secret"},
		{"str(secret),aes_gcm_enc(128," + nonce + "," + key + ",txn.tag,YWFk),aes_gcm_dec(128," + nonce + "," + key + ",txn.tag,YWFk)", "secret"},
		{"str(secret),aes_gcm_enc(128," + nonce + "," + key + ",txn.tag,YWFk),aes_gcm_dec(128," + nonce + "," + key + ",txn.tag)", "-"},
		{"str(secret),aes_gcm_enc(128," + nonce + "," + key + ",txn.tag),length", "6"}, {"var(txn.tag),length", "24"}, {"str(a),aes_gcm_enc(128,txn.nope," + key + ",txn.tag)", "-"},
		{"cur_client_timeout", "1"}, {"fe_tarpit_timeout", "2"}, {"be_connect_timeout", "3"}, {"cur_connect_timeout", "3"}, {"be_queue_timeout", "4"}, {"cur_queue_timeout", "4"}, {"be_tarpit_timeout", "5"}, {"cur_tarpit_timeout", "5"},
		{"bc_be_queue", "3"}, {"bc_srv_queue", "4"},
	} {
		f, err := logformat.Parse("%["+row.expr+"]", nil)
		if err != nil {
			t.Errorf("%s: %v", row.expr, err)
			continue
		}
		if got := string(f.Append(nil, x)); got != row.want {
			t.Errorf("%s: %s, not %s", row.expr, got, row.want)
		}
	}
	for _, row := range []struct{ expr, says string }{
		{"str(a),aes_cbc_enc(129,YQ==,YQ==)", "128, 192 or 256"}, {"str(a),aes_gcm_enc(128,YQ==,YQ==,YQ==)", "invalid variable name"}, {"int(1),ms_utime(%0N)", "'%0' is not a date conversion"}, {"int(1),utime(%3N)", "'%3' is not a date conversion"},
		{"str(a),le2dec(,9)", "1 to 8 bytes"}, {"bytes_in", "%U"}, {"sc_key(0)", "set-var"}, {"tgroup", "int(0)"}, {"src,table_glitch_cnt(t)", "limits of HTTP/2"},
	} {
		if _, err := sample.ParseExpr(row.expr, sample.Anywhere, nil); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, without %q", row.expr, err, row.says)
		}
	}
}

// TestTableConverterCounts: table_inc_* and table_clr_* (HAProxy 3.2) make the
// entry, count in it and give what it had; a request that is evaluated again
// does not count twice.
func TestTableConverterCounts(t *testing.T) {
	own, bare := newTable("own", stick.String), stick.New(stick.Spec{Name: "bare", Type: stick.String, Len: 16, Size: 10})
	acls := acl.NewACLs()
	f, err := logformat.Parse("%[str(a),table_inc_gpc0(own)]%[str(a),table_inc_gpc0(own)]%[str(a),table_inc_gpc1(own)] %[str(a),table_gpc0(own)]%[str(b),table_clr_gpc0(own)]%[str(b),in_table(own)] "+
		"%[str(c),table_inc_gpc(5,own)]%[str(c),table_gpc(5,own)]%[str(c),table_clr_gpc(5,own)]%[str(c),table_gpc(5,own)] %[str(a),table_inc_gpc0(bare)]%[str(a),table_clr_gpc(2,bare)]%[str(a),table_inc_gpc(100,own)] %[str(d),table_inc_gpc1(own)]%[str(d),table_clr_gpc1(own)]%[str(d),table_gpc1(own)]", &acls.Uses)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, acls, own, own, bare)
	x := request(t, "GET /a HTTP/1.1\nHost: a")
	x.Now = 1000
	for _, row := range []struct {
		again bool
		want  string
	}{{false, "121 200 1110 --- 110"}, {true, "221 200 0000 --- 000"}, {false, "342 400 1110 --- 110"}} {
		x.Again = row.again
		if got := string(f.Append(nil, x)); got != row.want {
			t.Errorf("again %v: %s, not %s", row.again, got, row.want)
		}
	}
}

// TestOtherNames: words that lb has besides HAProxy's for the same thing give the same.
func TestOtherNames(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	texts, nets, numbers := at("texts", "abc first\nb.c domain\nb/c path\n"), at("nets", "10.0.0.0/8 ten\n"), at("numbers", "5:9 some\n")
	table, other := newTable("own", stick.IP), newTable("other", stick.String)
	acls := acl.NewACLs()
	track := rulesOf(t, acls, Request, "track-sc0 src", "track-sc1 path table other", "track-sc2 src table other")
	bind(t, acls, table, table, other)
	x := request(t, "GET /a HTTP/1.1\nHost: a")
	var txn, session sample.Tracks
	x.Txn, x.Session, x.Now = &txn, &session, 1000
	if v := track.Eval(x); v != Continue {
		t.Fatal(v)
	}
	for slot := range 3 {
		for i, d := range []stick.Data{stick.GPC0, stick.GPC1} {
			txn[slot].Count(d, []stick.Data{stick.GPC0Rate, stick.GPC1Rate}[i], uint64(10*slot+i+3), x.Now)
		}
		txn[slot].Set(stick.GPT0, uint64(slot+77), x.Now)
	}
	rows := [][3]string{ // lb's word, HAProxy's, and what both give
		{"str(%s),map_str_str(" + texts + ")", "str(%s),map_str(" + texts + ")", "abc"}, {"str(%s),map_beg_str(" + texts + ")", "str(%s),map_beg(" + texts + ")", "abcd"}, {"str(%s),map_end_str(" + texts + ")", "str(%s),map_end(" + texts + ")", "xabc"},
		{"str(%s),map_sub_str(" + texts + ")", "str(%s),map_sub(" + texts + ")", "xabcx"}, {"str(%s),map_dom_str(" + texts + ")", "str(%s),map_dom(" + texts + ")", "a.b.c.d"}, {"str(%s),map_dir_str(" + texts + ")", "str(%s),map_dir(" + texts + ")", "/a/b/c/d"},
		{"str(%s),map_reg_str(" + texts + ")", "str(%s),map_reg(" + texts + ")", "xbxc"}, {"str(%s),map_ip_str(" + nets + ")", "str(%s),map_ip(" + nets + ")", "10.1.1.1"}, {"int(%s),map_int_str(" + numbers + ")", "int(%s),map_int(" + numbers + ")", "7"},
	}
	gives := func(expr string) string {
		t.Helper()
		acls := acl.NewACLs()
		f, err := logformat.ParseText("<%["+expr+"]>", &acls.Uses)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		if strings.Contains(expr, "map_") {
			bindFiles(t, acls)
		} else {
			bind(t, acls, table, table, other)
		}
		return string(f.Append(nil, x))
	}
	for _, row := range rows {
		ours, theirs := gives(strings.Replace(row[0], "%s", row[2], 1)), gives(strings.Replace(row[1], "%s", row[2], 1))
		if ours != theirs || ours == "<>" {
			t.Errorf("%s of %s: %s and %s", row[0], row[2], ours, theirs)
		}
		if ours, theirs := gives(strings.Replace(row[0], "%s", "1", 1)), gives(strings.Replace(row[1], "%s", "1", 1)); ours != theirs || ours != "<>" {
			t.Errorf("%s of 1: %s and %s", row[0], ours, theirs)
		}
	}
	for slot, names := range [][]string{
		{"sc0_get_gpc(0)", "sc0_get_gpc(1)", "sc0_gpc_rate(1)", "sc0_get_gpt(0)", "sc0_inc_gpc(1)", "sc0_clr_gpc(1)", "sc0_get_gpc(1)"},
		{"sc1_get_gpc(0)", "sc1_get_gpc(1)", "sc1_gpc_rate(1)", "sc1_get_gpt(0)", "sc1_inc_gpc(1)", "sc1_clr_gpc(1)", "sc1_get_gpc(1)"},
		{"sc2_get_gpc(0)", "sc2_get_gpc(1)", "sc2_gpc_rate(1)", "sc2_get_gpt(0)", "sc2_inc_gpc(1)", "sc2_clr_gpc(1)", "sc2_get_gpc(1)"},
	} {
		for i, want := range []int{10*slot + 3, 10*slot + 4, 10*slot + 4, slot + 77, 10*slot + 5, 10*slot + 5, 0} {
			ours := names[i]
			if got := gives(ours); got != fmt.Sprintf("<%d>", want) {
				t.Errorf("%s gives %s, not %d", ours, got, want)
			}
			if !strings.Contains(ours, "inc_") && !strings.Contains(ours, "clr_") {
				theirs := fmt.Sprintf("sc_%s,%d)", strings.TrimSuffix(ours[4:], ")"), slot)
				if g, w := gives(ours), gives(theirs); g != w {
					t.Errorf("%s gives %s, %s gives %s", ours, g, theirs, w)
				}
			}
		}
	}
	rdp := &sample.Ctx{Rec: x.Rec, Buf: []byte("\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: mstshash=admin\r\n\x01\x00\x08\x00\x03\x00\x00\x00")}
	for _, row := range [][3]string{{"req_rdp_cookie(mstshash)", "req.rdp_cookie(mstshash)", "admin"}, {"req_rdp_cookie", "req.rdp_cookie", "admin"}, {"req_rdp_cookie_cnt(mstshash)", "req.rdp_cookie_cnt(mstshash)", "1"}} {
		for _, name := range row[:2] {
			e, err := sample.ParseExpr(name, sample.InRequest, nil)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := e.Eval(rdp); !ok || string(v.Text(rdp)) != row[2] {
				t.Errorf("%s: %q, not %s", name, v.Text(rdp), row[2])
			}
		}
	}
}
