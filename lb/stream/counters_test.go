package stream

import (
	"net"
	"testing"

	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stats"
	"lbsyslogd/test/wait"
)

// The wait of a kept connection for its next request is no part of the histograms: a client that thinks for eight seconds would be a slow answer.
func TestIdleTimeIsNotLatency(t *testing.T) {
	r := new(sample.Record)
	r.Tw, r.Tc, r.Tr, r.Ta, r.Ti, r.Tt = 1, 2, 3, 10, 8000, 8010
	var fe FrontCounters
	var srv ServerCounters
	fe.times(r)
	srv.times(r)
	for _, l := range []stats.Latency{fe.Latency, srv.Latency} {
		if n, sum := l.Count(stats.TotalTime), l.Sum(stats.TotalTime); n != 1 || sum != 10 {
			t.Errorf("%d exchanges took %d ms", n, sum)
		}
	}
}

// Of connections in mode tcp those are unserved that no server took, not each attempt that failed.
func TestUnserved(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, tt := range []struct {
		name    string
		servers []string
		want    uint64
	}{
		{"one attempt of two", []string{"127.0.0.1:9", ln.Addr().String()}, 0},
		{"no server", []string{"127.0.0.1:9", "127.0.0.1:9"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, false, tt.servers, func(r *rig) {
				r.be.Retries, r.be.Redispatch = 1, 1 // the second attempt is at the other server
			})
			for range 2 { // the first server is the first one's turn, or the second one's
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				if tt.want == 0 {
					served, err := ln.Accept()
					if err != nil {
						t.Fatal(err)
					}
					served.Close()
				}
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("something came from nowhere")
				}
				c.Close()
			}
			wait.Until(t, "both connections to end", func() bool { return r.Conns() == 0 })
			c := r.Shards[0].Read()
			if tried := c.Back[0].Redispatches; tried == 0 {
				t.Error("no attempt has failed")
			}
			if n := c.Back[0].ErrConn; n != 2*tt.want { // connections, not attempts
				t.Errorf("%d connections failed, want %d", n, 2*tt.want)
			}
			if n := c.Front[0].Unserved; n != 2*tt.want {
				t.Errorf("%d connections are unserved, want %d", n, 2*tt.want)
			}
		})
	}
}
