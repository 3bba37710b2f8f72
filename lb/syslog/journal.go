package syslog

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"lbsyslogd/syslogd/message"
)

// Format journal is the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL):
// a datagram of fields, "NAME=value\n", or for values with line ends
// "NAME\n", eight bytes of length, and the value. The parameters of
// log-format-sd become fields.

// The most that a field's name may have, and what is put before those that are
// made of parameters, so that none is taken for one of the journal's own.
const (
	fieldName   = 64
	fieldPrefix = "LB_"
)

// fieldsOverhead bounds what the journal's form of a line has besides the line, the
// tag and the parameters.
const fieldsOverhead = 192

// appendJournal appends a line of at most limit bytes with its fields. The line end
// after it is part of the form.
func (h *header) appendJournal(dst []byte, sev message.Severity, data, msg []byte, limit int) []byte {
	dst = append(dst, "PRIORITY="...)
	dst = strconv.AppendInt(dst, int64(sev), 10)
	dst = append(dst, "\nSYSLOG_FACILITY="...)
	dst = strconv.AppendInt(dst, int64(h.facility), 10)
	dst = append(dst, '\n')
	dst = append(dst, h.tail...) // identifier and pid
	dst = appendFields(dst, data)
	return appendField(dst, "MESSAGE", msg[:min(len(msg), limit)])
}

// appendField appends a field without its last line end.
func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	if bytes.IndexByte(value, '\n') < 0 {
		dst = append(dst, '=')
	} else {
		dst = append(dst, '\n')
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
	}
	return append(dst, value...)
}

// appendFields appends the parameters of structured data ([id name="value"]...). What
// has no such form ends them.
func appendFields(dst, data []byte) []byte {
	for at := 0; at < len(data); {
		switch data[at] {
		case '[': // and the element's id
			for at++; at < len(data) && data[at] != ' ' && data[at] != ']'; at++ {
			}
			continue
		case ' ', ']':
			at++
			continue
		}
		equals := bytes.IndexByte(data[at:], '=')
		if equals <= 0 || at+equals+1 >= len(data) || data[at+equals+1] != '"' {
			return dst
		}
		name, begin := data[at:at+equals], at+equals+2
		end := begin
		for end < len(data) && data[end] != '"' {
			if data[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(data) {
			return dst
		}
		dst = appendFieldName(dst, name)
		dst = appendUnescaped(dst, data[begin:end])
		dst = append(dst, '\n')
		at = end + 1
	}
	return dst
}

// appendFieldName appends a parameter's name as a field's: of A-Z, 0-9 and _.
func appendFieldName(dst, name []byte) []byte {
	dst = append(dst, fieldPrefix...)
	for _, c := range name[:min(len(name), fieldName-len(fieldPrefix))] {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		default:
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendUnescaped appends "=" and a parameter's value, or the form for one with line
// ends.
func appendUnescaped(dst, value []byte) []byte {
	binaryForm := bytes.IndexByte(value, '\n') >= 0
	if binaryForm {
		dst = append(dst, "\n\x00\x00\x00\x00\x00\x00\x00\x00"...)
	} else {
		dst = append(dst, '=')
	}
	from := len(dst)
	for i := 0; i < len(value); i++ {
		if c := value[i]; c == '\\' && i+1 < len(value) && bytes.IndexByte([]byte(`"\]`), value[i+1]) >= 0 {
			i++
		}
		dst = append(dst, value[i])
	}
	if binaryForm {
		binary.LittleEndian.PutUint64(dst[from-8:], uint64(len(dst)-from))
	}
	return dst
}
