// Package encode makes the bodies of requests from records, in the form that a receiver of logs takes, and reads what it answers.
//
//  1. New returns the Encoding of a name (this file),
//  2. its Append takes the line of each record apart, and writes the fields under the receiver's names (ndjson.go),
//  3. its Read says what became of the records, where an answer of 200 does not mean that all were taken.
package encode

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/sink"
)

// An Encoding belongs to one goroutine.
type Encoding interface {
	// ContentType is what the body is.
	ContentType() string
	// Path is where receivers take it, for a URL that has none.
	Path() string
	// Append appends the body of a request.
	Append(dst []byte, records []sink.Record) []byte
	// Read says what became of so many records by the body of an answer with a status of success.
	Read(body []byte, records int) sink.Answer
}

// encodings makes the Encodings by their names.
var encodings = map[string]func() Encoding{
	"ndjson":       func() Encoding { return &ndjson{names: plainNames, path: "/"} },
	"victorialogs": func() Encoding { return &ndjson{names: victoriaNames, path: "/insert/jsonline"} },
}

// New returns the Encoding of a name.
func New(name string) (Encoding, error) {
	make, ok := encodings[name]
	if !ok {
		return nil, fmt.Errorf("encoding %q is not known; %s are", name, strings.Join(Names(), ", "))
	}
	return make(), nil
}

// Names are the names that New knows.
func Names() []string { return slices.Sorted(maps.Keys(encodings)) }

// A line takes lines of a file apart, one after the other. What it finds is valid until the next.
type line struct {
	message.Message
	parser message.Parser
}

// parse takes a line apart. A line that is no message, because it is older than the format of its file, has the time of now.
func (l *line) parse(text []byte) { l.parser.Parse(&l.Message, text) }

// appendTime appends the time as RFC 3339 wants it.
func (l *line) appendTime(dst []byte) []byte {
	if l.Kind == message.ISOStamp && l.RFC5424 {
		return append(dst, l.Stamp...)
	}
	return l.time().AppendFormat(dst, time.RFC3339Nano)
}

func (l *line) time() time.Time {
	t, _ := l.Time(time.Now())
	return t
}
