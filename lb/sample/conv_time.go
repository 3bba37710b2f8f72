package sample

import (
	"fmt"
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

func convLocalTime(x *Ctx, a *args, v Value) (Value, bool) { return clock(x, a, v, time.Local) }
func convUTCTime(x *Ctx, a *args, v Value) (Value, bool)   { return clock(x, a, v, time.UTC) }

// strftime has Go's layout for each conversion of strftime(3) that a log or a
// header could want.
var strftime = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'n': "\n", 'p': "PM", 'r': "03:04:05 PM",
	'R': "15:04", 'S': "05", 't': "\t", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

func checkTime(a *args) error {
	format := a.s[0]
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) {
			return fmt.Errorf("'%s' ends in a lone '%%'", format)
		}
		if _, ok := strftime[format[i]]; !ok && format[i] != '%' && format[i] != 's' {
			return fmt.Errorf("'%%%c' is not a date conversion lb knows", format[i])
		}
	}
	return nil
}

func clock(x *Ctx, a *args, v Value, zone *time.Location) (Value, bool) {
	n, ok := v.Integer()
	if !ok {
		return Value{}, false
	}
	n += a.n[1]
	t := time.Unix(n, 0).In(zone)
	off := len(x.scratch)
	format := a.s[0]
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c != '%' {
			x.scratch = append(x.scratch, c)
			continue
		}
		switch i++; format[i] {
		case '%':
			x.scratch = append(x.scratch, '%')
		case 's':
			x.scratch = IntValue(n).append(x.scratch)
		default:
			x.scratch = t.AppendFormat(x.scratch, strftime[format[i]])
		}
	}
	return StrValue(x.scratch[off:]), true
}
