package encode

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"lbsyslogd/syslogd/haproxyline"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/sink"
)

// otlp is an ExportLogsServiceRequest of the OpenTelemetry protocol. Records in a row that are of one host and one program have a resource together,
// so that the order of lines stays.
//
// The protocol buffers are written by hand: the messages are few, and lengths are written in four bytes before what they are the length of is
// known, which every decoder reads.
type otlp struct {
	line   line
	origin string
	text   []byte
	host   []byte // of the resource that is being written
	tag    []byte
}

func newOTLP(o Options) (Encoding, error) {
	return &otlp{line: line{Plain: o.Plain}, origin: o.Origin}, nil
}

func (e *otlp) ContentType() string { return "application/x-protobuf" }
func (e *otlp) Path() string        { return "/v1/logs" }

// Numbers of fields, and of the messages that they are in (opentelemetry/proto/logs/v1/logs.proto, common/v1/common.proto, resource/v1/resource.proto).
const (
	requestResourceLogs = 1
	resourceLogsOf      = 1
	resourceLogsScopes  = 2
	resourceAttributes  = 1
	scopeLogsScope      = 1
	scopeLogsRecords    = 2
	scopeName           = 1
	recordTime          = 1
	recordSeverity      = 2
	recordSeverityText  = 3
	recordBody          = 5
	recordAttributes    = 6
	recordFlags         = 8
	recordTraceID       = 9
	recordSpanID        = 10
	anyString           = 1
	anyInt              = 3
	attributeKey        = 1
	attributeValue      = 2
)

// Wire types of protocol buffers.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// severityNumbers are OpenTelemetry's for those of syslog (logs data model, appendix B).
var severityNumbers = [message.Severities]uint64{21, 19, 18, 17, 13, 10, 9, 5}

// Attributes of records and resources have the names of OpenTelemetry's conventions where those have one.
const (
	hostName       = "host.name"
	serviceName    = "service.name"
	recordUID      = "log.record.uid" // what comes twice has the same
	facilityName   = "syslog.facility"
	processID      = "syslog.procid"
	messageID      = "syslog.msgid"
	structuredData = "syslog.structured_data"
	haproxyPrefix  = "haproxy."
	scope          = "syslogd"
)

func (e *otlp) Append(dst []byte, records []sink.Record) []byte {
	var resource, scopes int
	for i := range records {
		l := &e.line
		l.parse(records[i].Line)
		if i == 0 || !bytes.Equal(l.Host, e.host) || !bytes.Equal(l.Tag, e.tag) || len(dst)-resource > largest {
			if i > 0 {
				dst = end(end(dst, scopes), resource)
			}
			e.host, e.tag = append(e.host[:0], l.Host...), append(e.tag[:0], l.Tag...)
			dst, resource = begin(dst, requestResourceLogs)
			dst = e.appendResource(dst)
			dst, scopes = begin(dst, resourceLogsScopes)
			var s int
			dst, s = begin(dst, scopeLogsScope)
			dst = end(appendBytes(dst, scopeName, scope), s)
		}
		var record int
		dst, record = begin(dst, scopeLogsRecords)
		dst = end(e.appendRecord(dst, &records[i]), record)
	}
	if len(records) > 0 {
		dst = end(end(dst, scopes), resource)
	}
	return dst
}

func (e *otlp) appendResource(dst []byte) []byte {
	dst, resource := begin(dst, resourceLogsOf)
	if len(e.host) > 0 {
		dst = appendAttribute(dst, resourceAttributes, "", hostName, e.host)
	}
	if len(e.tag) > 0 {
		dst = appendAttribute(dst, resourceAttributes, "", serviceName, e.tag)
	}
	return end(dst, resource)
}

func (e *otlp) appendRecord(dst []byte, r *sink.Record) []byte {
	l := &e.line
	dst = append(dst, recordTime<<3|wire64)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(l.time().UnixNano()))
	dst = append(dst, recordSeverity<<3|wireVarint, byte(severityNumbers[l.Severity()]))
	dst = appendBytes(dst, recordSeverityText, l.Severity().String())
	dst, body := begin(dst, recordBody)
	dst = end(appendBytes(dst, anyString, valid(l.Text)), body)
	dst = appendAttribute(dst, recordAttributes, "", facilityName, l.Facility().String())
	if len(l.PID) > 0 {
		dst = appendAttribute(dst, recordAttributes, "", processID, l.PID)
	}
	if len(l.MsgID) > 0 {
		dst = appendAttribute(dst, recordAttributes, "", messageID, l.MsgID)
	}
	if len(l.Data) > 0 {
		dst = appendAttribute(dst, recordAttributes, "", structuredData, l.Data)
	}
	e.text = r.Place.Append(append(append(e.text[:0], e.origin...), '/'))
	dst = appendAttribute(dst, recordAttributes, "", recordUID, e.text)
	for i := range l.Fields {
		f := &l.Fields[i]
		if f.Numeric {
			dst = appendNumber(dst, recordAttributes, haproxyPrefix, f.Name, f.Number)
		} else {
			dst = appendAttribute(dst, recordAttributes, haproxyPrefix, f.Name, f.Text)
		}
	}
	return e.appendTrace(dst, l.trace())
}

