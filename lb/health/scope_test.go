package health

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// TestLineEndsStayInTheirField: a value that came from elsewhere cannot add a
// line to a check's request.
func TestLineEndsStayInTheirField(t *testing.T) {
	f, err := logformat.ParseAt("%[bin(410d0a42)]", sample.InCheck, nil)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := logformat.ParseAt("%[var(check.none)]", sample.InCheck, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := &Request{URIFormat: f, Headers: []string{"A: fixed", "B:", "C:"}, Values: []*logformat.Format{nil, f, empty}}
	got := (&run{spec: &Spec{}}).fill(q)
	if want := "A%0D%0AB"; got.URI != want {
		t.Errorf("the URI is %q, want %q", got.URI, want)
	}
	if want := []string{"A: fixed", "B: A%0D%0AB"}; !slices.Equal(got.Headers, want) {
		t.Errorf("the headers are %q, want %q", got.Headers, want)
	}
}

// TestVariablesLastForOneCheck: what a check sets is gone for the next one,
// but for variables of the process.
func TestVariablesLastForOneCheck(t *testing.T) {
	expr := func(text string) *sample.Expr {
		e, err := sample.ParseExpr(text, sample.InCheck, nil)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	spec := &Spec{Scope: Scope{Proc: &sample.ProcVars{}}}
	first, next := &run{spec: spec}, &run{spec: spec}
	for _, name := range []string{"check.a", "sess.a", "proc.a"} {
		first.set(&Var{Name: name, Expr: expr("int(7)")})
		if p := first.port(&Connect{PortExpr: expr("var(" + name + ")")}); p != 7 {
			t.Errorf("%s is %d in its check", name, p)
		}
		want := 0
		if name == "proc.a" {
			want = 7
		}
		if p := next.port(&Connect{PortExpr: expr("var(" + name + ")")}); p != want {
			t.Errorf("%s is %d in the next check, want %d", name, p, want)
		}
	}
	first.set(&Var{Name: "check.a"})
	if p := first.port(&Connect{Port: 3, PortExpr: expr("var(check.a)")}); p != 3 {
		t.Errorf("an expression without a value gives port %d", p)
	}
}

// TestSamplesAfterAnInterimAnswer: once the final answer is there, samples see its head, whatever was evaluated before.
func TestSamplesAfterAnInterimAnswer(t *testing.T) {
	format := func(text string) *logformat.Format {
		f, err := logformat.ParseAt(text, sample.InCheck, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	e := Expect{Format: format("READY%[res.hdr(x-none)]"), Not: true, NoteBad: format("%[res.hdr(x-at)]")}
	spec := Spec{Inter: 5 * time.Second, Network: "tcp", Script: asks(Request{Method: "GET"}, e), Address: server(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nX-At: interim\r\n\r\nHTTP/1.1 200 OK\r\nX-At: final\r\nContent-Length: 5\r\n\r\nREADY")
	})}
	if r := probe(t.Context(), &spec, true); r.info != "final" {
		t.Errorf("%v %q", r.status, r.info)
	}
}
