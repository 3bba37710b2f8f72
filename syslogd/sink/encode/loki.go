package encode

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lbsyslogd/syslogd/sink"
)

// loki is a push request as JSON: streams with their labels, and in each the lines in order. What is no label is structured metadata.
type loki struct {
	line    line
	labels  []label
	noMeta  bool
	key     []byte
	value   []byte
	number  []byte
	streams map[string]int // index in values by the labels, as JSON
	values  []stream       // those of this request; what is after them keeps its memory
}

// A label has few values: each set of them is a stream.
type label struct {
	name  string // as JSON, with a colon
	value template
}

// A stream is one of a request.
type stream struct {
	labels string
	values []byte // entries, separated by commas
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func newLoki(o Options) (Encoding, error) {
	if o.Labels == nil {
		o.Labels = map[string]string{"host": "%host%", "tag": "%tag%"}
	}
	e := &loki{line: line{Plain: o.Plain}, noMeta: o.NoMeta, streams: make(map[string]int)}
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		if !labelName.MatchString(name) {
			return nil, fmt.Errorf("labels: %q is not the name of a label: letters, digits and _ are", name)
		}
		value, err := parseTemplate(o.Labels[name])
		if err != nil {
			return nil, fmt.Errorf("label %s: %w", name, err)
		}
		e.labels = append(e.labels, label{`"` + name + `":`, value})
	}
	if len(e.labels) == 0 {
		return nil, errors.New("labels is empty; a stream has at least one")
	}
	return e, nil
}

func (e *loki) ContentType() string { return "application/json" }
func (e *loki) Path() string        { return "/loki/api/v1/push" }

func (e *loki) Append(dst []byte, records []sink.Record) []byte {
	clear(e.streams)
	for i := range e.values {
		e.values[i].values = e.values[i].values[:0]
	}
	used := 0
	for i := range records {
		l := &e.line
		l.parse(records[i].Line)
		e.key = e.appendLabels(e.key[:0])
		at, known := e.streams[string(e.key)]
		if !known {
			if at = used; at == len(e.values) {
				e.values = append(e.values, stream{})
			}
			used++
			e.values[at].labels = string(e.key)
			e.streams[e.values[at].labels] = at
		}
		e.values[at].values = e.appendEntry(e.values[at].values)
	}
	from := len(dst)
	dst = append(dst, `{"streams":[`...)
	for i := range e.values[:used] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"stream":`...), e.values[i].labels...)
		dst = append(append(dst, `,"values":[`...), e.values[i].values...)
		dst = append(dst, `]}`...)
	}
	dst = append(dst, `]}`...)
	e.trim(len(dst) - from)
	return dst
}

// trim gives memory back when that of all streams is far more than a request needs: which of them are large changes from one to the next.
func (e *loki) trim(size int) {
	held := 0
	for i := range e.values {
		held += cap(e.values[i].values)
	}
	if held > 4*size+1<<20 {
		e.values = nil
	}
}

// appendLabels appends the labels of the line. One without a value is left out, and one at least is there.
func (e *loki) appendLabels(dst []byte) []byte {
	dst = append(dst, '{')
	empty := len(dst)
	for i := range e.labels {
		e.value = e.labels[i].value.append(e.value[:0], &e.line)
		if len(e.value) == 0 {
			continue
		}
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		dst = append(dst, e.labels[i].name...)
		dst = appendString(dst, e.value)
	}
	if len(dst) == empty {
		dst = append(dst, `"job":"syslogd"`...)
	}
	return append(dst, '}')
}

// appendEntry appends ["nanoseconds","text",{metadata}].
func (e *loki) appendEntry(dst []byte) []byte {
	l := &e.line
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `["`...)
	dst = strconv.AppendInt(dst, l.time().UnixNano(), 10)
	dst = append(dst, `",`...)
	dst = appendString(dst, l.Text)
	if e.noMeta {
		return append(dst, ']')
	}
	dst = append(append(dst, `,{"facility":"`...), l.Facility().String()...)
	dst = append(append(dst, `","level":"`...), l.Severity().String()...)
	dst = append(dst, '"')
	dst = appendMember(dst, `,"pid":`, l.PID)
	dst = appendMember(dst, `,"msgid":`, l.MsgID)
	dst = appendMember(dst, `,"structured_data":`, l.Data)
	for i := range l.Fields {
		f := &l.Fields[i]
		dst = append(append(append(dst, `,"`...), f.Name...), `":`...)
		text := f.Text
		if f.Numeric { // metadata are texts
			e.number = strconv.AppendInt(e.number[:0], f.Number, 10)
			text = e.number
		}
		dst = appendString(dst, text)
	}
	return append(dst, "}]"...)
}

// oldest is how Loki says from when on it takes lines.
var oldest = regexp.MustCompile(`oldest acceptable timestamp is: ([0-9TZ:.+-]+)`)

// Read finds the lines that are too old, which Loki refuses by a status of 400: after an outage there may be many, one after the other.
func (e *loki) Read(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool) {
	m := oldest.FindSubmatch(body)
	if status != 400 || m == nil {
		return a, false
	}
	limit, err := time.Parse(time.RFC3339Nano, string(m[1]))
	if err != nil {
		return a, false
	}
	for i := range records {
		if e.line.parse(records[i].Line); e.line.time().Before(limit) {
			a.Refused = append(a.Refused, i)
		} else {
			// Loki has taken it, unless it was refused for another reason. It ignores what it has.
			a.Again = append(a.Again, i)
		}
	}
	if len(a.Refused) == 0 {
		return a, false
	}
	a.Verdict = sink.Taken
	a.Err = fmt.Errorf("the line is too old: %s", m[0])
	return a, true
}
