package message

// A Parser parses messages that come one after the other and remembers the header of the last one. A busy sender's messages of a
// second begin with the same bytes, "<134>Nov 21 03:04:05 haproxy[42]: ", and comparing those costs a fraction of taking them apart.
// The zero value is ready. It belongs to one goroutine.
type Parser struct {
	head [longestHead]byte // what the last message of RFC 3164 had before its text
	n    int               // of them; 0: it had no header that tells everything

	// Where the parts are in head, which the text follows.
	priority              int
	kind                  StampKind
	stamp, host, tag, pid part
	content               int

	five repeated5424
}

// byteOrderMark is how a byte order mark begins, which is not a part of the text. Nor is a percent sign certain to be: "fw-a: " is a tag, but the
// host's name before "%ASA-6-302013: ".
const byteOrderMark = 0xef

// longestHead is enough for a time, a host name of usual length, a tag and a pid.
const longestHead = 128

// part is head[from:to].
type part struct{ from, to uint8 }

// Parse is m.Parse(b).
func (p *Parser) Parse(m *Message, b []byte) {
	b = TrimTrailer(b)
	if n := p.n; n > 0 && len(b) >= n && string(b[:n]) == string(p.head[:n]) && (len(b) == n || b[n] != byteOrderMark && b[n] != '%') {
		// Field by field: a whole Message would be made elsewhere and copied.
		m.Priority, m.Kind, m.RFC5424 = p.priority, p.kind, false
		m.Stamp, m.Host, m.Tag, m.PID = p.stamp.of(b), p.host.of(b), p.tag.of(b), p.pid.of(b)
		m.MsgID, m.Data = nil, nil
		m.Text, m.Content = b[n:], b[p.content:]
		return
	}
	if p.five.parse(m, b) {
		return
	}
	m.Parse(b)
	p.remember(m, b)
}

func (s part) of(b []byte) []byte {
	if s.to == 0 {
		return nil
	}
	return b[s.from:s.to]
}

// remember keeps what stands before the text, if it alone decides how a message that begins with it is taken apart: that is so after
// a time and a tag with a space after it. A header without a time may turn into another one by what follows.
func (p *Parser) remember(m *Message, b []byte) {
	n := len(b) - len(m.Text)
	p.n = 0
	if m.RFC5424 {
		p.five.remember(m, b)
		return
	}
	if m.Kind == NoStamp || len(m.Data) > 0 || len(m.Tag) == 0 || n > longestHead || b[n-1] != ' ' || isDevice(m.Tag) {
		return
	}
	where := func(view []byte) part {
		if view == nil {
			return part{}
		}
		from := cap(b) - cap(view) // all are views of b up to its end
		return part{uint8(from), uint8(from + len(view))}
	}
	p.n = copy(p.head[:], b[:n])
	p.priority, p.kind, p.content = m.Priority, m.Kind, len(b)-len(m.Content)
	p.stamp, p.host, p.tag, p.pid = where(m.Stamp), where(m.Host), where(m.Tag), where(m.PID)
}
