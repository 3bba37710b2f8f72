// Package accesslog decides whether a transaction gets a log line, how severe
// it is, and what it says.
//
//  1. The engine fills a sample.Record while the transaction goes on.
//  2. Policy.Severity looks at how it ended: no line, info, or err.
//  3. Policy.Append renders the proxy's format; lb/syslog sends it.
package accesslog

import (
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/syslogd/message"
)

// Policy is how one frontend logs. Immutable once made.
type Policy struct {
	Format         *logformat.Format
	Errors         *logformat.Format // of connections that carry no request; nil: HAProxy's own words, or Format
	Data           *logformat.Format // log-format-sd: structured data for targets of RFC 5424; nil none
	Asap           bool              // option logasap
	HTTP           bool              // mode http: a status of 500 and more is an error
	DontLogNull    bool              // option dontlognull
	DontLogNormal  bool              // option dontlog-normal
	SeparateErrors bool              // option log-separate-errors
	Connects       bool              // Format is that of a frontend without one: what was no request has no line
}

// Severity is the line's severity; false means no line at all.
func (p *Policy) Severity(r *sample.Record) (message.Severity, bool) {
	if p.DontLogNull && r.Received == 0 && r.Term[0] != 'X' {
		return 0, false // a port probe: it came and went without a byte. Of what was in flight when a worker was killed the bytes are not known
	}
	failed := p.Failed(r)
	if p.DontLogNormal && !failed {
		return 0, false
	}
	switch {
	case r.Level == sample.LevelSilent:
		return 0, false
	case r.Level > 0:
		return message.Severity(r.Level - 1), true
	case failed && p.SeparateErrors:
		return message.Err, true
	}
	return message.Info, true
}

// Failed tells what HAProxy calls an error: an abnormal end (what lb answered
// by itself on purpose, "L", is none), a retry, a redispatch, or a 5xx.
func (p *Policy) Failed(r *sample.Record) bool {
	switch {
	case r.Redispatched, p.HTTP && r.Status >= 500:
		return true
	case r.Term[0] == '-' || r.Term[0] == 0:
		return r.Retries > 0
	}
	return r.Term[0] != 'L'
}

// Append appends the line, without a line end. What was no request is an error of the
// connection, to HAProxy, too.
func (p *Policy) Append(dst []byte, x *sample.Ctx) []byte {
	if p.Errors != nil && x.Rec.BadReq {
		return p.Errors.Append(dst, x)
	}
	return p.Format.Append(dst, x)
}

// Formats are the named formats, compiled. One set serves a whole worker.
type Formats struct {
	HTTP, HTTPS, TCP, CLF *logformat.Format
	// ConnectHTTP and ConnectTCP are what a frontend without any log format
	// writes, when the connection comes.
	ConnectHTTP, ConnectTCP *logformat.Format
	ConnectNeeds            sample.Needs // of those two

	embryonic *logformat.Format
}

// NewFormats compiles the named formats.
func NewFormats() (*Formats, error) {
	f := &Formats{}
	var uses sample.Uses
	for _, one := range []struct {
		to   **logformat.Format
		text string
	}{
		{&f.HTTP, logformat.HTTPLog}, {&f.HTTPS, logformat.HTTPSLog}, {&f.TCP, logformat.TCPLog}, {&f.CLF, logformat.CLFLog},
		{&f.ConnectHTTP, "Connect from %ci:%cp to %fi:%fp (%f/HTTP)"},
		{&f.ConnectTCP, "Connect from %ci:%cp to %fi:%fp (%f/TCP)"},
		{&f.embryonic, "%ci:%cp [%t] %f/"},
	} {
		var err error
		if *one.to, err = logformat.Parse(one.text, &uses); err != nil {
			return nil, err
		}
	}
	f.ConnectNeeds = uses.LogNeeds() // the named formats before them need nothing
	return f, nil
}

// AppendEmbryonic appends the line of a connection that ended before it could
// carry anything, such as a failed TLS handshake: what names the reason in
// HAProxy's words, bind the listener's name or number.
func (f *Formats) AppendEmbryonic(dst []byte, x *sample.Ctx, bind, what string) []byte {
	dst = f.embryonic.Append(dst, x)
	dst = append(append(dst, bind...), ": "...)
	return append(dst, what...)
}
