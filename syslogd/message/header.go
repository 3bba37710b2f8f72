package message

import (
	"strconv"
	"time"
)

// stampLen is the length of "Nov 21 03:04:05".
const stampLen = len(time.Stamp)

// AppendTimestamp appends t as RFC 3164 section 4.1.2 wants it: "Nov 21 03:04:05", the day padded with a space, in t's own zone.
func AppendTimestamp(dst []byte, t time.Time) []byte {
	_, month, day := t.Date()
	hour, minute, second := t.Clock()
	name := month.String()
	dst = append(dst, name[0], name[1], name[2], ' ')
	if day < 10 {
		dst = append(dst, ' ', byte('0'+day))
	} else {
		dst = appendTwo(dst, day)
	}
	dst = append(dst, ' ')
	dst = appendTwo(dst, hour)
	dst = append(dst, ':')
	dst = appendTwo(dst, minute)
	dst = append(dst, ':')
	return appendTwo(dst, second)
}

func appendTwo(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// AppendPriority appends "<PRI>".
func AppendPriority(dst []byte, pri int) []byte {
	dst = append(dst, '<')
	dst = strconv.AppendInt(dst, int64(pri), 10)
	return append(dst, '>')
}

// AppendHeader appends "<PRI>Mmm dd hh:mm:ss [HOST ]TAG[PID]: ". An empty host leaves HOST out, as HAProxy does by default;
// a pid of 0 leaves [PID] out.
func AppendHeader(dst []byte, pri int, t time.Time, host, tag string, pid int) []byte {
	dst = AppendPriority(dst, pri)
	dst = AppendTimestamp(dst, t)
	dst = append(dst, ' ')
	if host != "" {
		dst = append(dst, host...)
		dst = append(dst, ' ')
	}
	dst = append(dst, tag...)
	if pid != 0 {
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(pid), 10)
		dst = append(dst, ']')
	}
	return append(dst, ':', ' ')
}

// A Stamper remembers the text of the last second it was asked for, because a busy sender or receiver asks for the same one
// thousands of times. The zero value is ready. It belongs to one goroutine.
type Stamper struct {
	second int64
	zone   *time.Location
	ready  bool
	text   [stampLen]byte
}

// Append is AppendTimestamp with that memory.
func (s *Stamper) Append(dst []byte, t time.Time) []byte {
	if second := t.Unix(); !s.ready || second != s.second || t.Location() != s.zone {
		s.second, s.zone, s.ready = second, t.Location(), true
		AppendTimestamp(s.text[:0], t)
	}
	return append(dst, s.text[:]...)
}
