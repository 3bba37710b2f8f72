package encode

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lbsyslogd/syslogd/haproxyline"
	"lbsyslogd/syslogd/message"
)

// A line takes lines of a file apart, one after the other. What it finds is valid until the next.
type line struct {
	message.Message
	Plain  bool                // no fields of HAProxy
	Fields []haproxyline.Field // empty: the line is none of HAProxy's

	parser  message.Parser
	haproxy haproxyline.Line
}

// parse takes a line apart.
func (l *line) parse(text []byte) {
	l.parser.Parse(&l.Message, text)
	l.Fields = l.Fields[:0]
	if !l.Plain && l.haproxy.Parse(l.Text) {
		l.Fields = l.haproxy.AppendFields(l.Fields)
	}
}

// trace is the W3C trace context of the line, as hexadecimal digits; empty when it has none.
func (l *line) trace() (t haproxyline.Trace) {
	if len(l.Fields) == 0 {
		return t // what haproxy has is an earlier line's
	}
	return l.haproxy.Trace
}

// appendTime appends the time as RFC 3339 wants it.
func (l *line) appendTime(dst []byte) []byte {
	if l.Kind == message.ISOStamp && l.RFC5424 {
		return append(dst, l.Stamp...)
	}
	return l.time().AppendFormat(dst, time.RFC3339Nano)
}

// time is the time of the message, or that of now for a line that has none because it is older than the format of its file.
func (l *line) time() time.Time {
	t, _ := l.Time(time.Now())
	return t
}

// A template is a text with fields in it, as in "logs-%host%-%Y.%m.%d".
type template []piece

// A piece is a text, or a field.
type piece struct {
	text  string
	field func(dst []byte, l *line) []byte // nil: it is the text
}

// fields are what a template may have: what has few values enough to name an index or a stream.
var fields = map[string]func(dst []byte, l *line) []byte{
	"host":     func(dst []byte, l *line) []byte { return append(dst, l.Host...) },
	"tag":      func(dst []byte, l *line) []byte { return append(dst, l.Tag...) },
	"facility": func(dst []byte, l *line) []byte { return append(dst, l.Facility().String()...) },
	"severity": func(dst []byte, l *line) []byte { return append(dst, l.Severity().String()...) },
	"frontend": func(dst []byte, l *line) []byte { return append(dst, l.of(l.haproxy.Frontend)...) },
	"backend":  func(dst []byte, l *line) []byte { return append(dst, l.of(l.haproxy.Backend)...) },
	"server":   func(dst []byte, l *line) []byte { return append(dst, l.of(l.haproxy.Server)...) },
	"Y":        func(dst []byte, l *line) []byte { return l.time().UTC().AppendFormat(dst, "2006") },
	"m":        func(dst []byte, l *line) []byte { return l.time().UTC().AppendFormat(dst, "01") },
	"d":        func(dst []byte, l *line) []byte { return l.time().UTC().AppendFormat(dst, "02") },
}

// of is a part of HAProxy's line, if it is one.
func (l *line) of(part []byte) []byte {
	if len(l.Fields) == 0 {
		return nil
	}
	return part
}

// parseTemplate reads "%NAME%", "%Y", "%m", "%d" and "%%".
func parseTemplate(text string) (t template, err error) {
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		if before != "" {
			t = append(t, piece{text: before})
		}
		if rest = after; !found {
			break
		}
		name := ""
		switch {
		case strings.HasPrefix(rest, "%"):
			t, rest = append(t, piece{text: "%"}), rest[1:]
			continue
		case rest != "" && strings.IndexByte("Ymd", rest[0]) >= 0:
			name, rest = rest[:1], rest[1:]
		default:
			if name, rest, found = strings.Cut(rest, "%"); !found {
				return nil, fmt.Errorf("%q: a percent sign that begins no field is written %%%%", text)
			}
		}
		field := fields[name]
		if field == nil {
			return nil, fmt.Errorf("%q: there is no field %%%s%%; host, tag, facility, severity, frontend, backend, server are, and %%Y, %%m, %%d", text, name)
		}
		t = append(t, piece{field: field})
	}
	return t, nil
}

// constant says whether it has no fields.
func (t template) constant() bool {
	return !slices.ContainsFunc(t, func(p piece) bool { return p.field != nil })
}

func (t template) append(dst []byte, l *line) []byte {
	for _, p := range t {
		if p.field != nil {
			dst = p.field(dst, l)
		} else {
			dst = append(dst, p.text...)
		}
	}
	return dst
}
