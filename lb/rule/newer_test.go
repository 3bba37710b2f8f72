package rule

import (
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
		"%[str(c),table_inc_gpc(5,own)]%[str(c),table_gpc(5,own)]%[str(c),table_clr_gpc(5,own)]%[str(c),table_gpc(5,own)] %[str(a),table_inc_gpc0(bare)]%[str(a),table_clr_gpc(2,bare)]%[str(a),table_inc_gpc(100,own)]", &acls.Uses)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, acls, own, own, bare)
	x := request(t, "GET /a HTTP/1.1\nHost: a")
	x.Now = 1000
	for _, row := range []struct {
		again bool
		want  string
	}{{false, "121 200 1110 ---"}, {true, "221 200 0000 ---"}, {false, "342 400 1110 ---"}} {
		x.Again = row.again
		if got := string(f.Append(nil, x)); got != row.want {
			t.Errorf("again %v: %s, not %s", row.again, got, row.want)
		}
	}
}
