package stats

import (
	"math"
	"strconv"
)

// rowTimings are the timings whose distributions a kind of rows has.
func rowTimings(k Kind) []Timing {
	switch k {
	case Frontend:
		return []Timing{ResponseTime, TotalTime}
	case Backend, Server:
		return []Timing{QueueTime, ConnectTime, ResponseTime, TotalTime}
	}
	return nil
}

// appendHistograms writes the distributions of times as Prometheus' classic
// histograms, lb_<kind>_<timing>_time_seconds. Rows without an exchange have
// none.
func appendHistograms(dst []byte, s *Snapshot) []byte {
	for _, kind := range []Kind{Frontend, Backend, Server} {
		for _, t := range rowTimings(kind) {
			name := "lb_" + kind.metricName() + "_" + TimingNames[t] + "_time_seconds"
			first := true
			for i := range s.Rows {
				r := &s.Rows[i]
				if r.Kind != kind || r.Latency.Count(t) == 0 {
					continue
				}
				if first {
					dst = append(dst, "# HELP "+name+" Distribution of the "+TimingNames[t]+" time, in seconds\n# TYPE "+name+" histogram\n"...)
					first = false
				}
				dst = r.appendHistogram(dst, name, t)
			}
		}
	}
	return dst
}

func (r *Row) appendHistogram(dst []byte, name string, t Timing) []byte {
	sums := r.Latency.Cumulative(t)
	bound := func(i int) string {
		if i == len(Bounds) {
			return "+Inf"
		}
		return strconv.FormatFloat(float64(Bounds[i])/1000, 'g', -1, 64)
	}
	for i, n := range sums {
		dst = appendSample(dst, name+"_bucket", r, "le", bound(i))
		dst = append(strconv.AppendUint(dst, n, 10), '\n')
	}
	dst = appendSample(dst, name+"_sum", r, "", "")
	dst = append(strconv.AppendFloat(dst, float64(r.Latency.Sum(t))/1000, 'f', -1, 64), '\n')
	dst = appendSample(dst, name+"_count", r, "", "")
	return append(strconv.AppendUint(dst, sums[len(sums)-1], 10), '\n')
}

// quantile is a column of the distribution of a time; empty before the first
// exchange.
func quantile(name, help string, kinds uint8, t Timing, q float64) column {
	return column{name, "MAP", "", help, func(r *Row) value {
		if kinds>>r.Kind&1 == 0 {
			return value{}
		}
		ms, ok := r.Latency.Quantile(t, q)
		if !ok {
			return value{}
		}
		return gauge(int(math.Ceil(ms)))
	}}
}
