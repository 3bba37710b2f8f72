package stats

import (
	"encoding/json"
	"errors"
	"slices"
)

// Timing is one of the waits of an exchange.
type Timing uint8

// The waits that are measured, in the order of Record's %Tw, %Tc, %Tr and %Ta.
const (
	QueueTime Timing = iota
	ConnectTime
	ResponseTime
	TotalTime
	timings
)

// TimingNames are how columns and metrics call them.
var TimingNames = [timings]string{"queue", "connect", "response", "total"}

// Bounds are the upper bounds of the buckets in ms, the same in every process,
// so that histograms add up over loops, generations and machines. What takes
// longer than the last one lies in one more bucket. A time is counted in whole
// milliseconds, rounded down, so the first bucket is what took less than one.
var Bounds = [...]uint32{
	1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096,
	8192, 16384, 32768, 65536,
}

const buckets = len(Bounds) + 1

// histogram counts values by bucket.
type histogram [buckets]uint32

// bucketOf are the buckets of the times that nearly all requests have.
var bucketOf = func() (t [512]uint8) {
	for ms := range t {
		t[ms] = uint8(slowBucket(uint32(ms)))
	}
	return t
}()

// slowBucket finds the bucket of a time: the first whose bound is above it.
func slowBucket(ms uint32) int {
	at, found := slices.BinarySearch(Bounds[:], ms)
	if found {
		at++
	}
	return at
}

// distribution is what is counted of one timing.
type distribution struct {
	sum  uint64 // of all times, ms
	hist histogram
}

// Latency is how long the exchanges of a row took. The zero value is ready, and
// takes no memory until the first one. Owned by one loop.
type Latency struct {
	h *[timings]distribution
}

// Add counts one wait.
func (l *Latency) Add(t Timing, ms uint32) {
	if l.h == nil {
		l.h = new([timings]distribution)
	}
	d := &l.h[t]
	d.sum += uint64(ms)
	if ms < uint32(len(bucketOf)) {
		d.hist[bucketOf[ms]]++
		return
	}
	d.hist[slowBucket(ms)]++
}

// Merge adds what another loop, or an earlier process, counted.
func (l *Latency) Merge(o Latency) {
	if o.h == nil {
		return
	}
	if l.h == nil {
		l.h = new([timings]distribution)
	}
	for t := range o.h {
		l.h[t].sum += o.h[t].sum
		for i, n := range o.h[t].hist {
			l.h[t].hist[i] += n
		}
	}
}

// Clone is a copy that the loop does not change.
func (l Latency) Clone() Latency {
	if l.h == nil {
		return l
	}
	h := *l.h
	return Latency{&h}
}

// Count is how many waits were counted.
func (l Latency) Count(t Timing) (n uint64) {
	if l.h != nil {
		for _, c := range l.h[t].hist {
			n += uint64(c)
		}
	}
	return n
}

// Sum is the sum of all waits, in ms.
func (l Latency) Sum(t Timing) uint64 {
	if l.h == nil {
		return 0
	}
	return l.h[t].sum
}

// Cumulative are the counts of all waits up to each bound; the last one is of
// all. It is nil when none was counted.
func (l Latency) Cumulative(t Timing) []uint64 {
	if l.h == nil {
		return nil
	}
	sums := make([]uint64, buckets)
	var n uint64
	for i, c := range l.h[t].hist {
		n += uint64(c)
		sums[i] = n
	}
	return sums
}

// Quantile is the time in ms that the share q of the waits did not exceed,
// somewhere in the right bucket; false when none was counted.
func (l Latency) Quantile(t Timing, q float64) (ms float64, ok bool) {
	sums := l.Cumulative(t)
	if sums == nil || sums[buckets-1] == 0 {
		return 0, false
	}
	rank := q * float64(sums[buckets-1])
	at := 0
	for float64(sums[at]) < rank {
		at++
	}
	if at == len(Bounds) { // beyond all bounds
		return float64(Bounds[at-1]), true
	}
	low, before := 0.0, 0.0
	if at > 0 {
		low, before = float64(Bounds[at-1]), float64(sums[at-1])
	}
	in := float64(sums[at]) - before
	if in == 0 {
		return low, true
	}
	return low + (float64(Bounds[at])-low)*(rank-before)/in, true
}

// MarshalJSON implements json.Marshaler: for each timing the sum, the number of
// the first bucket that is not empty, and the counts from there on.
func (l Latency) MarshalJSON() ([]byte, error) {
	if l.h == nil {
		return []byte("null"), nil
	}
	var all [timings][]uint64
	for t := range l.h {
		all[t] = []uint64{}
		hist := &l.h[t].hist
		first, end := 0, buckets
		for first < end && hist[first] == 0 {
			first++
		}
		for end > first && hist[end-1] == 0 {
			end--
		}
		if first == end {
			continue
		}
		all[t] = append(all[t], l.h[t].sum, uint64(first))
		for _, n := range hist[first:end] {
			all[t] = append(all[t], uint64(n))
		}
	}
	return json.Marshal(all)
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Latency) UnmarshalJSON(text []byte) error {
	var all *[timings][]uint64
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	l.h = nil
	if all == nil {
		return nil
	}
	l.h = new([timings]distribution)
	for t, list := range all {
		switch {
		case len(list) == 0:
			continue
		case len(list) < 2 || list[1] >= uint64(buckets) || int(list[1])+len(list)-2 > buckets:
			return errors.New("a histogram has other buckets than there are")
		}
		l.h[t].sum = list[0]
		for i, n := range list[2:] {
			l.h[t].hist[int(list[1])+i] = uint32(n)
		}
	}
	return nil
}
