package handover

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/load"
	"lbsyslogd/test/tape"
)

// TestKeepAliveLoad is ab on kept connections, which HAProxy's reload fails some of, and a client that posts and never tries twice: with a
// reload every 200 ms no request fails, and no connection is closed by the balancer.
func TestKeepAliveLoad(t *testing.T) {
	ab := tape.Require(t, "ab")
	s := start(t)
	requests := sized(60_000, 200_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reloads := s.reloading(ctx, 200*time.Millisecond)
	posts := make(chan load.Result, 1)
	go func() {
		posts <- load.New(load.Options{Addr: s.http, Run: "post", Requests: requests / 10, Conns: 20, PostEach: 1, BodySize: 40_000}).Run(t.Context())
	}()
	out, err := exec.Command(ab, "-q", "-r", "-k", "-c", "100", "-n", strconv.Itoa(requests), "http://"+s.http+"/bytes/200").CombinedOutput()
	if err != nil {
		t.Fatalf("ab: %v\n%s", err, out)
	}
	r := <-posts
	cancel()
	n := <-reloads
	if figure(out, "Complete requests") != requests || figure(out, "Failed requests") != 0 || figure(out, "Keep-Alive requests") != requests || bytes.Contains(out, []byte("Non-2xx")) {
		t.Errorf("ab:\n%s", out)
	}
	// A connection for each client, and no other: none was closed by the balancer.
	if r.Failed() > 0 || r.OK() != uint64(requests/10) || r.Conns != 20 {
		t.Errorf("posts: %v", r)
	}
	t.Logf("%d requests at %d a second, %d posts, %d reloads", requests, figure(out, "Requests per second"), r.OK(), n)
	s.alone()
	total := requests + requests/10
	s.counted("fe", "FRONTEND", "req_tot", total)
}

// reloading asks for a reload every interval until ctx ends, and tells then how often it did.
func (s *site) reloading(ctx context.Context, every time.Duration) <-chan int {
	done := make(chan int, 1)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
					s.t.Error(err)
				}
			case <-ctx.Done():
				done <- n
				return
			}
		}
	}()
	return done
}

// figure reads a whole number of ab's report; one that is not there is 0, as ab leaves out what did not happen.
func figure(report []byte, name string) int {
	for line := range strings.Lines(string(report)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			text, _, _ := strings.Cut(strings.Fields(rest)[0], ".")
			n, err := strconv.Atoi(text)
			if err != nil {
				return -1
			}
			return n
		}
	}
	return 0
}

// TestReloadStorm asks for 200 reloads at once under load: each is answered with success, few generations ran, and no request fails.
func TestReloadStorm(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan load.Result, 1)
	go func() {
		result <- load.New(load.Options{Addr: s.http, Run: "storm", Requests: 10_000_000, Conns: 20, PostEach: 3}).Run(ctx)
	}()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if out, err := s.lb.Reload(t.Context()); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	cancel()
	r := <-result
	if r.Failed() > 0 || r.OK() == 0 || r.Conns != 20 {
		t.Errorf("under load: %v", r)
	}
	text, err := s.lb.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v\n%s", r, text)
	ran := strings.Count(s.lb.Output(), "Loading success.") - 1
	// Whoever asks while one is on its way shares the next, which waits until the crowd is complete.
	if ran < 1 || ran > 5 {
		t.Errorf("200 requests at once led to %d reloads", ran)
	}
}
