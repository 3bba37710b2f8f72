package encode

import (
	"strconv"

	"lbsyslogd/syslogd/haproxyline"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/sink"
)

// names are what fields are called, with what stands before the value: `,"host":`.
type names struct {
	time, host, facility, severity, tag, pid, msgid, data, text string
}

var (
	// plainNames are those of an output's format: json.
	plainNames = names{
		time: `{"time":`, host: `,"host":`, facility: `,"facility":`, severity: `,"severity":`, tag: `,"tag":`, pid: `,"pid":`, msgid: `,"msgid":`,
		data: `,"structured_data":`, text: `,"text":`,
	}
	// victoriaNames are those with the names that VictoriaLogs looks for.
	victoriaNames = func() names {
		n := plainNames
		n.time, n.text = `{"_time":`, `,"_msg":`
		return n
	}()
)

// ndjson is one JSON object a line.
type ndjson struct {
	names  names
	path   string
	line   line
	sender sender
}

func newNDJSON(n names, path string) func(o Options) (Encoding, error) {
	return func(o Options) (Encoding, error) {
		return &ndjson{names: n, path: path, line: line{Plain: o.Plain}}, nil
	}
}

func (e *ndjson) ContentType() string { return "application/x-ndjson" }
func (e *ndjson) Path() string        { return e.path }

func (e *ndjson) Append(dst []byte, records []sink.Record) []byte {
	for i := range records {
		dst = e.appendRecord(dst, &records[i])
	}
	e.sender.forget()
	return dst
}

func (e *ndjson) appendRecord(dst []byte, r *sink.Record) []byte {
	l, n := &e.line, &e.names
	l.parse(r.Line)
	dst = append(append(dst, n.time...), '"')
	dst = append(l.appendTime(dst), '"') // digits, and what stands between them
	dst = e.sender.append(dst, &l.Message, n.appendSender)
	dst = appendMember(dst, n.data, l.Data)
	for i := range l.Fields {
		dst = appendField(append(dst, ','), &l.Fields[i])
	}
	dst = append(dst, n.text...)
	dst = appendString(dst, l.Text)
	return append(dst, '}', '\n')
}

func (n *names) appendSender(dst []byte, m *message.Message) []byte {
	dst = appendMember(dst, n.host, m.Host)
	dst = append(append(append(dst, n.facility...), '"'), m.Facility().String()...)
	dst = append(append(append(append(dst, '"'), n.severity...), '"'), m.Severity().String()...)
	dst = append(dst, '"')
	dst = appendMember(dst, n.tag, m.Tag)
	dst = appendMember(dst, n.pid, m.PID)
	return appendMember(dst, n.msgid, m.MsgID)
}

// appendMember appends a member of an object, unless its value is empty. name has what stands before the value.
func appendMember(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	return appendString(dst, value)
}

// appendField appends a field of HAProxy as a member of an object.
func appendField(dst []byte, f *haproxyline.Field) []byte {
	dst = append(append(append(dst, '"'), f.Name...), '"', ':')
	if f.Numeric {
		return strconv.AppendInt(dst, f.Number, 10)
	}
	return appendString(dst, f.Text)
}

// Read takes the status for it.
func (e *ndjson) Read(int, []byte, []sink.Record) (sink.Answer, bool) { return sink.Answer{}, false }
