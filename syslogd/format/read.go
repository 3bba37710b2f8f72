package format

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/syslogd/message"
)

// Record is what a stored line says. Its slices are views of the line or of the Reader, valid until the next Read; what the line does not say is
// empty.
type Record struct {
	Time     time.Time // zero: none
	Host     []byte
	Tag      []byte
	PID      []byte
	MsgID    []byte
	Data     []byte
	Text     []byte
	Priority int // -1: none
}

// A Reader takes the lines of a format apart again. It belongs to one goroutine.
type Reader struct {
	last  time.Time // when the lines' file was written to last, in the zone of times without one
	time  func(r *Reader, line []byte) (time.Time, bool)
	read  func(r *Reader, line []byte, to *Record)
	has   []string // names of the fields, as in templates
	parts []part   // of a template

	msg     message.Message
	scratch []byte

	// The last time that was read, which the next line probably has too.
	stamp [stampLen]byte
	at    time.Time
}

// stampLen is how long "Nov 21 03:04:05" is.
const stampLen = 15

// NewReader makes the Reader of a format that New knows. zone is that of times without one; nil: local.
func NewReader(name string, zone *time.Location) (*Reader, error) {
	if zone == nil {
		zone = time.Local
	}
	r := &Reader{last: time.Now().In(zone)}
	if text, ok := strings.CutPrefix(name, TemplatePrefix); ok {
		t, err := ParseTemplate(text)
		if err != nil {
			return nil, err
		}
		r.useTemplate(t)
		return r, nil
	}
	if _, err := New(name); err != nil {
		return nil, err
	}
	switch name {
	case "rfc5424":
		r.time, r.read, r.has = (*Reader).headerTime, (*Reader).readHeader, []string{"time", "host", "tag", "severity"}
	case "raw":
		r.time, r.read, r.has = (*Reader).rawTime, (*Reader).readRaw, []string{"time", "host", "tag", "severity"}
	case "json":
		r.time, r.read, r.has = (*Reader).jsonTime, (*Reader).readJSON, []string{"time", "host", "tag", "severity"}
	default:
		r.time, r.read, r.has = (*Reader).stampTime, (*Reader).readTraditional, []string{"time", "host", "tag"}
	}
	return r, nil
}

// Has says whether lines of the format have a field: time, host, tag or severity.
func (r *Reader) Has(field string) bool { return slices.Contains(r.has, field) }

// In sets when the file that the next lines are from was written to last. A time without a year is in the year that makes it the nearest to that.
func (r *Reader) In(last time.Time) {
	r.last = last.In(r.last.Location())
	r.at = time.Time{}
}

// Time reads the time of a line, which is given without its newline. ok is false when it has none.
func (r *Reader) Time(line []byte) (t time.Time, ok bool) { return r.time(r, line) }

// Read takes a line apart, which is given without its newline.
func (r *Reader) Read(line []byte, to *Record) {
	*to = Record{Priority: -1}
	r.read(r, line, to)
	to.Time, _ = r.Time(line)
}

// ofStamp is the time that a stamp at the beginning of b means.
func (r *Reader) ofStamp(b []byte) (time.Time, bool) {
	if len(b) < stampLen {
		return time.Time{}, false
	}
	if !r.at.IsZero() && string(b[:stampLen]) == string(r.stamp[:]) {
		return r.at, true
	}
	m := message.Message{Kind: message.BSDStamp, Stamp: b[:stampLen]}
	t, ok := m.Time(r.last)
	if !ok {
		return time.Time{}, false
	}
	copy(r.stamp[:], b)
	r.at = t
	return t, true
}

// ofISO is the time that text means, which is RFC 3339 or nearly so.
func (r *Reader) ofISO(text []byte) (time.Time, bool) {
	if len(text) < len("2026-11-21T03:04:05") {
		return time.Time{}, false
	}
	m := message.Message{Kind: message.ISOStamp, Stamp: text}
	if t, ok := m.Time(r.last); ok {
		return t, true
	}
	return time.Time{}, false
}

func (r *Reader) stampTime(line []byte) (time.Time, bool) {
	if len(line) > stampLen && line[stampLen] == ' ' {
		return r.ofStamp(line)
	}
	return time.Time{}, false
}

// readTraditional is the counterpart of traditional: after the time comes the host, whatever it looks like, and then what the sender wrote.
func (r *Reader) readTraditional(line []byte, to *Record) {
	if _, ok := r.stampTime(line); !ok {
		to.Text = line
		return
	}
	host, rest, _ := bytes.Cut(line[stampLen+1:], blank)
	// Before the parser an ordinary name stands in its place, so that it is taken for one.
	r.scratch = append(append(append(r.scratch[:0], line[:stampLen]...), " localhost "...), rest...)
	r.msg.Parse(r.scratch)
	to.Host, to.Tag, to.PID, to.Text = host, r.msg.Tag, r.msg.PID, r.msg.Text
}

var blank = []byte{' '}

func (r *Reader) headerTime(line []byte) (time.Time, bool) {
	end := bytes.IndexByte(line[:min(len(line), len("<191>"))], '>')
	if end < 0 || len(line) < end+4 || line[end+1] != '1' || line[end+2] != ' ' {
		return time.Time{}, false
	}
	line = line[end+3:]
	if end = bytes.IndexByte(line, ' '); end < 0 {
		return time.Time{}, false
	}
	return r.ofISO(line[:end])
}

