// Package encode makes the bodies of requests from records, in the form that a receiver of logs takes, and reads what it answers.
//
//  1. New returns the Encoding of a name (this file),
//  2. its Append takes the line of each record apart, as a message and as a line of HAProxy (line.go),
//  3. and writes the fields as the receiver wants them: a line of JSON each (ndjson.go), actions of a bulk request (elastic.go), streams with
//     labels (loki.go), or log records of OpenTelemetry (otlp.go),
//  4. its Read says what became of the records, where the status of an answer does not say all of it.
package encode

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lbsyslogd/syslogd/sink"
)

// An Encoding belongs to one goroutine.
type Encoding interface {
	// ContentType is what the body is.
	ContentType() string
	// Path is where receivers take it, for a URL that has none, perhaps with a query.
	Path() string
	// Append appends the body of a request.
	Append(dst []byte, records []sink.Record) []byte
	// Read says what became of records by the body of an answer. decided is false when the status says it all.
	Read(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool)
}

// Options are what a receiver gets. The zero value is the usual case.
type Options struct {
	Plain  bool              // the fields of the message alone, and not those of a line of HAProxy
	Labels map[string]string // of loki: templates of the values
	NoMeta bool              // of loki: no structured metadata
	Index  string            // of elasticsearch: a template of the index's name
	Origin string            // what makes a record's place unique among hosts
}

// An encoding is what is known of a name.
type encoding struct {
	make func(o Options) (Encoding, error)
	// What else the name allows.
	labels, index, zstd bool
}

var encodings = map[string]encoding{
	"ndjson":        {make: newNDJSON(plainNames, "/"), zstd: true},
	"victorialogs":  {make: newNDJSON(victoriaNames, "/insert/jsonline"), zstd: true},
	"elasticsearch": {make: newElastic, index: true},
	"loki":          {make: newLoki, labels: true},
	"otlp":          {make: newOTLP, zstd: true},
	"otlp-json":     {make: newOTLPJSON, zstd: true},
}

// New returns the Encoding of a name.
func New(name string, o Options) (Encoding, error) {
	e, ok := encodings[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("encoding %q is not known; %s are", name, strings.Join(Names(), ", "))
	case o.Index != "" && !e.index:
		return nil, fmt.Errorf("index means nothing for %s; it is elasticsearch's", name)
	case (o.Labels != nil || o.NoMeta) && !e.labels:
		return nil, fmt.Errorf("labels and metadata mean nothing for %s; they are loki's", name)
	}
	return e.make(o)
}

// Zstd says whether receivers of an encoding take bodies that are compressed with zstd. All take gzip.
func Zstd(name string) bool { return encodings[name].zstd }

// Names are the names that New knows.
func Names() []string { return slices.Sorted(maps.Keys(encodings)) }
