package assemble

import (
	"testing"
	"time"

	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

func TestPulse(t *testing.T) {
	var p pulse
	at := time.Unix(1_700_000_000, 0)
	sample := func(after, cpu time.Duration, bytes, tls uint64) stats.Info {
		p.measure(stream.Pulse{At: at.Add(after), BytesOut: bytes, TLSSessions: tls, Sessions: 3, IdleServers: 4}, cpu, 2)
		var in stats.Info
		p.fill(&in)
		return in
	}
	for _, tt := range []struct {
		after, cpu       time.Duration
		bytes, tls       uint64
		idle, rate, most int
		out              uint64
	}{
		{0, 0, 1000, 10, 100, 0, 0, 0},
		{time.Second, 500 * time.Millisecond, 3000, 60, 75, 50, 50, 2000},          // a quarter of two threads
		{3 * time.Second, 4500 * time.Millisecond, 3000, 80, 0, 10, 50, 0},         // both, for two seconds
		{4 * time.Second, 4500 * time.Millisecond, 500, 0, 100, 0, 50, 0},          // clear counters all
		{5 * time.Second, 4510 * time.Millisecond, 1500, 100, 100, 100, 100, 1000}, // nearly nothing
	} {
		in := sample(tt.after, tt.cpu, tt.bytes, tt.tls)
		if in.IdlePct != tt.idle || in.SSLRate != tt.rate || in.MaxSSLRate != tt.most || in.BytesOutRate != tt.out || in.Tasks != 7 {
			t.Errorf("after %v: idle %d, TLS %d (max %d), %d bytes/s, %d tasks", tt.after, in.IdlePct, in.SSLRate, in.MaxSSLRate, in.BytesOutRate, in.Tasks)
		}
	}
}
