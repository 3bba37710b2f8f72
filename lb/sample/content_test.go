package sample

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// helloOf is what Go's client sends first.
func helloOf(t testing.TB, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	go func() {
		tls.Client(a, &tls.Config{ServerName: name, NextProtos: []string{"h2"}}).Handshake()
		a.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// ask evaluates an expression on what a client sent.
func ask(t testing.TB, expr string, sent []byte, partial bool) (got string, found, missing bool) {
	t.Helper()
	e, err := ParseExpr(expr, InRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := &Ctx{Rec: &Record{}, Buf: sent, Partial: partial}
	v, ok := e.Eval(x)
	return string(v.Text(x)), ok, x.Missing
}

// A name is found in a hello whether it comes in one record or in many, and as long as it has not come whole, more is awaited.
func TestHelloInPieces(t *testing.T) {
	hello := helloOf(t, "www.example.com")
	for n := range len(hello) {
		if got, found, missing := ask(t, "req.ssl_sni", hello[:n], true); found || !missing {
			t.Fatalf("after %d of %d bytes: %q, found %v, awaits more %v", n, len(hello), got, found, missing)
		}
	}
	var split []byte // each byte of the handshake in a record of its own
	for _, c := range hello[5:] {
		split = append(split, 22, 3, 1, 0, 1, c)
	}
	for _, sent := range [][]byte{hello, append(bytes.Clone(hello), "more"...), split} {
		if got, found, missing := ask(t, "req.ssl_sni", sent, true); got != "www.example.com" || !found || missing {
			t.Errorf("%q, found %v, awaits more %v", got, found, missing)
		}
		if got, _, _ := ask(t, "req.ssl_alpn", sent, true); got != "h2" {
			t.Errorf("alpn %q", got)
		}
	}
	for _, other := range []string{"SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n", "\x16\x02\x00\x00\x05hello", "\x16\x03\x01\x00\x04\x02\x00\x00\x00"} {
		if got, found, missing := ask(t, "req.ssl_sni", []byte(other), true); found || missing {
			t.Errorf("%q: %q, found %v, awaits more %v", other, got, found, missing)
		}
	}
}

// Whatever a client sends, looking into it neither fails nor asks for bytes when there can be no more.
func FuzzContent(f *testing.F) {
	f.Add(helloOf(f, "a.example"))
	f.Add([]byte("\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: mstshash=anna\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte{22, 3, 1, 0, 0})
	exprs := []string{
		"req.ssl_sni", "req.ssl_alpn", "req.ssl_ver", "req.ssl_hello_type", "req.ssl_ec_ext", "req.ssl_st_ext", "rdp_cookie", "rdp_cookie(mstshash)",
		"req.payload(0,0)", "req.payload(3,9)", "req.payload_lv(0,2)", "req.payload_lv(1,8,-3)", "req.len", "wait_end", "req.payload(0,0),protobuf(1.2)",
		"req.payload(0,0),ungrpc(1,int32)", "req.payload(0,0),json_query('$.a[1].b')", "req.payload(0,0),jwt_payload_query('$.a')", "req.payload(0,0),language(en;de)",
		"req.payload(0,0),be2dec(:,3,1)", "req.payload(0,0),json(utf8p)", "req.payload(0,0),jwt_verify(HS256,x)",
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, e := range exprs {
			if _, _, missing := ask(t, e, sent, false); missing {
				t.Fatalf("%s asks for more bytes of %q, which is all", e, sent)
			}
			ask(t, e, sent, true)
		}
	})
}

// The type of a hello is known when all of it has come: what follows it in a rule, such as the session's name, is there then.
func TestHelloTypeOfAWholeHello(t *testing.T) {
	hello := helloOf(t, "www.example.com")
	for n := range len(hello) {
		if got, found, missing := ask(t, "req.ssl_hello_type", hello[:n], true); found || !missing {
			t.Fatalf("after %d of %d bytes: %q, found %v, awaits more %v", n, len(hello), got, found, missing)
		}
	}
	if got, found, missing := ask(t, "req.ssl_hello_type", hello, true); got != "1" || !found || missing {
		t.Errorf("%q, found %v, awaits more %v", got, found, missing)
	}
}

// What a server says is looked into by its own fetches; payload and payload_lv are of the side that a rule is about.
func TestAnswersContent(t *testing.T) {
	for expr, want := range map[string]string{
		"res.len": "7", "res.payload(1,3)": "ell", "res.payload_lv(0,1)": "ello!", "payload(1,0)": "ello!!", "payload_lv(0,1)": "ello!", "wait_end": "1",
	} {
		e, err := ParseExpr(expr, InResponse, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		x := &Ctx{Rec: &Record{}, Buf: []byte("\x05ello!!")}
		v, ok := e.Eval(x)
		if got := string(v.Text(x)); !ok || got != want {
			t.Errorf("%s: %q, found %v, want %q", expr, got, ok, want)
		}
		if n := testing.AllocsPerRun(100, func() { x.Begin(); e.Eval(x) }); n > 0 {
			t.Errorf("%s: %v allocations", expr, n)
		}
	}
	for _, expr := range []string{"req.len", "req.payload(0,1)", "req.ssl_sni"} {
		if _, err := ParseExpr(expr, InResponse, nil); err == nil {
			t.Errorf("%s is taken in rules about answers", expr)
		}
	}
}
