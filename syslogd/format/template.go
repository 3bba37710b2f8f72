package format

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lbsyslogd/syslogd/message"
)

// TemplatePrefix marks the name of a format that is a template; the rest is its text.
const TemplatePrefix = "template:"

// Template is a text with fields of a message in it: "%host% %tag%: %text%". "%Y", "%m", "%d" and "%H" are of the time when the message
// came, because the sender's own may be anything; "%%" is a percent sign. It belongs to one goroutine.
type Template struct {
	parts []part
	value []byte
	stamp message.Stamper
	sent  message.Stamper
}

// part is a literal text, or a field when field is set.
type part struct {
	literal string
	name    string // of the field
	field   func(t *Template, dst []byte, m *message.Message, e *Envelope) []byte
}

// fields are what stands between two percent signs.
func fields() map[string]func(*Template, []byte, *message.Message, *Envelope) []byte {
	type appender = func(*Template, []byte, *message.Message, *Envelope) []byte
	of := func(get func(*message.Message) []byte) appender {
		return func(_ *Template, dst []byte, m *message.Message, _ *Envelope) []byte { return append(dst, get(m)...) }
	}
	return map[string]appender{
		"tag":   of(func(m *message.Message) []byte { return m.Tag }),
		"pid":   of(func(m *message.Message) []byte { return m.PID }),
		"msgid": of(func(m *message.Message) []byte { return m.MsgID }),
		"data":  of(func(m *message.Message) []byte { return m.Data }),
		"text":  of(func(m *message.Message) []byte { return m.Text }),
		"host": func(_ *Template, dst []byte, m *message.Message, e *Envelope) []byte {
			if len(m.Host) > 0 {
				return append(dst, m.Host...)
			}
			return append(dst, e.Host...)
		},
		"peer": func(_ *Template, dst []byte, _ *message.Message, e *Envelope) []byte { return append(dst, e.Host...) },
		"facility": func(_ *Template, dst []byte, m *message.Message, _ *Envelope) []byte {
			return append(dst, m.Facility().String()...)
		},
		"severity": func(_ *Template, dst []byte, m *message.Message, _ *Envelope) []byte {
			return append(dst, m.Severity().String()...)
		},
		"pri": func(_ *Template, dst []byte, m *message.Message, _ *Envelope) []byte {
			return strconv.AppendInt(dst, int64(m.Priority), 10)
		},
		"time": func(_ *Template, dst []byte, m *message.Message, e *Envelope) []byte {
			return appendTime(dst, m, e.Received)
		},
		"stamp": func(t *Template, dst []byte, m *message.Message, e *Envelope) []byte {
			return m.AppendStamp(dst, &t.stamp, &t.sent, e.Received)
		},
		"received": func(_ *Template, dst []byte, _ *message.Message, e *Envelope) []byte {
			return e.Received.AppendFormat(dst, isoLayout)
		},
		"Y": clock("2006"), "m": clock("01"), "d": clock("02"), "H": clock("15"),
	}
}

func clock(layout string) func(*Template, []byte, *message.Message, *Envelope) []byte {
	return func(_ *Template, dst []byte, _ *message.Message, e *Envelope) []byte {
		return e.Received.AppendFormat(dst, layout)
	}
}

// ParseTemplate reads a template.
func ParseTemplate(text string) (*Template, error) {
	known := fields()
	t := &Template{}
	for rest := text; rest != ""; {
		literal, after, percent := strings.Cut(rest, "%")
		if literal != "" {
			t.parts = append(t.parts, part{literal: literal})
		}
		if !percent {
			break
		}
		name, following, closed := strings.Cut(after, "%")
		switch {
		case closed && name == "":
			t.parts = append(t.parts, part{literal: "%"})
			rest = following
		case closed && len(name) > 1 && known[name] != nil:
			t.parts = append(t.parts, part{name: name, field: known[name]})
			rest = following
		case after != "" && known[after[:1]] != nil:
			t.parts = append(t.parts, part{name: after[:1], field: known[after[:1]]})
			rest = after[1:]
		default:
			names := make([]string, 0, len(known))
			for name := range known {
				if len(name) > 1 {
					name += "%"
				}
				names = append(names, "%"+name)
			}
			slices.Sort(names)
			return nil, fmt.Errorf("template %q: %q is not a field; %s are, and %%%% is a percent sign", text, "%"+after, strings.Join(names, ", "))
		}
	}
	return t, nil
}

// Append implements Format. What is in the fields is escaped, and a message that was cut says so at the end of the line.
func (t *Template) Append(dst []byte, m *message.Message, e *Envelope) []byte {
	for _, p := range t.parts {
		if p.field == nil {
			dst = append(dst, p.literal...)
			continue
		}
		t.value = p.field(t, t.value[:0], m, e)
		dst = message.AppendEscaped(dst, t.value)
	}
	dst = appendText(dst, nil, e)
	return append(dst, '\n')
}

const (
	// Other stands in a file's name for a field that may not be in one.
	Other    = "_other"
	maxValue = 64
)

// AppendName appends the template as the name of a file beneath some directory. A field may only bring letters, digits, ".", "_" and "-"
// (colons of addresses become "_"), up to 64 of them and at least one, and not begin with a dot: whatever else it would bring becomes Other, so that nobody who can send a message can choose a place.
// other says that it did.
func (t *Template) AppendName(dst []byte, m *message.Message, e *Envelope) (name []byte, other bool) {
	for _, p := range t.parts {
		if p.field == nil {
			dst = append(dst, p.literal...)
			continue
		}
		t.value = p.field(t, t.value[:0], m, e)
		if !allowed(t.value) {
			dst = append(dst, Other...)
			other = true
			continue
		}
		dst = append(dst, t.value...)
	}
	return dst, other
}

// OtherName is the name with Other in the place of each field.
func (t *Template) OtherName() string {
	var name strings.Builder
	for _, p := range t.parts {
		if p.field == nil {
			name.WriteString(p.literal)
		} else {
			name.WriteString(Other)
		}
	}
	return name.String()
}

// Constant says that there is no field in the template.
func (t *Template) Constant() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.field != nil })
}

func allowed(value []byte) bool {
	if len(value) == 0 || len(value) > maxValue || value[0] == '.' {
		return false
	}
	for i, c := range value {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		case c == ':':
			value[i] = '_'
		default:
			return false
		}
	}
	return true
}
