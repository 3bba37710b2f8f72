package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/ledger"
	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestReloadUnderTLS sends 20,000 requests over TLS, some on kept connections and some on new ones, while the balancer is reloaded.
func TestReloadUnderTLS(t *testing.T) {
	s := start(t, options{log: true})
	config := &tls.Config{RootCAs: s.pool, ServerName: "lb.example"}
	runs := []load.Options{
		{Run: "kept", Requests: 14_000, Conns: 20, PerConn: 100, PostEach: 5},
		{Run: "new", Requests: 6_000, Conns: 20, PerConn: 1},
	}
	for i := range runs {
		runs[i].Addr, runs[i].TLS = s.https, config
	}
	times := s.loadWhile(t, 200*time.Millisecond, func() {
		if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
			t.Error(err)
		}
	}, runs...)
	t.Logf("%d reloads", times)
}

// TestReloadUnderMixedLoad is what ab cannot do: kept connections with and without pauses, posts, new connections, all numbered, so
// that the log is compared request by request.
func TestReloadUnderMixedLoad(t *testing.T) {
	s := start(t, options{log: true})
	times := s.loadWhile(t, 200*time.Millisecond, func() {
		if out, err := s.lb.Reload(t.Context()); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	},
		load.Options{Run: "busy", Addr: s.http, Requests: 40_000, Conns: 30, PostEach: 4, BodySize: 3000},
		load.Options{Run: "calm", Addr: s.http, Requests: 5_000, Conns: 50, Rate: 1000}, // often idle when the reload comes
		load.Options{Run: "new", Addr: s.http, Requests: 10_000, Conns: 10, PerConn: 1},
	)
	t.Logf("%d reloads", times)
}

// loadWhile runs loads while it calls disturb every interval, and fails the test unless every request was answered rightly and has its line.
func (s *stack) loadWhile(t *testing.T, every time.Duration, disturb func(), runs ...load.Options) (times int) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan int)
	go func() { done <- repeat(every, stop, disturb) }()
	results := make([]load.Result, len(runs))
	var all sync.WaitGroup
	for i, opt := range runs {
		all.Go(func() { results[i] = load.New(opt).Run(t.Context()) })
	}
	all.Wait()
	close(stop)
	times = <-done
	for i, r := range results {
		if r.OK() != uint64(runs[i].Requests) || r.Failed() > 0 {
			t.Errorf("%s: %v", runs[i].Run, r)
		} else {
			t.Logf("%s: %v", runs[i].Run, r)
		}
	}
	if s.log == nil || t.Failed() {
		return times
	}
	for _, opt := range runs {
		var report ledger.Report
		wait.Until(t, "a balanced ledger of "+opt.Run, func() bool {
			if _, err := s.log.Verb(t.Context(), "flush"); err != nil {
				t.Fatal(err)
			}
			l := ledger.New(opt.Run, opt.Requests)
			if err := l.ReadAll(s.log.Log); err != nil {
				t.Fatal(err)
			}
			report = l.Report()
			return report.Lines >= report.Requests
		})
		if !report.Balanced() {
			t.Errorf("%s: %v", opt.Run, report)
		}
	}
	return times
}

// newConnections makes one connection with one request after the other until stop, and returns what became of them.
func (s *stack) newConnections(t *testing.T) (stop func() load.Result) {
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan load.Result)
	go func() {
		result <- load.New(load.Options{Addr: s.http, Run: "probe", Requests: 1_000_000, Conns: 4, PerConn: 1, Rate: 2000}).Run(ctx)
	}()
	return func() load.Result {
		cancel()
		return <-result
	}
}

// TestFailingReload holds that a reload that cannot succeed says so and costs nothing: exit status 1, the file and line or the cause, and
// neither a refused nor a reset connection meanwhile. The balancer goes on with what it had and takes the next good configuration.
func TestFailingReload(t *testing.T) {
	s := start(t, options{})
	good, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	lines := strings.Count(string(good), "\n")

	row := func(name, config string, wants ...string) {
		t.Run(name, func(t *testing.T) {
			before := s.worker(t)
			if err := s.lb.Configure(config); err != nil {
				t.Fatal(err)
			}
			stop := s.newConnections(t)
			for range 5 {
				out, err := s.lb.Reload(t.Context())
				if err == nil {
					t.Fatalf("the reload succeeded: %s", out)
				}
				for _, want := range wants {
					if !strings.Contains(out, want) {
						t.Errorf("want %q in the answer:\n%s", want, out)
					}
				}
			}
			if r := stop(); r.Failed() > 0 || r.OK() == 0 {
				t.Errorf("new connections meanwhile: %v", r)
			}
			if now := s.worker(t); now != before {
				t.Errorf("worker %d was replaced by %d", before, now)
			}
		})
	}
	at := func(n int) string { return fmt.Sprintf("%s:%d", s.lb.Config, lines+n) }
	row("syntax error", string(good)+"backend x\n    server \"unterminated 127.0.0.1:1\n", at(2))
	row("unknown keyword", string(good)+"backend x\n    balanec roundrobin\n", at(2), "balanec", "balance")
	row("port in use", string(good)+"frontend x\n    bind "+taken.Addr().String()+"\n    default_backend be\n", taken.Addr().String(), "taken")
	row("missing certificate", string(good)+"frontend x\n    bind "+host+":9 ssl crt /nowhere/site.pem\n    default_backend be\n", at(2), "/nowhere/site.pem")

	before := s.worker(t)
	if err := s.lb.Configure(string(good)); err != nil {
		t.Fatal(err)
	}
	if out, err := s.lb.Reload(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s.worker(t) == before {
		t.Error("the good reload left the worker in place")
	}
}

// TestWorkerKilled holds that a worker that dies is replaced on the same listeners: connections wait, none is refused.
func TestWorkerKilled(t *testing.T) {
	s := start(t, options{})
	for range 3 {
		before := s.worker(t)
		stop := s.newConnections(t)
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "another worker", func() bool {
			now, _, err := s.lb.Workers()
			return err == nil && now != before
		})
		wait.Until(t, "an answer from it", func() bool {
			r := load.New(load.Options{Addr: s.http, Run: "after", Requests: 1, PerConn: 1}).Run(t.Context())
			return r.OK() == 1
		})
		// What the dead worker had accepted is lost with it; what it had not is served by the next one.
		if r := stop(); r.Counts[load.Refused] > 0 {
			t.Errorf("new connections meanwhile: %v", r)
		}
	}
}

// TestStop holds the exit statuses of facts a service manager acts on: SIGTERM ends the master with 0, after its workers.
func TestStop(t *testing.T) {
	row := func(sig syscall.Signal, want string) {
		t.Helper()
		s := start(t, options{})
		worker := s.worker(t)
		if err := s.lb.Signal(sig); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.lb.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%v did not end the balancer", sig)
		}
		if got := fmt.Sprint(s.lb.Err()); got != want {
			t.Errorf("%v: ended with %s, want %s", sig, got, want)
		}
		if rig.Alive(worker) {
			t.Errorf("%v: worker %d is left over", sig, worker)
		}
	}
	row(syscall.SIGTERM, "<nil>")
	row(syscall.SIGINT, "exit status 130")
	row(syscall.SIGUSR1, "<nil>")
}
