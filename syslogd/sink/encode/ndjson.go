package encode

import "lbsyslogd/syslogd/sink"

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
	names names
	path  string
	line  line
	time  []byte
}

func (e *ndjson) ContentType() string { return "application/x-ndjson" }
func (e *ndjson) Path() string        { return e.path }

func (e *ndjson) Append(dst []byte, records []sink.Record) []byte {
	for _, r := range records {
		dst = e.appendRecord(dst, r)
	}
	return dst
}

func (e *ndjson) appendRecord(dst []byte, r sink.Record) []byte {
	l, n := &e.line, &e.names
	l.parse(r.Line)
	dst = append(dst, n.time...)
	e.time = l.appendTime(e.time[:0])
	dst = appendString(dst, e.time)
	field := func(name string, value []byte) {
		if len(value) > 0 {
			dst = append(dst, name...)
			dst = appendString(dst, value)
		}
	}
	field(n.host, l.Host)
	dst = append(append(append(dst, n.facility...), '"'), l.Facility().String()...)
	dst = append(append(append(append(dst, '"'), n.severity...), '"'), l.Severity().String()...)
	dst = append(dst, '"')
	field(n.tag, l.Tag)
	field(n.pid, l.PID)
	field(n.msgid, l.MsgID)
	field(n.data, l.Data)
	dst = append(dst, n.text...)
	dst = appendString(dst, l.Text)
	return append(dst, '}', '\n')
}

// Read takes the status for it.
func (e *ndjson) Read([]byte, int) sink.Answer { return sink.Answer{Verdict: sink.Taken} }
