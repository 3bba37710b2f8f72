package stats

import "encoding/json"

// Rate counts events per second over the second that is ending, without
// keeping each event: the events of the current second plus the share of the
// previous second that still is less than a second ago. Seconds are those of
// the clock and not of the first event, so that the rates of several loops can
// be added. The zero value is ready. Owned by one loop.
type Rate struct {
	second int64 // which second cur counts
	cur    uint32
	prev   uint32
	// Max is the most events seen in one second.
	Max uint32
}

// Add counts n events at nowMs, in milliseconds of any clock that does not go
// back.
func (r *Rate) Add(nowMs int64, n uint32) {
	r.turn(nowMs)
	r.cur += n
	r.Max = max(r.Max, r.cur)
}

// Value is the rate at nowMs.
func (r *Rate) Value(nowMs int64) uint32 {
	c := *r
	c.turn(nowMs)
	if c.prev == 0 && c.cur <= 1 {
		return c.cur
	}
	left := uint64(1000 - nowMs%1000)
	return c.cur + uint32(uint64(c.prev)*left/1000)
}

// Merge adds another loop's rate. The sum is exact; Max becomes the sum of
// both, which the true one does not exceed: loops rarely peak together.
func (r *Rate) Merge(o Rate, nowMs int64) {
	r.turn(nowMs)
	o.turn(nowMs)
	r.cur += o.cur
	r.prev += o.prev
	r.Max += o.Max
}

func (r *Rate) turn(nowMs int64) {
	switch s := nowMs / 1000; s - r.second {
	case 0:
	case 1:
		r.second, r.prev, r.cur = s, r.cur, 0
	default:
		r.second, r.prev, r.cur = s, 0, 0
	}
}

// window is over how many events an Average looks back.
const window = 1024

// Average is a mean over about the last 1024 values, as HAProxy shows queue,
// connect, response and total times. The zero value is ready. Owned by one
// loop.
type Average struct {
	sum uint64
	n   uint32
	// Max is the largest value seen.
	Max uint32
}

// Add takes one value in.
func (a *Average) Add(v uint32) {
	if a.n < window {
		a.n++
	} else {
		a.sum -= (a.sum + window - 1) / window
	}
	a.sum += uint64(v)
	a.Max = max(a.Max, v)
}

// Value is the mean, rounded up.
func (a *Average) Value() int {
	if a.n == 0 {
		return 0
	}
	return int((a.sum + uint64(a.n) - 1) / uint64(a.n))
}

// Merge takes another loop's values in, each side weighing as much as it has
// seen.
func (a *Average) Merge(o Average) {
	a.sum += o.sum
	a.n += o.n
	a.Max = max(a.Max, o.Max)
}

// Before takes in what was seen before the first of a's values: as much of it as
// the last 1024 of both hold.
func (a *Average) Before(o Average) {
	if a.n < window && o.n > 0 {
		k := min(o.n, window-a.n)
		a.sum += o.sum * uint64(k) / uint64(o.n)
		a.n += k
	}
	a.Max = max(a.Max, o.Max)
}

// MarshalJSON implements json.Marshaler: sum, number and maximum.
func (a Average) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]uint64{a.sum, uint64(a.n), uint64(a.Max)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Average) UnmarshalJSON(text []byte) error {
	var parts [3]uint64
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	*a = Average{sum: parts[0], n: uint32(parts[1]), Max: uint32(parts[2])}
	return nil
}
