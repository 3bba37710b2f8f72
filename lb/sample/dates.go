package sample

import "time"

// dates remembers the texts of the last second asked for: the lines of one
// loop mostly share it. Owned by the loop.
type dates struct {
	local, utc dateText
}

// dateText is "21/Nov/2026:03:04:05" and the zone " +0000" of one second.
type dateText struct {
	second int64
	ready  bool
	text   [20]byte
	zone   [5]byte
}

func (d *dateText) of(t time.Time, zone *time.Location) *dateText {
	if s := t.Unix(); !d.ready || s != d.second {
		t = t.In(zone)
		d.second, d.ready = s, true
		t.AppendFormat(d.text[:0], "02/Jan/2006:15:04:05")
		t.AppendFormat(d.zone[:0], "-0700")
	}
	return d
}

// AppendLogDate appends "21/Nov/2026:03:04:05.123" in local time.
func (d *dates) AppendLogDate(dst []byte, t time.Time) []byte {
	dst = append(dst, d.local.of(t, time.Local).text[:]...)
	return AppendMillis(append(dst, '.'), t)
}

// AppendLocal appends "21/Nov/2026:03:04:05 +0100".
func (d *dates) AppendLocal(dst []byte, t time.Time) []byte {
	l := d.local.of(t, time.Local)
	dst = append(append(dst, l.text[:]...), ' ')
	return append(dst, l.zone[:]...)
}

// AppendGMT appends "21/Nov/2026:03:04:05 +0000".
func (d *dates) AppendGMT(dst []byte, t time.Time) []byte {
	l := d.utc.of(t, time.UTC)
	return append(append(dst, l.text[:]...), " +0000"...)
}

func AppendMillis(dst []byte, t time.Time) []byte {
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}
