package sample

import (
	"fmt"
	"strings"
	"time"
)

func convHTTPDate(x *Ctx, a *args, v Value) (Value, bool) {
	n, ok := v.Integer()
	if !ok {
		return Value{}, false
	}
	n += a.n[0]
	unit := int64(1) // of a second
	switch a.s[1] {
	case "ms":
		unit = 1e3
	case "us":
		unit = 1e6
	}
	off := len(x.scratch)
	x.scratch = time.Unix(n/unit, 0).UTC().AppendFormat(x.scratch, "Mon, 02 Jan 2006 15:04:05")
	if unit > 1 { // as HAProxy, which does not fill the fraction up with zeros
		x.scratch = IntValue(n % unit).append(append(x.scratch, '.'))
	}
	x.scratch = append(x.scratch, " GMT"...)
	return StrValue(x.scratch[off:]), true
}

// local is read at each use: tests set time.Local.
func local() *time.Location { return time.Local }
func utc() *time.Location   { return time.UTC }

// strftime has Go's layout for each conversion of strftime(3) that a log or a
// header could want.
var strftime = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'n': "\n", 'p': "PM", 'r': "03:04:05 PM",
	'R': "15:04", 'S': "05", 't': "\t", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

func checkTime(a *args) error     { return checkLayout(a.s[0], false) }
func checkFineTime(a *args) error { return checkLayout(a.s[0], true) }

// calendar appends the conversions of strftime(3) that Go has no layout for.
func calendar(dst []byte, t time.Time, c byte) []byte {
	two := func(n int, fill byte) []byte {
		if n < 10 {
			return append(dst, fill, '0'+byte(n))
		}
		return append(dst, '0'+byte(n/10%10), '0'+byte(n%10))
	}
	isoYear, isoWeek := t.ISOWeek()
	day, sunday := t.YearDay()-1, int(t.Weekday())
	switch c {
	case 'u':
		return append(dst, '0'+byte((sunday+6)%7+1))
	case 'w':
		return append(dst, '0'+byte(sunday))
	case 'U': // weeks from the year's first Sunday
		return two((day+7-sunday)/7, '0')
	case 'W': // from its first Monday
		return two((day+7-(sunday+6)%7)/7, '0')
	case 'V':
		return two(isoWeek, '0')
	case 'G':
		return IntValue(int64(isoYear)).append(dst)
	case 'g':
		return two(isoYear%100, '0')
	case 'C':
		return two(t.Year()/100, '0')
	case 'P':
		return t.AppendFormat(dst, "pm")
	case 'k':
		return two(t.Hour(), ' ')
	case 'l':
		return two((t.Hour()+11)%12+1, ' ')
	}
	return append(dst, '%', c) // of %+
}

// modified reports whether a conversion begins with E or O, which ask for the
// forms of a locale, and there is none.
func modified(format string) bool {
	return len(format) > 1 && (format[0] == 'E' || format[0] == 'O') && converts(format[1])
}

func converts(c byte) bool {
	return strftime[c] != "" || strings.IndexByte("%s+"+calendarOnes, c) >= 0
}

// calendarOnes are calendar's.
const calendarOnes = "uwUWVGgCPkl"

// checkLayout checks a format of times; those finer than a second have %N, too.
func checkLayout(format string, fine bool) error {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) {
			return fmt.Errorf("'%s' ends in a lone '%%'", format)
		}
		if _, size := fraction(format[i:]); fine && size > 0 {
			i += size - 1
			continue
		}
		if modified(format[i:]) {
			i++
		}
		if !converts(format[i]) {
			return fmt.Errorf("'%%%c' is not a date conversion lb knows", format[i])
		}
	}
	return nil
}

// fraction reads what follows the '%' of %N, %1N to %9N: how many digits of the
// second's fraction to show, and how many bytes of the format say so; 0 for
// another conversion.
func fraction(format string) (digits, size int) {
	switch {
	case format[0] == 'N':
		return 9, 1
	case format[0] >= '1' && format[0] <= '9' && len(format) > 1 && format[1] == 'N':
		return int(format[0] - '0'), 2
	}
	return 0, 0
}

// clock shows a time that is counted in parts of a second; the second argument
// is added to it, in seconds.
func clock(parts int64, zone func() *time.Location) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		n, ok := v.Integer()
		if !ok {
			return Value{}, false
		}
		t := time.Unix(n/parts+a.n[1], n%parts*(1e9/parts)).In(zone())
		off := len(x.scratch)
		format := a.s[0]
		for i := 0; i < len(format); i++ {
			c := format[i]
			if c != '%' {
				x.scratch = append(x.scratch, c)
				continue
			}
			i++
			if digits, size := fraction(format[i:]); parts > 1 && size > 0 {
				for unit := int64(1e8); digits > 0; digits-- {
					x.scratch = append(x.scratch, '0'+byte(int64(t.Nanosecond())/unit%10))
					unit /= 10
				}
				i += size - 1
				continue
			}
			if modified(format[i:]) {
				i++
			}
			switch format[i] {
			case '%':
				x.scratch = append(x.scratch, '%')
			case 's':
				x.scratch = IntValue(t.Unix()).append(x.scratch)
			default:
				if layout := strftime[format[i]]; layout != "" {
					x.scratch = t.AppendFormat(x.scratch, layout)
				} else {
					x.scratch = calendar(x.scratch, t, format[i])
				}
			}
		}
		return StrValue(x.scratch[off:]), true
	}
}
