package haproxyline

import "bytes"

// traceLen is the length of a traceparent header: 00-<32 digits>-<16 digits>-<2 digits>.
const traceLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

// trace looks for a traceparent among the captures (W3C Trace Context, section 3.2).
func (l *Line) trace() {
	if l.Trace.ID != nil {
		return
	}
	for rest := l.RequestHeaders; len(rest) >= traceLen; {
		var header []byte
		header, rest, _ = bytes.Cut(rest, []byte{'|'})
		if t, ok := parseTrace(header); ok {
			l.Trace = t
			return
		}
	}
}

func parseTrace(b []byte) (t Trace, ok bool) {
	if len(b) < traceLen || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return t, false
	}
	if len(b) > traceLen && (b[traceLen] != '-' || b[0] == '0' && b[1] == '0') {
		return t, false // only later versions may have more
	}
	version := b[:2]
	t = Trace{b[3:35], b[36:52], b[53:55]}
	if !hex(version) || string(version) == "ff" || !hex(t.ID) || !hex(t.Span) || !hex(t.Flags) || zeros(t.ID) || zeros(t.Span) {
		return Trace{}, false
	}
	return t, true
}

func hex(b []byte) bool {
	for _, c := range b {
		if !digit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}