func (r *Reader) readHeader(line []byte, to *Record) {
	if _, ok := r.headerTime(line); !ok {
		to.Text = line
		return
	}
	r.readRaw(line, to)
}

func (r *Reader) rawTime(line []byte) (time.Time, bool) {
	r.msg.Parse(line)
	t, ok := r.msg.Time(r.last)
	if !ok {
		t = time.Time{}
	}
	return t, ok
}

func (r *Reader) readRaw(line []byte, to *Record) {
	r.msg.Parse(line)
	m := &r.msg
	to.Host, to.Tag, to.PID, to.MsgID, to.Data, to.Text = m.Host, m.Tag, m.PID, m.MsgID, m.Data, m.Text
	if len(line) > 0 && line[0] == '<' {
		to.Priority = m.Priority
	}
}

func (r *Reader) jsonTime(line []byte) (time.Time, bool) {
	const front = `{"time":"`
	rest, ok := bytes.CutPrefix(line, []byte(front))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return time.Time{}, false
	}
	return r.ofISO(rest[:end])
}

func (r *Reader) readJSON(line []byte, to *Record) {
	var rec record
	if err := json.Unmarshal(line, &rec); err != nil {
		to.Text = line
		return
	}
	to.Host, to.Tag, to.PID, to.MsgID, to.Data, to.Text = []byte(rec.Host), []byte(rec.Tag), []byte(rec.PID), []byte(rec.MsgID), []byte(rec.Data), []byte(rec.Text)
	to.Priority = priorityOf(rec.Facility, rec.Severity)
}

// priorityOf makes a priority of two names; without that of a facility it is user's.
func priorityOf(facility, severity string) int {
	s, ok := message.ParseSeverity(severity)
	if !ok {
		return -1
	}
	f, ok := message.ParseFacility(facility)
	if !ok {
		f = message.User
	}
	return message.Priority(f, s)
}

// useTemplate has the Reader take lines of a template apart. A field ends where the text after it in the template begins for the first time;
// fields of a fixed length need none. What comes after two fields that nothing separates cannot be read.
func (r *Reader) useTemplate(t *Template) {
	r.time, r.read = (*Reader).templateTime, (*Reader).readTemplate
	for i, p := range t.parts {
		if p.field != nil && i+1 < len(t.parts) && t.parts[i+1].field != nil && fixedLength(p.name) == 0 {
			break
		}
		r.parts = append(r.parts, p)
		if p.field == nil {
			continue
		}
		name := p.name
		switch name {
		case "received", "stamp":
			name = "time"
		case "pri":
			name = "severity"
		}
		r.has = append(r.has, name)
	}
	if !r.Has("host") && r.Has("peer") {
		r.has = append(r.has, "host")
	}
}

func fixedLength(field string) int {
	switch field {
	case "stamp":
		return stampLen
	case "Y":
		return 4
	case "m", "d", "H":
		return 2
	}
	return 0
}

// fields calls do with each field of a line, until that returns false. It returns false at what the template does not fit.
func (r *Reader) fields(line []byte, do func(name string, value []byte) bool) {
	for i, p := range r.parts {
		if p.field == nil {
			rest, ok := bytes.CutPrefix(line, []byte(p.literal))
			if !ok {
				return
			}
			line = rest
			continue
		}
		end := fixedLength(p.name)
		switch {
		case end > 0 || i+1 == len(r.parts):
		case r.parts[i+1].field == nil:
			if end = bytes.Index(line, []byte(r.parts[i+1].literal)); end < 0 {
				return
			}
		default:
			return
		}
		if end == 0 && i+1 == len(r.parts) {
			end = len(line)
		}
		if end > len(line) || !do(p.name, line[:end]) {
			return
		}
		line = line[end:]
	}
}

func (r *Reader) templateTime(line []byte) (t time.Time, ok bool) {
	r.fields(line, func(name string, value []byte) bool {
		switch name {
		case "time", "received":
			t, ok = r.ofISO(value)
		case "stamp":
			t, ok = r.ofStamp(value)
		}
		return !ok
	})
	return t, ok
}

func (r *Reader) readTemplate(line []byte, to *Record) {
	var facility, severity, peer string
	r.fields(line, func(name string, value []byte) bool {
		switch name {
		case "host":
			to.Host = value
		case "peer":
			peer = string(value)
		case "tag":
			to.Tag = value
		case "pid":
			to.PID = value
		case "msgid":
			to.MsgID = value
		case "data":
			to.Data = value
		case "text":
			to.Text = value
		case "facility":
			facility = string(value)
		case "severity":
			severity = string(value)
		case "pri":
			if n, err := strconv.Atoi(string(value)); err == nil && n >= 0 && n < message.Facilities*message.Severities {
				to.Priority = n
			}
		}
		return true
	})
	if to.Host == nil && peer != "" {
		to.Host = []byte(peer)
	}
	if severity != "" {
		to.Priority = priorityOf(facility, severity)
	}
}
