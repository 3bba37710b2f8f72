package encode

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"lbsyslogd/syslogd/sink"
)

// otlpJSON is the request of otlp as JSON, for receivers that take no protocol buffers and for people who look at it.
type otlpJSON struct {
	line   line
	origin string
	text   []byte
	host   []byte // of the resource that is being written
	tag    []byte
}

func newOTLPJSON(o Options) (Encoding, error) {
	return &otlpJSON{line: line{Plain: o.Plain}, origin: o.Origin}, nil
}

func (e *otlpJSON) ContentType() string { return "application/json" }
func (e *otlpJSON) Path() string        { return "/v1/logs" }

func (e *otlpJSON) Append(dst []byte, records []sink.Record) []byte {
	const closing = `]}]}`
	dst = append(dst, `{"resourceLogs":[`...)
	for i := range records {
		l := &e.line
		l.parse(records[i].Line)
		if i > 0 && bytes.Equal(l.Host, e.host) && bytes.Equal(l.Tag, e.tag) {
			dst = append(dst, ',')
		} else {
			if i > 0 {
				dst = append(append(dst, closing...), ',')
			}
			e.host, e.tag = append(e.host[:0], l.Host...), append(e.tag[:0], l.Tag...)
			dst = e.appendResource(dst)
		}
		dst = e.appendRecord(dst, &records[i])
	}
	if len(records) > 0 {
		dst = append(dst, closing...)
	}
	return append(dst, `]}`...)
}

func (e *otlpJSON) appendResource(dst []byte) []byte {
	dst = append(dst, `{"resource":{"attributes":[`...)
	if len(e.host) > 0 {
		dst = jsonAttribute(dst, "", hostName, e.host)
	}
	if len(e.tag) > 0 {
		if len(e.host) > 0 {
			dst = append(dst, ',')
		}
		dst = jsonAttribute(dst, "", serviceName, e.tag)
	}
	return append(dst, `]},"scopeLogs":[{"scope":{"name":"`+scope+`"},"logRecords":[`...)
}

func (e *otlpJSON) appendRecord(dst []byte, r *sink.Record) []byte {
	l := &e.line
	dst = strconv.AppendInt(append(dst, `{"timeUnixNano":"`...), l.time().UnixNano(), 10)
	dst = strconv.AppendUint(append(dst, `","severityNumber":`...), severityNumbers[l.Severity()], 10)
	dst = append(append(dst, `,"severityText":"`...), l.Severity().String()...)
	dst = append(appendString(append(dst, `","body":{"stringValue":`...), l.Text), `},"attributes":[`...)
	dst = jsonAttribute(dst, "", facilityName, append(e.text[:0], l.Facility().String()...))
	for _, a := range [...]struct {
		name  string
		value []byte
	}{{processID, l.PID}, {messageID, l.MsgID}, {structuredData, l.Data}} {
		if len(a.value) > 0 {
			dst = jsonAttribute(append(dst, ','), "", a.name, a.value)
		}
	}
	e.text = r.Place.Append(append(append(e.text[:0], e.origin...), '/'))
	dst = jsonAttribute(append(dst, ','), "", recordUID, e.text)
	for i := range l.Fields {
		f := &l.Fields[i]
		dst = append(dst, ',')
		if !f.Numeric {
			dst = jsonAttribute(dst, haproxyPrefix, f.Name, f.Text)
			continue
		}
		dst = append(append(append(dst, `{"key":"`+haproxyPrefix...), f.Name...), `","value":{"intValue":"`...)
		dst = append(strconv.AppendInt(dst, f.Number, 10), `"}}`...)
	}
	dst = append(dst, ']')
	if t := l.trace(); len(t.ID) > 0 {
		var flags [1]byte
		if n, err := hex.Decode(flags[:], t.Flags); err == nil && n == 1 {
			dst = strconv.AppendUint(append(dst, `,"flags":`...), uint64(flags[0]), 10)
		}
		dst = appendMember(dst, `,"traceId":`, t.ID)
		dst = appendMember(dst, `,"spanId":`, t.Span)
	}
	return append(dst, '}')
}

func jsonAttribute(dst []byte, prefix, name string, value []byte) []byte {
	dst = append(append(append(dst, `{"key":"`...), prefix...), name...)
	dst = appendString(append(dst, `","value":{"stringValue":`...), value)
	return append(dst, `}}`...)
}

// Read is that of otlp.
func (e *otlpJSON) Read(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool) {
	return readResponse(status, body, records)
}

// responseOfJSON is responseOf for JSON.
func responseOfJSON(body []byte) (rejected int64, why string, err error) {
	var answer struct {
		Partial struct {
			Rejected json.Number `json:"rejectedLogRecords"` // a text in the specification's JSON, and a number by some
			Message  string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, "", err
	}
	if answer.Partial.Rejected != "" {
		if rejected, err = answer.Partial.Rejected.Int64(); err != nil {
			return 0, "", fmt.Errorf("it rejects %q records", answer.Partial.Rejected)
		}
	}
	return rejected, answer.Partial.Message, nil
}
