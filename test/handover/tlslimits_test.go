package handover

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTLSLimits: clients that do nothing but shake hands are held to maxsslrate, those that keep their connections to maxsslconn, and each is served in
// the end; requests of others go on meanwhile, and a reload changes nothing. `show info` shows the limits and how far they were used.
func TestTLSLimits(t *testing.T) {
	const rate, most = 50, 20
	s := start(t, "GLOBAL\n", "    maxsslrate 50\n    maxsslconn 20\n")
	info := func(name string) int {
		t.Helper()
		n, err := s.lb.Info(name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if r, n := info("SslRateLimit"), info("MaxSslConns"); r != rate || n != most {
		t.Fatalf("show info: a rate of %d and %d connections", r, n)
	}
	var errs errorsOf
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var shaken atomic.Int64
	for range 40 {
		all.Go(func() {
			for ctx.Err() == nil {
				k, err := keepTLS(s.https, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					errs.add(err)
					return
				}
				k.c.Close()
				shaken.Add(1)
			}
		})
	}
	plain, err := keep(s.http)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.c.Close()
	begun := time.Now()
	for round := range 2 {
		for seen := shaken.Load(); shaken.Load() < seen+rate && errs.n.Load() == 0; {
			if err := plain.get("/r/plain/1"); err != nil {
				t.Fatal(err)
			}
		}
		if n := info("CurrSslConns"); n > most {
			t.Errorf("%d connections over TLS", n)
		}
		if round == 0 {
			s.reload()
			s.alone()
		}
	}
	took := time.Since(begun)
	cancel()
	// Each of the two workers has a second's worth at once, the old one for as long as it accepts.
	if n, bound := shaken.Load(), int64(rate*(took.Seconds()+3)); n > bound {
		t.Errorf("%d handshakes in %v, at most %d were to be", n, took, bound)
	}
	// The limiter takes the second before as if it had been even, as HAProxy's does: one end of it and the next beginning may be full.
	if n := info("MaxSslRate"); n == 0 || n > 2*rate {
		t.Errorf("%d connections began in one second", n)
	}
	all.Wait()
	errs.report(t, "clients that shake hands")

	// Twice as many want to stay as may; each has its request answered when others have left.
	var open atomic.Int64
	for range 2 * most {
		all.Go(func() {
			k, err := keepTLS(s.https, &tls.Config{InsecureSkipVerify: true})
			if err == nil {
				open.Add(1)
				defer k.c.Close()
				if err = k.get("/r/tls/1"); err == nil {
					s.until("the places to be taken", func() bool { return open.Load() >= most })
				}
			}
			if err != nil {
				errs.add(err)
			}
		})
	}
	s.until("the places to be taken", func() bool { return open.Load() >= most })
	if n := info("CurrSslConns"); n > most {
		t.Errorf("%d connections over TLS", n)
	}
	all.Wait()
	errs.report(t, "clients that stay")
	t.Logf("%d handshakes in %v, at most %d in a second", shaken.Load(), took.Round(time.Millisecond), info("MaxSslRate"))
}
