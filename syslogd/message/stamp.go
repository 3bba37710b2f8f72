package message

import (
	"bytes"
	"encoding/binary"
	"time"
)

// clock is a time as it was sent. A year of 0 was not sent.
type clock struct {
	year, day, hour, minute, second, nano int
	month                                 time.Month
	zoned                                 bool // offset was sent
	odd                                   bool // AM, PM or ":123" after the time of day, which no BSD time has
	either                                bool // day and month may be meant the other way round
	unix                                  int64
	offset                                time.Duration
}

// stampAt is the length and the form of the time at the front of b; 0 when there is none.
func stampAt(b []byte) (n int, kind StampKind) {
	if len(b) < len("1 Jan 1:02:03") {
		return 0, NoStamp
	}
	if isDigit(b[0]) {
		if n, kind = isoStamp(b); n > 0 {
			return n, kind
		}
		if _, n = numericClock(b); n > 0 && ends(b[n:]) {
			return n, LooseStamp
		}
	} else if !mayBeDate(b) {
		return 0, NoStamp
	} else if n = bsdStamp(b); n > 0 {
		// Most of them: neither a year nor an offset comes after it.
		_, rest := fraction(b[n:])
		if len(rest) > 1 && (rest[0] == ':' && (rest[1] == ' ' || rest[1] == '%') ||
			rest[0] == ' ' && isLetter(rest[1]) && rest[1]|0x20 != 'z' && (!isUpper(rest[1]) || meridiem(rest) == 0 && yearAfterZone(rest) == 0)) {
			return n, BSDStamp
		}
	}
	c, n := looseClock(b)
	if n == 0 {
		if n = impossibleStamp(b); n == 0 {
			return 0, NoStamp
		}
		return n, LooseStamp
	}
	if c.year == 0 && !c.zoned && !c.odd && bsdStamp(b) > 0 {
		return stampLen, BSDStamp // its fraction is afterStamp's
	}
	return n, LooseStamp
}

// impossibleStamp is the length of what has the form of a time at the front of b but is none: "Nov 21 24:00:00", "Nov 0 03:04:05",
// "0000-00-00T00:00:00Z". A device whose clock was never set, or that counts to 24, has a host and a tag all the same. 0 is anything else.
func impossibleStamp(b []byte) int {
	const shortest = len("0000-00-00T00:00:00")
	var rest []byte
	switch {
	case len(b) >= shortest && digits(b) == 4 && (b[4] == '-' || b[4] == '/') && b[7] == b[4] && two(b[5:]) < 100 && two(b[8:]) < 100 &&
		(b[10]|0x20 == 't' || b[10] == ' '):
		rest = b[11:]
	case len(b) > 4 && anyMonth(b) > 0 && b[3] == ' ':
		rest = skipBlanks(b[4:])
		if n := digits(rest); n != 1 && n != 2 || len(rest) == n || rest[n] != ' ' {
			return 0
		}
		_, rest = cutWord(rest)
	}
	n := digits(rest)
	if n != 1 && n != 2 || len(rest) < n+6 || rest[n] != ':' || two(rest[n+1:]) == 100 || rest[n+3] != ':' || two(rest[n+4:]) == 100 {
		return 0
	}
	_, rest = fraction(rest[n+6:])
	if _, k := offsetAt(bytes.TrimPrefix(rest, dot)); k > 0 {
		rest = bytes.TrimPrefix(rest, dot) // "03:04:05.Z"
	}
	if _, k := offsetAt(rest); k > 0 && ends(rest[k:]) {
		rest = rest[k:]
	}
	if !ends(rest) {
		return 0
	}
	return len(b) - len(rest)
}

