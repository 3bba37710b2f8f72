package rule

import "lbsyslogd/lb/sample"

// Stage is a point in the life of a connection or of an exchange at which a
// rule set is asked.
type Stage uint8

// The stages in their order.
const (
	Connection    Stage = iota // a client is accepted: nothing was read
	Session                    // a TLS handshake is done: what speaks through it is still unknown
	Content                    // in mode http once a request's head is there
	Request                    // the request goes to a server, or is answered here
	TCPResponse                // a server's first bytes, or in mode http its head
	Response                   // a server's response
	AfterResponse              // any response, ours included

	Stages // how many there are
)

// stages is the table: a new rule set is a row here, and a call of its rules in
// lb/stream.
var stages = [Stages]struct {
	name  string // the keyword
	where sample.Where
	http  bool // needs mode http
	front bool // a frontend may have it
	back  bool
}{
	Connection:    {"tcp-request connection", sample.InConn, false, true, false},
	Session:       {"tcp-request session", sample.InSession, false, true, false},
	Content:       {"tcp-request content", sample.InRequest, false, true, true},
	Request:       {"http-request", sample.InRequest, true, true, true},
	TCPResponse:   {"tcp-response content", sample.InResponse, false, false, true},
	Response:      {"http-response", sample.InResponse, true, true, true},
	AfterResponse: {"http-after-response", sample.InResponse, true, true, true},
}

// String is the keyword of the stage's rules.
func (s Stage) String() string { return stages[s].name }

// Where is what expressions see at the stage.
func (s Stage) Where() sample.Where { return stages[s].where }

// HTTP reports whether the rules need mode http.
func (s Stage) HTTP() bool { return stages[s].http }

// Sides tells which sides of a proxy may have the rules.
func (s Stage) Sides() (front, back bool) { return stages[s].front, stages[s].back }

// Sets are the rules of one proxy by their stage.
type Sets [Stages]Rules

// Len is how many rules there are.
func (s *Sets) Len() (n int) {
	for _, rules := range s {
		n += len(rules)
	}
	return n
}
