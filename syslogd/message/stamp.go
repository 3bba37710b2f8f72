package message

import "time"

// bsdStamp is the length of a time such as "Nov 21 03:04:05" at the front of b: 15, or 0 when there is none. A day below ten
// stands behind a space or a zero.
func bsdStamp(b []byte) int {
	if len(b) < stampLen || b[3] != ' ' || b[6] != ' ' || b[9] != ':' || b[12] != ':' || month(b) == 0 {
		return 0
	}
	day := int(b[5] - '0')
	if b[4] != ' ' {
		day = two(b[4:])
	}
	if !isDigit(b[5]) || day < 1 || day > 31 {
		return 0
	}
	if hour, minute, second := two(b[7:]), two(b[10:]), two(b[13:]); hour > 23 || minute > 59 || second > 60 {
		return 0
	}
	return stampLen
}

// month is 1 to 12 for "Jan" to "Dec" at the front of b, 0 for anything else.
func month(b []byte) time.Month {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for m := range 12 {
		if name := names[3*m:]; b[0] == name[0] && b[1] == name[1] && b[2] == name[2] {
			return time.Month(m + 1)
		}
	}
	return 0
}

// two reads two digits; anything else is 99, which no field of a time allows.
func two(b []byte) int {
	if !isDigit(b[0]) || !isDigit(b[1]) {
		return 99
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

func isoStamp(b []byte) bool {
	_, ok := ParseISO(b)
	return ok
}

func localStamp(b []byte) bool {
	_, rest, ok := isoClock(b)
	return ok && len(rest) == 0
}

// ParseISO reads an RFC 3339 time with an optional fraction of up to nine digits: "2026-11-21T03:04:05.123456+01:00". It is
// written out because time.Parse allocates, and so that every number is bounded before it is used.
func ParseISO(b []byte) (time.Time, bool) {
	t, rest, ok := isoClock(b)
	if !ok {
		return time.Time{}, false
	}
	offset, ok := zone(rest)
	return t.Add(-offset), ok
}

// ParseLocal reads the same without a zone at its end, as loggen writes it: the time is in the zone of the reader.
func ParseLocal(b []byte, zone *time.Location) (time.Time, bool) {
	t, rest, ok := isoClock(b)
	if !ok || len(rest) > 0 {
		return time.Time{}, false
	}
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return time.Date(year, month, day, hour, minute, second, t.Nanosecond(), zone), true
}

// isoClock reads date and time of day, as if in UTC, and returns what stands behind it.
func isoClock(b []byte) (t time.Time, rest []byte, ok bool) {
	if len(b) < len("2026-11-21T03:04:05") || len(b) > len("2026-11-21T03:04:05.123456789+01:00") {
		return time.Time{}, nil, false
	}
	if b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, nil, false
	}
	century, year := two(b), two(b[2:])
	mon, day, hour, minute, second := two(b[5:]), two(b[8:]), two(b[11:]), two(b[14:]), two(b[17:])
	if century == 99 || year == 99 && (b[2] != '9' || b[3] != '9') || mon < 1 || mon > 12 || day < 1 || day > 31 ||
		hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, nil, false
	}
	b = b[19:]
	nano := 0
	if len(b) > 0 && b[0] == '.' {
		scale := 100_000_000
		i := 1
		for i < len(b) && i < 10 && isDigit(b[i]) {
			nano += int(b[i]-'0') * scale
			scale /= 10
			i++
		}
		if i == 1 {
			return time.Time{}, nil, false
		}
		b = b[i:]
	}
	return time.Date(century*100+year, time.Month(mon), day, hour, minute, second, nano, time.UTC), b, true
}

// zone reads "Z" or "+hh:mm".
func zone(b []byte) (time.Duration, bool) {
	if len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hour, minute := two(b[1:]), two(b[4:])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	d := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if b[0] == '-' {
		d = -d
	}
	return d, true
}

// AppendStamp appends the message's own time as "Nov 21 03:04:05" in the zone of received, or received itself when the
// message has none. seconds remembers the last second of received, recent the last one of the message's own time.
func (m *Message) AppendStamp(dst []byte, seconds, recent *Stamper, received time.Time) []byte {
	switch m.Kind {
	case BSDStamp:
		if m.Stamp[4] == '0' { // "Nov 01" is written as everybody else's "Nov  1"
			dst = append(dst, m.Stamp[:4]...)
			dst = append(dst, ' ')
			return append(dst, m.Stamp[5:]...)
		}
		return append(dst, m.Stamp...)
	case ISOStamp:
		if t, ok := ParseISO(m.Stamp); ok {
			return recent.Append(dst, t.In(received.Location()))
		}
	case LocalStamp:
		if t, ok := ParseLocal(m.Stamp, received.Location()); ok {
			return recent.Append(dst, t)
		}
	}
	return seconds.Append(dst, received)
}