// bsdStamp is the length of a time such as "Nov 21 03:04:05" at the front of b: 15, or 0 when there is none. A day below ten
// stands after a space or a zero.
func bsdStamp(b []byte) int {
	if len(b) < stampLen || b[3] != ' ' || b[6] != ' ' || month(b) == 0 || !isDigit(b[5]) {
		return 0
	}
	day := b[5] - '0'
	if ten := b[4] - '0'; ten <= 3 {
		day += 10 * ten
	} else if b[4] != ' ' {
		return 0
	}
	if _, ok := timeOfDay(b[7:]); !ok || day < 1 || day > 31 {
		return 0
	}
	return stampLen
}

// A dayTime is "03:04:05" with a byte for each character: the digits, and 0 for the colons.
type dayTime uint64

// timeOfDay reads "03:04:05", the eight bytes at once. ok is false for anything else.
func timeOfDay(b []byte) (t dayTime, ok bool) {
	const (
		zero  = 0x30303a30303a3030 // "00:00:00"
		more  = 0x76797f767a7f767d // what makes more than 127 of a byte beyond 2, 9, 0, 5, 9, 0, 6, 9
		above = 0x8080808080808080
	)
	x := binary.LittleEndian.Uint64(b) ^ zero
	t = dayTime(x)
	return t, ((x+more)|x)&above == 0 && t.hour() <= 23 && t.second() <= 60
}

func (t dayTime) hour() int   { return int(t&0xff*10 + t>>8&0xff) }
func (t dayTime) minute() int { return int(t>>24&0xff*10 + t>>32&0xff) }
func (t dayTime) second() int { return int(t>>48&0xff*10 + t>>56) }

// dateWords has, for each first letter of the names of months and days of the week, a bit for each second and for each third letter.
var dateWords = func() (table [32][2]uint32) {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDecMonTueWedThuFriSatSun"
	for i := 0; i < len(names); i += 3 {
		first := &table[names[i]&0x1f]
		first[0] |= 1 << (names[i+1] & 0x1f)
		first[1] |= 1 << (names[i+2] & 0x1f)
	}
	return table
}()

// mayBeDate says whether b, which is longer than that, may begin with the name of a month or of a day.
func mayBeDate(b []byte) bool {
	if len(b) < 3 || !isLetter(b[0]) || !isLetter(b[1]) || !isLetter(b[2]) {
		return false
	}
	first := &dateWords[b[0]&0x1f]
	return first[0]>>(b[1]&0x1f)&(first[1]>>(b[2]&0x1f))&1 != 0
}

// month is 1 to 12 for "Jan" to "Dec" at the front of b, 0 for anything else.
func month(b []byte) time.Month {
	return monthOf(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16)
}

// monthOf is month for three letters in one number. No two months have the same place in the table.
func monthOf(letters uint32) time.Month {
	if m := &months[letters*monthPlace>>28]; m.letters == letters {
		return m.month
	}
	return 0
}

const monthPlace = 0xcf24cf6f

var months = func() (table [16]struct {
	letters uint32
	month   time.Month
}) {
	for m := time.January; m <= time.December; m++ {
		name := m.String()
		letters := uint32(name[0]) | uint32(name[1])<<8 | uint32(name[2])<<16
		table[letters*monthPlace>>28].letters, table[letters*monthPlace>>28].month = letters, m
	}
	return table
}()

// anyMonth is month in whatever case.
func anyMonth(b []byte) time.Month {
	if len(b) < 3 || !isLetter(b[0]) || !isLetter(b[1]) || !isLetter(b[2]) {
		return 0
	}
	return monthOf(uint32(b[0]&^0x20) | uint32(b[1]|0x20)<<8 | uint32(b[2]|0x20)<<16)
}

