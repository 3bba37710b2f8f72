package health

import (
	"crypto/tls"
	"regexp"
	"time"
)

// Spec says how a server is checked. Immutable after New.
type Spec struct {
	Network string // "tcp" or "unix"
	Address string // "192.0.2.1:80" or a path

	Inter     time.Duration // between checks of a server that is surely up or down; 2s when 0
	FastInter time.Duration // between checks while health is on its way; Inter when 0
	DownInter time.Duration // between checks of a server that is down; Inter when 0
	Rise      int           // 2 when 0
	Fall      int           // 3 when 0

	// Check bounds the time from the connection to the end of the answer, and
	// Connect the connection before it (at most Inter). Without Check the whole
	// of a check must end within Inter.
	Connect time.Duration
	Check   time.Duration

	// SpreadPct moves each turn by up to that share of the interval, in
	// percent, either way (spread-checks).
	SpreadPct int

	HTTP *HTTPSpec   // nil: a connection is enough
	TLS  *tls.Config // nil: plain
}

// HTTPSpec says what is asked and which answers are good. The zero value is
// HAProxy's `option httpchk`: OPTIONS / HTTP/1.0, good if 2xx or 3xx.
type HTTPSpec struct {
	Method  string   // "OPTIONS" when ""
	URI     string   // "/" when ""
	Version string   // "HTTP/1.0" when ""
	Headers []string // "Name: value" lines
	Body    string
	Expect  Expect
}

// Expect says which answers are good: at most one of the first three is set;
// none means a 2xx or 3xx status.
type Expect struct {
	Status Statuses       // status codes
	String string         // text the body contains
	Regexp *regexp.Regexp // matches the status (with OnStatus) or the body
	// OnStatus makes Regexp look at the status code instead of the body
	// (rstatus).
	OnStatus bool
	Not      bool // turns the judgement around
}

// Report is the outcome of one check, and what became of the server's health.
type Report struct {
	Up       bool // the server is up now
	Changed  bool // and was not before, or the other way round
	Passed   bool // this check was good
	First    bool // the first check of this server
	Counted  bool // it failed and there was health to lose: chkfail grows
	Status   Status
	Code     int           // HTTP status code, 0 if there was none
	Duration time.Duration // of this check
	Info     string        // detail, "Connection refused"; may be empty
	Health   int           // 0..Rise+Fall-1
	Rise     int
	Fall     int
}
