package encode

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/sink"
)

// elastic is a bulk request of Elasticsearch or OpenSearch: a line with an action and one with a document for each record. Fields have the names of
// the Elastic Common Schema where that has one; those of HAProxy are in the object haproxy.
//
// The action is create with an id that is made of the record's place: what arrives twice is there once, and data streams take nothing else.
type elastic struct {
	line   line
	index  template
	origin string
	text   []byte
	action []byte // up to the place in the id, if it is the same for each record; else empty
	sender sender
}

// defaultIndex is a data stream that the built-in template for logs covers.
const defaultIndex = "logs-syslog-default"

func newElastic(o Options) (Encoding, error) {
	name := o.Index
	if name == "" {
		name = defaultIndex
	}
	index, err := parseTemplate(name)
	if err != nil {
		return nil, fmt.Errorf("index %w", err)
	}
	for _, p := range index {
		if strings.ToLower(p.text) != p.text || strings.ContainsAny(p.text, `\/*?"<>| ,#:`) {
			return nil, fmt.Errorf(`index %q: the name of an index is in lower case and has none of \ / * ? " < > | , # : and space`, name)
		}
	}
	if strings.IndexByte("-_+.", name[0]) >= 0 {
		return nil, fmt.Errorf("index %q: the name of an index does not begin with - _ + or a dot", name)
	}
	e := &elastic{line: line{Plain: o.Plain}, index: index, origin: o.Origin}
	if index.constant() {
		e.action = e.appendOpening(nil)
	}
	return e, nil
}

func (e *elastic) ContentType() string { return "application/x-ndjson" }

// Path asks for no more of the answer than is looked at.
func (e *elastic) Path() string { return "/_bulk?filter_path=errors,items.*.status,items.*.error" }

func (e *elastic) Append(dst []byte, records []sink.Record) []byte {
	for i := range records {
		e.line.parse(records[i].Line)
		dst = e.appendAction(dst, &records[i])
		dst = e.appendDocument(dst)
	}
	e.sender.forget()
	return dst
}

func (e *elastic) appendAction(dst []byte, r *sink.Record) []byte {
	if len(e.action) > 0 {
		dst = append(dst, e.action...)
	} else {
		dst = e.appendOpening(dst)
	}
	return append(r.Place.Append(dst), "\"}}\n"...)
}

// appendOpening appends an action up to the place in the id.
func (e *elastic) appendOpening(dst []byte) []byte {
	dst = append(dst, `{"create":{"_index":`...)
	e.text = e.index.append(e.text[:0], &e.line)
	for i, c := range e.text {
		switch {
		case c >= 'A' && c <= 'Z':
			e.text[i] = c + 'a' - 'A'
		case c < 0x80 && strings.IndexByte(`\/*?"<>| ,#:`, c) >= 0:
			e.text[i] = '_'
		}
	}
	dst = appendString(dst, e.text)
	dst = append(dst, `,"_id":`...)
	e.text = append(append(e.text[:0], e.origin...), '/')
	dst = appendString(dst, e.text)
	return dst[:len(dst)-1] // the string goes on
}

func (e *elastic) appendDocument(dst []byte) []byte {
	l := &e.line
	dst = append(dst, `{"@timestamp":"`...)
	dst = append(l.appendTime(dst), '"') // digits, and what stands between them
	dst = e.sender.append(dst, &l.Message, appendECS)
	dst = appendMember(dst, `,"structured_data":`, l.Data)
	if t := l.trace(); len(t.ID) > 0 {
		dst = append(appendString(append(dst, `,"trace":{"id":`...), t.ID), '}')
		dst = append(appendString(append(dst, `,"span":{"id":`...), t.Span), '}')
	}
	for i := range l.Fields {
		if i == 0 {
			dst = append(dst, `,"haproxy":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendField(dst, &l.Fields[i])
	}
	if len(l.Fields) > 0 {
		dst = append(dst, '}')
	}
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, l.Text)
	return append(dst, '}', '\n')
}

// appendECS appends what a document has of the sender.
func appendECS(dst []byte, m *message.Message) []byte {
	if len(m.Host) > 0 {
		dst = append(appendString(append(dst, `,"host":{"name":`...), m.Host), '}')
	}
	if len(m.Tag) > 0 || len(m.PID) > 0 {
		dst = append(dst, `,"process":{`...)
		dst = appendMember(dst, `"name":`, m.Tag)
		if pid, err := strconv.ParseUint(string(m.PID), 10, 31); err == nil {
			if len(m.Tag) > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(append(dst, `"pid":`...), pid, 10)
		}
		dst = append(dst, '}')
	}
	dst = append(append(dst, `,"log":{"level":"`...), m.Severity().String()...)
	dst = strconv.AppendInt(append(dst, `","syslog":{"facility":{"code":`...), int64(m.Facility()), 10)
	dst = append(append(dst, `,"name":"`...), m.Facility().String()...)
	dst = strconv.AppendInt(append(dst, `"},"severity":{"code":`...), int64(m.Severity()), 10)
	dst = append(append(dst, `,"name":"`...), m.Severity().String()...)
	dst = append(dst, `"}`...)
	dst = appendMember(dst, `,"procid":`, m.PID)
	dst = appendMember(dst, `,"msgid":`, m.MsgID)
	return append(dst, `}}`...)
}

// bulkAnswer is the answer to a bulk request: an item for each record, in order.
type bulkAnswer struct {
	Errors *bool `json:"errors"` // nil: the answer is some other object, of a proxy perhaps
	Items  []map[string]struct {
		Status int `json:"status"`
		Error  struct {
			Type   string `json:"type"`
			Reason string `json:"reason"`
		} `json:"error"`
	} `json:"items"`
}

// Read looks at each item of an answer of 200: one has a status of its own.
func (e *elastic) Read(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool) {
	if status < 200 || status > 299 {
		return a, false
	}
	var answer bulkAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return sink.Answer{Err: fmt.Errorf("the answer is no bulk answer: %w", err)}, true
	}
	if answer.Errors == nil {
		return sink.Answer{Err: errors.New(`the answer is no bulk answer: it does not say whether there were errors ("errors")`)}, true
	}
	if !*answer.Errors {
		return sink.Answer{Verdict: sink.Taken}, true
	}
	if len(answer.Items) != len(records) {
		return sink.Answer{Err: fmt.Errorf("the answer is about %d records of %d", len(answer.Items), len(records))}, true
	}
	a.Verdict = sink.Taken
	var refused, again error
	failed := 0
	for i, item := range answer.Items {
		if len(item) == 0 {
			a.Again, again = append(a.Again, i), errors.New("an item of the answer has no action")
		}
		for _, of := range item { // one action
			err := errors.New(strings.TrimSpace(fmt.Sprintf("status %d %s: %s", of.Status, of.Error.Type, of.Error.Reason)))
			switch {
			case of.Status >= 200 && of.Status < 300 || of.Status == 409: // it is there already
			case of.Status == 400 || of.Status == 413 || of.Status == 422:
				a.Refused, refused = append(a.Refused, i), err
			default: // 429 and 5xx pass by themselves; 403 and 404 when somebody has corrected what is wrong
				a.Again, again = append(a.Again, i), err
				if of.Status == 500 {
					failed++
				}
			}
		}
	}
	if failed == len(records) { // they are what is left of a batch, perhaps, for which it fails each time
		return sink.Answer{Verdict: sink.Faulty, Err: again}, true
	}
	a.Err = again
	if again == nil {
		a.Err = refused
	}
	return a, true
}