var (
	monthNames = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December", "Sept"}
	daysOfWeek = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// nameLen is how many bytes of b, which begins with the first three letters of one of the names, are that name: all of it, or those three.
func nameLen(b []byte, names []string) int {
	for _, name := range names {
		if n := len(name); len(b) > n && !isLetter(b[n]) && bytes.EqualFold(b[:n], []byte(name)) {
			return n
		}
	}
	return 3
}

// weekday says whether b begins with "Mon" to "Sun", in whatever case.
func weekday(b []byte) bool {
	const names = "MonTueWedThuFriSatSun"
	for d := range 7 {
		if name := names[3*d:]; b[0]|0x20 == name[0]|0x20 && b[1]|0x20 == name[1] && b[2]|0x20 == name[2] {
			return true
		}
	}
	return false
}

// two reads two digits; anything else is 100, which no field of a time allows.
func two(b []byte) int {
	if !isDigit(b[0]) || !isDigit(b[1]) {
		return 100
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

// looseClock reads a time with the name of a month at the front of b: the parts of the date in any order that devices write them in, one
// or two digits of the day and the hour, any case, several blanks, a fraction, the year also after the time of day, an offset from UTC.
// n is its length, 0 when there is none.
func looseClock(b []byte) (c clock, n int) {
	rest := b
	if len(rest) > 4 && isLetter(rest[0]) && anyMonth(rest) == 0 {
		if !weekday(rest) {
			return c, 0
		}
		if rest = rest[nameLen(rest, daysOfWeek[:]):]; len(rest) > 1 && rest[0] == ',' {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] != ' ' {
			return c, 0
		}
		rest = skipBlanks(rest)
	}
	if rest = c.looseDate(rest); rest == nil {
		return c, 0
	}
	if rest = c.looseTime(rest); rest == nil {
		return c, 0
	}
	n = len(b) - len(rest)
	if c.year == 0 && len(rest) > 4 && rest[0] == ' ' {
		rest = rest[yearAfterZone(rest):]
		if y := yearAt(rest[1:]); y > 0 && yearEnds(rest[5:]) {
			c.year = y
			rest = rest[5:]
			n = len(b) - len(rest)
		}
	}
	blank := 0
	if len(rest) > 3 && rest[0] == ' ' {
		blank = 1
	}
	if offset, k := offsetAt(rest[blank:]); k > 0 && ends(rest[blank+k:]) {
		c.zoned, c.offset = true, offset
		n += blank + k
	}
	return c, n
}

// yearAfterZone is the length of the name of a zone at the front of b if a year follows, as in what date(1) prints: " UTC 2026".
func yearAfterZone(b []byte) int {
	if after := skipZone(b); len(after) < len(b) && len(after) > 4 && after[0] == ' ' && yearAt(after[1:]) > 0 && yearEnds(after[5:]) {
		return len(b) - len(after)
	}
	return 0
}

// looseDate reads "Nov 21", "Nov 21 2026", "2026 Nov 21", "21 Nov", "21 Nov 2026" and "21-Nov-2026", with what separates it from the time.
func (c *clock) looseDate(b []byte) (rest []byte) {
	separator := func(b []byte) []byte { // of two parts
		if len(b) > 1 && (b[0] == '-' || b[0] == '/') {
			return b[1:]
		}
		if len(b) > 1 && b[0] == ',' && c.month > 0 && c.day > 0 {
			b = b[1:] // "Nov 21, 2026"
		}
		if len(b) == 0 || b[0] != ' ' {
			return nil
		}
		return skipBlanks(b)
	}
	for part := 0; part < 3; part++ {
		n := digits(b)
		switch {
		case n == 4 && c.year == 0 && yearAt(b) > 0:
			c.year = yearAt(b)
		case n == 1 && c.day == 0:
			c.day = int(b[0] - '0')
		case n == 2 && c.day == 0 && (len(b) == 2 || b[2] != ':'):
			c.day = two(b)
		case n == 0 && c.month == 0:
			if c.month = anyMonth(b); c.month == 0 {
				return nil
			}
			n = nameLen(b, monthNames[:])
		default:
			n = 0
		}
		if n == 0 {
			break // the time of day begins here
		}
		after := b[n:]
		if c.month > 0 && c.day > 0 && len(after) > 1 && (after[0] == ':' || after[0] == ',') && c.year > 0 {
			after = after[1:] // "21/Nov/2026:03:04:05", "Nov 21 2026, 03:04:05"
			b = skipBlanks(after)
			continue
		}
		if b = separator(after); b == nil {
			return nil
		}
	}
	if c.month == 0 || c.day < 1 || c.day > 31 {
		return nil
	}
	return b
}

// looseTime reads "03:04:05" or "3:04:05", with a fraction after a dot or a comma.
func (c *clock) looseTime(b []byte) (rest []byte) {
	n := digits(b)
	if n != 1 && n != 2 || len(b) < n+6 || b[n] != ':' || b[n+3] != ':' {
		return nil
	}
	c.hour = int(b[0] - '0')
	if n == 2 {
		c.hour = two(b)
	}
	c.minute, c.second = two(b[n+1:]), two(b[n+4:])
	if c.hour > 23 || c.minute > 59 || c.second > 60 {
		return nil
	}
	b = b[n+6:]
	if len(b) > 4 && b[0] == ':' && digits(b[1:]) == 3 && b[4] == ' ' { // H3C: "03:04:05:123"
		c.odd, c.nano, b = true, 1_000_000*(10*two(b[1:])+int(b[3]-'0')), b[4:]
	} else {
		c.nano, b = fraction(b)
		if len(b) > 2 && b[0] == '.' && isDigit(b[1]) && (b[2] == '+' || b[2] == '-') { // Huawei: "03:04:05.190.1+08:00"
			c.odd, b = true, b[2:]
		}
	}
	if k := c.halfDay(b); k > 0 {
		c.odd = true
		if b = b[k:]; c.nano == 0 {
			c.nano, b = fraction(b)
		}
	}
	if len(b) > 0 && (isDigit(b[0]) || isLetter(b[0]) && (b[0] != 'Z' || !ends(b[1:]))) {
		return nil
	}
	return b
}

// halfDay reads " AM" or " PM" and is its length, 0 when there is none.
func (c *clock) halfDay(b []byte) int {
	k := meridiem(b)
	switch {
	case k == 0:
	case c.hour < 12 && b[1] == 'P':
		c.hour += 12
	case c.hour == 12 && b[1] == 'A':
		c.hour = 0
	}
	return k
}

// meridiem is the length of " AM" or " PM" at the front of b, 0 when there is none. What a colon follows is a tag.
func meridiem(b []byte) int {
	if len(b) < 3 || b[0] != ' ' || b[1] != 'A' && b[1] != 'P' || b[2] != 'M' || len(b) > 3 && b[3] != ' ' && b[3] != '.' {
		return 0
	}
	return 3
}

// numericClock reads times of numbers alone at the front of b, but for those of isoClock: "11/21/2026:03:04:05", "21.11.2026 3:04:05 PM", and
// seconds since 1970 with a fraction. n is its length, 0 when there is none.
func numericClock(b []byte) (c clock, n int) {
	first := digits(b)
	if first == 10 && b[0] == '1' && len(b) > 11 && b[10] == '.' && isDigit(b[11]) {
		for _, d := range b[:10] {
			c.unix = 10*c.unix + int64(d-'0')
		}
		var rest []byte
		c.nano, rest = fraction(b[10:])
		return c, len(b) - len(rest)
	}
	if first != 1 && first != 2 || len(b) < len("1/1/2026 1:02:03") || b[first] != '/' && b[first] != '.' && b[first] != '-' {
		return c, 0
	}
	number := func(b []byte) int {
		if digits(b) == 1 {
			return int(b[0] - '0')
		}
		return two(b)
	}
	rest := b[first+1:]
	second := digits(rest)
	if second != 1 && second != 2 || rest[second] != b[first] {
		return c, 0
	}
	c.day, c.month = number(b), time.Month(number(rest))
	rest = rest[second+1:]
	if c.year = yearAt(rest); c.year == 0 || len(rest) < len("2026 1:02:03") || rest[4] != ' ' && rest[4] != ':' && rest[4] != ',' {
		return c, 0
	}
	if rest = c.looseTime(skipBlanks(rest[5:])); rest == nil {
		return c, 0
	}
	if c.month > 12 {
		c.day, c.month = int(c.month), time.Month(c.day)
	}
	if c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 {
		return c, 0
	}
	c.either = c.day <= 12
	if offset, k := offsetAt(rest); k > 0 && ends(rest[k:]) {
		c.zoned, c.offset, rest = true, offset, rest[k:]
	}
	return c, len(b) - len(rest)
}

// fraction reads ".123" or ",123" as nanoseconds; more than nine digits are read over. Without one it reads nothing.
func fraction(b []byte) (nano int, rest []byte) {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' || !isDigit(b[1]) {
		return 0, b
	}
	scale := 100_000_000
	i := 1
	for ; i < len(b) && isDigit(b[i]); i++ {
		nano += int(b[i]-'0') * scale
		scale /= 10
	}
	return nano, b[i:]
}

// yearAt reads a year of four digits that a device may believe in, 0 otherwise.
func yearAt(b []byte) int {
	if len(b) < 4 || digits(b[:4]) < 4 || len(b) > 4 && isDigit(b[4]) {
		return 0
	}
	y := two(b)*100 + two(b[2:])
	if y < 1970 || y > 2199 {
		return 0
	}
	return y
}

// yearEnds says whether a year ends here, and not the first part of an IPv6 address.
func yearEnds(b []byte) bool {
	return ends(b) && (len(b) < 2 || b[0] != ':' || b[1] == ' ' || b[1] == '%')
}

// offsetAt reads "Z", "+hh:mm", "+hhmm" or "+hh". n is its length, 0 when there is none.
func offsetAt(b []byte) (offset time.Duration, n int) {
	if len(b) > 0 && b[0]|0x20 == 'z' {
		return 0, 1
	}
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, 0
	}
	hour, minute := two(b[1:]), 0
	n = 3
	switch {
	case len(b) > 5 && b[3] == ':' && isDigit(b[4]):
		minute, n = two(b[4:]), 6
	case len(b) > 4 && isDigit(b[3]):
		minute, n = two(b[3:]), 5
	}
	if hour > 23 || minute > 59 {
		return 0, 0
	}
	offset = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if b[0] == '-' {
		offset = -offset
	}
	return offset, n
}

// ends says whether a word ends here.
func ends(b []byte) bool { return len(b) == 0 || b[0] == ' ' || b[0] == ':' || b[0] == '\t' }

// isoStamp is the length and the form of an RFC 3339 time at the front of b, or of one that is nearly so; 0 when there is none.
func isoStamp(b []byte) (n int, kind StampKind) {
	c, n := isoClock(b)
	switch {
	case n == 0 || !ends(b[n:]):
		return 0, NoStamp
	case c.zoned:
		return n, ISOStamp
	}
	return n, LocalStamp
}

// isoClock reads "2026-11-21T03:04:05", with "/" or ":" for "-", a blank or "-" for "T", AM or PM, a fraction and a zone. It is written out because time.Parse
// allocates, and so that every number is bounded before it is used.
func isoClock(b []byte) (c clock, n int) {
	const shortest = len("2026-11-21T03:04:05")
	if len(b) < shortest || b[4] != '-' && b[4] != '/' && b[4] != ':' || b[7] != b[4] || b[10]|0x20 != 't' && b[10] != ' ' && b[10] != '-' && (b[10] != ':' || b[4] != '/') {
		return c, 0
	}
	t, ok := timeOfDay(b[11:])
	first, second, mon := two(b), two(b[2:]), two(b[5:])
	if !ok || first > 99 || second > 99 {
		return c, 0
	}
	c.year, c.month, c.day, c.hour, c.minute, c.second = 100*first+second, time.Month(mon), two(b[8:]), t.hour(), t.minute(), t.second()
	if mon < 1 || mon > 12 || c.day < 1 || c.day > 31 {
		return c, 0
	}
	rest := b[shortest:]
	c.nano, rest = fraction(rest)
	if k := c.halfDay(rest); k > 0 {
		if rest = rest[k:]; c.nano == 0 {
			c.nano, rest = fraction(rest)
		}
	}
	zone := rest
	if len(zone) > 1 && zone[0] == ' ' && (zone[1] == '+' || zone[1] == '-') {
		zone = zone[1:]
	}
	if offset, k := offsetAt(zone); k > 0 && ends(zone[k:]) {
		c.zoned, c.offset = true, offset
		rest = zone[k:]
	}
	return c, len(b) - len(rest)
}

// in is the time in a zone that counts if none was sent.
func (c *clock) in(zone *time.Location) time.Time {
	if c.zoned {
		zone = time.UTC
	}
	return time.Date(c.year, c.month, c.day, c.hour, c.minute, c.second, c.nano, zone).Add(-c.offset)
}

// near is the time without a year that is nearest to received: of this year, the last or the next, as far as the day exists in it. ok is
// false when it exists in none of them.
func (c clock) near(received time.Time) (t time.Time, ok bool) {
	const half = 182 * 24 * time.Hour
	this := received.Year()
	best := time.Duration(-1)
	t = received
	for _, year := range [...]int{this, this - 1, this + 1} {
		c.year = year
		at := c.in(received.Location())
		if c.month == time.February && c.day == 29 && !leap(year) {
			continue
		}
		if away := at.Sub(received).Abs(); best < 0 || away < best {
			t, best = at, away
		}
		if year == this && best >= 0 && best < half {
			break
		}
	}
	return t, best >= 0
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// Time is the message's own time. What it lacks comes from received: the zone, and the year that makes it the nearest time to that.
// ok is false when the message has no time, or one that no calendar has.
func (m *Message) Time(received time.Time) (t time.Time, ok bool) {
	var c clock
	n := 0
	switch m.Kind {
	case NoStamp:
	case ISOStamp, LocalStamp:
		c, n = isoClock(m.Stamp)
	default:
		if c, n = looseClock(m.Stamp); n == 0 {
			c, n = numericClock(m.Stamp)
		}
	}
	if n == 0 {
		return received, false
	}
	if c.unix > 0 {
		return time.Unix(c.unix, int64(c.nano)), true
	}
	if c.month == 0 || c.day > longest(c.month) || c.year > 0 && c.month == time.February && c.day == 29 && !leap(c.year) {
		return received, false
	}
	if c.year == 0 && m.Kind != ISOStamp && m.Kind != LocalStamp {
		return c.near(received)
	}
	t = c.in(received.Location())
	if c.either {
		c.day, c.month = int(c.month), time.Month(c.day)
		if other := c.in(received.Location()); other.Sub(received).Abs() < t.Sub(received).Abs() {
			t = other
		}
	}
	return t, true
}

// longest is how many days a month may have.
func longest(month time.Month) int {
	switch month {
	case time.February:
		return 29
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// AppendStamp appends the message's own time as "Nov 21 03:04:05" in the zone of received, or received itself when the
// message has none. seconds remembers the last second of received, recent the last one of the message's own time.
func (m *Message) AppendStamp(dst []byte, seconds, recent *Stamper, received time.Time) []byte {
	if m.Kind == BSDStamp {
		if m.Stamp[4] == '0' { // "Nov 01" is written as everybody else's "Nov  1"
			dst = append(dst, m.Stamp[:4]...)
			dst = append(dst, ' ')
			return append(dst, m.Stamp[5:stampLen]...)
		}
		return append(dst, m.Stamp[:stampLen]...)
	}
	if t, ok := m.Time(received); ok {
		return recent.Append(dst, t.In(received.Location()))
	}
	return seconds.Append(dst, received)
}