func (e *otlp) appendTrace(dst []byte, t haproxyline.Trace) []byte {
	var flags [1]byte
	if len(t.ID) == 0 {
		return dst
	}
	if n, err := hex.Decode(flags[:], t.Flags); err == nil && n == 1 {
		dst = append(dst, recordFlags<<3|wire32)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(flags[0]))
	}
	dst = append(dst, recordTraceID<<3|wireBytes, byte(len(t.ID)/2))
	dst, _ = hex.AppendDecode(dst, t.ID) // the parser has looked at the digits
	dst = append(dst, recordSpanID<<3|wireBytes, byte(len(t.Span)/2))
	dst, _ = hex.AppendDecode(dst, t.Span)
	return dst
}

// largest is about how many bytes a resource has at most: far less than four bytes of a varint can say.
const largest = 1 << 26

// begin begins a field that is a message: its length is not known yet. at is for end.
func begin(dst []byte, field byte) (_ []byte, at int) {
	return append(dst, field<<3|wireBytes, 0, 0, 0, 0), len(dst) + 5
}

// end writes the length of what has come since begin: a varint of four bytes, however small.
func end(dst []byte, at int) []byte {
	n := len(dst) - at
	dst[at-4], dst[at-3], dst[at-2], dst[at-1] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)|0x80, byte(n>>21)
	return dst
}

// appendBytes appends a field that is a string.
func appendBytes[T string | []byte](dst []byte, field byte, value T) []byte {
	dst = append(dst, field<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// appendAttribute appends a KeyValue whose value is a string.
func appendAttribute[T string | []byte](dst []byte, field byte, prefix, name string, value T) []byte {
	dst, attribute := begin(dst, field)
	dst = appendKey(dst, prefix, name)
	dst, v := begin(dst, attributeValue)
	at := len(dst)
	dst = appendBytes(dst, anyString, value)
	if !utf8.Valid(dst[len(dst)-len(value):]) {
		dst = appendBytes(dst[:at], anyString, valid([]byte(value)))
	}
	return end(end(dst, v), attribute)
}

// appendNumber appends a KeyValue whose value is an integer.
func appendNumber(dst []byte, field byte, prefix, name string, value int64) []byte {
	dst, attribute := begin(dst, field)
	dst = appendKey(dst, prefix, name)
	dst, v := begin(dst, attributeValue)
	dst = append(dst, anyInt<<3|wireVarint)
	dst = binary.AppendUvarint(dst, uint64(value))
	return end(end(dst, v), attribute)
}

func appendKey(dst []byte, prefix, name string) []byte {
	dst = append(dst, attributeKey<<3|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(prefix)+len(name)))
	return append(append(dst, prefix...), name...)
}

// valid is text as a string of protocol buffers may be, which is UTF-8.
func valid(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\ufffd"))
}

// Read finds what an answer says of records that were not taken: how many, and not which. They may not be sent again.
func (e *otlp) Read(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool) {
	return readResponse(status, body, records)
}

// readResponse reads an ExportLogsServiceResponse. It should have the form of the request, but some receivers always answer in JSON, and others never: the
// form is that of which it is. An answer other than 200 need not be one.
func readResponse(status int, body []byte, records []sink.Record) (a sink.Answer, decided bool) {
	if status < 200 || status > 299 {
		return a, false
	}
	read := responseOf
	if text := bytes.TrimSpace(body); len(text) > 0 && text[0] == '{' { // in protocol buffers this is no field's beginning
		read = responseOfJSON
	}
	n, why, err := read(body)
	switch {
	case err != nil && status != 200:
		return a, false
	case err != nil:
		return sink.Answer{Err: fmt.Errorf("the answer is no ExportLogsServiceResponse: %w", err)}, true
	}
	return rejects(n, why, len(records)), true
}

// responseOf reads the protocol buffers: how many records are rejected, and why.
func responseOf(body []byte) (rejected int64, why string, err error) {
	const partialSuccess, rejectedRecords, message = 1, 1, 2
	partial, _, err := field(body, partialSuccess)
	if err != nil {
		return 0, "", err
	}
	_, n, err := field(partial, rejectedRecords)
	text, _, err2 := field(partial, message)
	return int64(n), string(text), errors.Join(err, err2)
}

// rejects is the Answer to a number of records that were rejected.
func rejects(n int64, why string, records int) sink.Answer {
	a := sink.Answer{Verdict: sink.Taken}
	if n > 0 {
		a.Dropped = int(min(n, int64(records)))
		a.Err = fmt.Errorf("%d of %d records rejected: %s", n, records, why)
	}
	return a
}

var errCut = errors.New("it breaks off")

// field looks for a field of a message: its bytes, or its number. Both are zero when it is not there; of several the last one counts.
func field(message []byte, number uint64) (value []byte, n uint64, err error) {
	for len(message) > 0 {
		key, size := binary.Uvarint(message)
		if size <= 0 {
			return nil, 0, errCut
		}
		message = message[size:]
		skip := 0
		switch key & 7 {
		case wireVarint:
			v, size := binary.Uvarint(message)
			if size <= 0 {
				return nil, 0, errCut
			}
			if skip = size; key>>3 == number {
				n = v
			}
		case wireBytes:
			length, size := binary.Uvarint(message)
			if size <= 0 || length > uint64(len(message)-size) {
				return nil, 0, errCut
			}
			if skip = size + int(length); key>>3 == number {
				value = message[size:skip]
			}
		case wire64:
			skip = 8
		case wire32:
			skip = 4
		default:
			return nil, 0, errors.New("it has a field of a kind that is not known: " + strconv.FormatUint(key, 10))
		}
		if skip > len(message) {
			return nil, 0, errCut
		}
		message = message[skip:]
	}
	return value, n, nil
}
