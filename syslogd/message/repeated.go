package message

import "bytes"

// repeated5424 is the header of the last message of RFC 5424 without its time, "<134>1 " and " web1 haproxy 42 - - ": a sender's messages have the
// same again and again, and each a time of its own.
type repeated5424 struct {
	head        [longestHead]byte // what stands before the time, and what stands between the time and the text
	front, tail int               // how much of head each of them is; tail 0: no header is remembered

	// Where the parts are in what follows the time.
	priority                    int
	host, tag, pid, msgID, data part
}

// parse takes a message apart whose header is the remembered one. Parts of such a header are where they were, whatever the text is, unless that begins
// with a byte order mark.
func (r *repeated5424) parse(m *Message, b []byte) bool {
	if r.tail == 0 || len(b) < r.front+r.tail || string(b[:r.front]) != string(r.head[:r.front]) {
		return false
	}
	size := bytes.IndexByte(b[r.front:], ' ')
	if size < 0 {
		return false
	}
	stamp := b[r.front : r.front+size]
	rest := b[r.front+size:]
	if len(rest) < r.tail || string(rest[:r.tail]) != string(r.head[r.front:r.front+r.tail]) {
		return false
	}
	text := rest[r.tail:]
	if len(text) > 0 && text[0] == byteOrderMark {
		return false
	}
	if n, kind := isoStamp(stamp); n < size || kind != ISOStamp {
		return false
	}
	// Field by field, as in Parser.Parse.
	m.Priority, m.Kind, m.RFC5424 = r.priority, ISOStamp, true
	m.Stamp = stamp
	m.Host, m.Tag, m.PID, m.MsgID, m.Data = r.host.of(rest), r.tag.of(rest), r.pid.of(rest), r.msgID.of(rest), r.data.of(rest)
	m.Text, m.Content = text, text
	return true
}

// remember keeps the header of m, which b is, if it has all its fields with one blank between each two: then nothing that follows is a part of it.
func (r *repeated5424) remember(m *Message, b []byte) {
	r.tail = 0
	if m.Kind != ISOStamp {
		return
	}
	front := cap(b) - cap(m.Stamp) // all are views of b up to its end
	end := front + len(m.Stamp)
	tail := cap(b) - cap(m.Text) - end
	if tail <= 0 || front+tail > longestHead {
		return
	}
	rest := b[end : end+tail]
	at := 0
	for _, field := range []struct {
		view []byte
		part *part
	}{{m.Host, &r.host}, {m.Tag, &r.tag}, {m.PID, &r.pid}, {m.MsgID, &r.msgID}, {m.Data, &r.data}} {
		at++ // the blank before
		size := max(len(field.view), len("-"))
		if at+size >= len(rest) || rest[at-1] != ' ' || rest[at+size] != ' ' {
			return
		}
		*field.part = part{}
		if field.view == nil {
			if rest[at] != '-' {
				return
			}
		} else if *field.part = (part{uint8(at), uint8(at + size)}); cap(rest)-cap(field.view) != at {
			return
		}
		at += size
	}
	if at++; at != len(rest) {
		return
	}
	copy(r.head[copy(r.head[:], b[:front]):], rest)
	r.priority, r.front, r.tail = m.Priority, front, tail
}
