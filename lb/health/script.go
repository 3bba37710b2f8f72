package health

import (
	"regexp"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// Kind says how the steps of a script are judged and reported.
type Kind uint8

// Kinds of scripts.
const (
	TCP      Kind = iota // tcp-check rules: failures name the step
	HTTP                 // http-check rules: expectations are of an HTTP answer
	Protocol             // a protocol's own check, such as option redis-check
)

// Script is what a check does, step by step. Immutable, shared by servers.
type Script struct {
	Kind  Kind
	Steps []Step
}

// Step is one rule of a script. One of the pointers, or Send, is set; none for a comment.
type Step struct {
	Number  int // as the configuration counts, from 1
	Comment string

	Connect *Connect
	Send    []byte
	Format  *SendFormat
	Request *Request
	Expect  *Expect
	Var     *Var
}

// Talks reports whether the step is one of the exchange with the server: no
// comment, and no variable.
func (s *Step) Talks() bool { return s.Connect != nil || s.Expect != nil || s.Sends() }

// Sends reports whether the step sends something.
func (s *Step) Sends() bool { return s.Send != nil || s.Format != nil || s.Request != nil }

// Var gives a variable a value: of Expr or of Format, or none if both are nil.
type Var struct {
	Name   string
	When   sample.VarConds
	Expr   *sample.Expr
	Format *logformat.Format
}

// SendFormat is a text that is made anew for each check, or its hexadecimal
// digits.
type SendFormat struct {
	Text *logformat.Format
	Hex  bool
}

// Connect opens a connection; the one before is closed. The first one needs no
// step if it does as the server line says.
type Connect struct {
	Default     bool // TLS and PROXY header as the server line has them
	Address     string
	Port        int
	PortExpr    *sample.Expr // gives the port at the time of a check; where it has no value, as if it were not there
	Secure      bool         // TLS, whatever the server line says
	SNI         string       // takes the place of the server line's
	ALPN        []string
	HTTP2       bool // of an HTTP check: requests are HTTP/2 from the first byte
	ProxyHeader bool
	ViaSOCKS4   bool // through the server's proxy, if it has one
	Linger      bool // it ends in order; others end with a reset, as HAProxy's do, so that nothing waits in TIME_WAIT
}

// Request is an HTTP request. The zero value is HAProxy's `option httpchk`:
// OPTIONS / HTTP/1.0.
type Request struct {
	Method  string   // "OPTIONS" when ""
	URI     string   // "/" when ""
	Version string   // "HTTP/1.0" when ""
	Headers []string // "Name: value" lines
	Body    string

	// What is made anew for each check; nil what is fixed. Values has the value
	// of each of Headers, which ends after the colon then, or nil. A header whose
	// value is empty is not sent.
	URIFormat, BodyFormat *logformat.Format
	Values                []*logformat.Format
}

// Expect says which answers are good. Of the fields up to Custom one is set.
type Expect struct {
	Text   []byte            // the answer, or its body, contains it
	Regexp *regexp.Regexp    // matches the answer, or its body
	Format *logformat.Format // gives Text at the time of a check, in hexadecimal digits with Hex
	Hex    bool              // as upper-case hexadecimal digits: Regexp sees the answer so, messages show Text so

	// Of HTTP answers alone.
	Statuses Statuses       // status codes
	Status   *regexp.Regexp // matches the status code
	Header   *HeaderMatch

	// Custom judges the bytes that came; last says that no more will come.
	Custom func(data []byte, last bool) Verdict

	Not bool // turns the judgement around

	// MinRecv is how many bytes must be there for the judgement. With 0 one
	// that fails waits for more as long as there may be more.
	MinRecv int

	OK, Bad, Late Status // in place of the usual ones; 0 keeps those

	// Notes for the table and the log, and the status code, out of what came.
	OnOK, OnBad func(data []byte) string
	Code        func(data []byte) int
	// And the same as a configuration gives them.
	NoteOK, NoteBad *logformat.Format
	CodeExpr        *sample.Expr
}

// Verdict is what Custom comes to. The zero value is good.
type Verdict struct {
	More   bool   // it needs more bytes
	Status Status // what is wrong
	Code   int
	Note   string
}

// HeaderFormat makes what a header's name or value is compared with.
type HeaderFormat struct {
	Text    *logformat.Format
	Compare func(got, want string) bool
}

// HeaderMatch looks for a header of an HTTP answer.
type HeaderMatch struct {
	Name, Value func(string) bool // Value nil: any
	// What Name and Value compare with is made at the time of a check by these;
	// nil: they know it.
	NameFormat, ValueFormat *HeaderFormat
	Whole                   bool // values are not taken apart at commas
}

// lead gives where waiting for more bytes goes on from: the first of the
// negative expectations in the row before step i, since what comes may be what
// they forbid.
func (s *Script) lead(i int) int {
	first := i
	for j := i - 1; j >= 0 && s.Steps[j].Expect != nil; j-- {
		if s.Steps[j].Expect.Not {
			first = j
		}
	}
	return first
}
