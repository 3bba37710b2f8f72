package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// generation is the field by which answers of the configuration on trial are known.
const generation = "X-Generation"

// trial is `lb reload --canary` that is under way.
type trial struct {
	out string
	err error
	end chan struct{}
}

func (s *stack) try(t *testing.T, config string, options ...string) *trial {
	t.Helper()
	if err := s.lb.Configure(config); err != nil {
		t.Fatal(err)
	}
	r := &trial{end: make(chan struct{})}
	go func() {
		defer close(r.end)
		r.out, r.err = s.lb.Reload(t.Context(), options...)
	}()
	return r
}

// begun waits until the trial is under way.
func (r *trial) begun(t *testing.T, s *stack) {
	t.Helper()
	wait.Until(t, "the trial to begin", func() bool {
		select {
		case <-r.end:
			t.Fatalf("it has ended: %v %s", r.err, r.out)
		default:
		}
		out, err := s.lb.Verb(t.Context(), "canary")
		return err == nil && strings.Contains(out, "generation")
	})
}

func (r *trial) want(t *testing.T, ok bool, text string) {
	t.Helper()
	<-r.end
	if (r.err == nil) != ok || !strings.Contains(r.out, text) {
		t.Fatalf("want %q; the trial ended with %v: %s", text, r.err, r.out)
	}
}

// TestCanary: a new configuration on trial gets its share of new connections, over TCP, TLS and HTTP/2. One that answers 5 % more 5xx is taken back by
// itself, one that is good is promoted, and in both cases no connection is lost: those that are open go on in the other generation.
func TestCanary(t *testing.T) {
	s := start(t, options{tls: "alpn h2,http/1.1"})
	good, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	marked := strings.Replace(string(good), "    default_backend be\n", "    http-after-response set-header "+generation+" new\n    default_backend be\n", 1)
	failing := strings.Replace(marked, "    default_backend be\n", "    http-request return status 503 if { rand(20) eq 0 }\n    default_backend be\n", 1)

	t.Run("an operator takes it back", func(t *testing.T) {
		r := s.try(t, marked, "--canary", "50%", "--for", "10m")
		r.begun(t, s)
		all := s.keep(t)
		for _, k := range all {
			k.use(t, k.onTrial)
		}
		if out, err := s.lb.Reload(t.Context()); err == nil || !strings.Contains(out, "is on trial until") {
			t.Errorf("a reload meanwhile: %v %s", err, out)
		}
		if out, err := s.lb.Verb(t.Context(), "canary", "abort"); err != nil || !strings.Contains(out, "is taken back") {
			t.Fatalf("%v %s", err, out)
		}
		r.want(t, false, "was taken back")
		s.alone(t)
		for _, k := range all {
			k.use(t, false)
		}
	})
	t.Run("its worker is killed", func(t *testing.T) {
		r := s.try(t, marked, "--canary", "10%", "--for", "10m")
		r.begun(t, s)
		out, err := s.lb.Verb(t.Context(), "canary")
		pid := regexp.MustCompile(`\(worker (\d+)\)`).FindStringSubmatch(out)
		if err != nil || pid == nil {
			t.Fatalf("%v %s", err, out)
		}
		n, _ := strconv.Atoi(pid[1])
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.want(t, false, "was killed by signal 9")
		s.alone(t)
	})
	t.Run("it fails more", func(t *testing.T) {
		stop := s.hammer(t)
		s.try(t, failing, "--canary", "5%", "--for", "1m").want(t, false, "exchanges failed")
		if failed := stop(); failed == 0 {
			t.Error("no client has met the configuration on trial")
		}
		s.alone(t)
	})
	t.Run("it is good", func(t *testing.T) {
		stop := s.hammer(t)
		r := s.try(t, marked, "--canary", "25%", "--for", "5s")
		r.begun(t, s)
		all := s.keep(t)
		r.want(t, true, "It was on trial for 5s")
		if failed := stop(); failed > 0 {
			t.Errorf("%d requests failed", failed)
		}
		s.alone(t)
		for _, k := range all {
			k.use(t, true)
		}
	})
}

// alone waits until one worker is left.
func (s *stack) alone(t *testing.T) {
	t.Helper()
	wait.Until(t, "one worker to be left", func() bool {
		_, old, err := s.lb.Workers()
		return err == nil && len(old) == 0
	})
}

// kept is a client whose one connection stays open.
type kept struct {
	name    string
	get     func() (*http.Response, error)
	onTrial bool
	n       int
}

func (k *kept) use(t *testing.T, onTrial bool) {
	t.Helper()
	a, err := k.get()
	if err != nil {
		t.Errorf("%s: request %d: %v", k.name, k.n, err)
		return
	}
	a.Body.Close()
	k.n++
	if got := a.Header.Get(generation) != ""; a.StatusCode != 200 || got != onTrial {
		t.Errorf("%s: request %d: %d, from the new generation: %v, want %v", k.name, k.n, a.StatusCode, got, onTrial)
	}
}

// keep opens connections, of each kind one to the generation that serves and one to the generation on trial. A client that had to connect again fails.
func (s *stack) keep(t *testing.T) (all []*kept) {
	t.Helper()
	for _, kind := range []string{"plain", "TLS", "HTTP/2"} {
		var fresh, old bool
		for range 100 {
			k := s.keptClient(t, kind)
			a, err := k.get()
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			a.Body.Close()
			k.onTrial = a.Header.Get(generation) != ""
			if k.onTrial && !fresh || !k.onTrial && !old {
				all = append(all, k)
			}
			fresh, old = fresh || k.onTrial, old || !k.onTrial
			if fresh && old {
				break
			}
		}
		if !fresh || !old {
			t.Fatalf("of 100 connections (%s) all met the same generation", kind)
		}
	}
	return all
}

func (s *stack) keptClient(t *testing.T, kind string) *kept {
	t.Helper()
	if kind != "HTTP/2" {
		var c *speaker
		if kind == "TLS" {
			c = s.goSpeaker(t, &tls.Config{NextProtos: []string{"http/1.1"}})
		} else {
			r := dial(t, s.http)
			c = &speaker{kind, r, r.r}
		}
		return &kept{name: kind, get: func() (*http.Response, error) {
			if _, err := fmt.Fprintf(c.w, "GET /r/kept/1 HTTP/1.1\r\nHost: lb.example\r\n\r\n"); err != nil {
				return nil, err
			}
			a, err := http.ReadResponse(c.r, nil)
			if err == nil {
				a.Body.Close() // reads it to its end
			}
			return a, err
		}}
	}
	dialled := false
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: s.pool, ServerName: "lb.example"},
		DialTLSContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			if dialled {
				return nil, fmt.Errorf("the connection was lost")
			}
			dialled = true
			d := tls.Dialer{Config: &tls.Config{RootCAs: s.pool, ServerName: "lb.example", NextProtos: []string{"h2"}}}
			return d.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return &kept{name: kind, get: func() (*http.Response, error) { return client.Get("https://" + s.https + "/r/kept/1") }}
}

// hammer runs ab, with a connection for each request, and h2load over TLS, until stop is called. It returns how many answers were 5xx; anything
// else that is not 200 fails the test.
func (s *stack) hammer(t *testing.T) (stop func() (failed int)) {
	t.Helper()
	tape.Require(t, "ab")
	tape.Require(t, "h2load")
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	loop := func(judge func(out string) (bad int, ok bool), name string, args ...string) {
		all.Go(func() {
			for ctx.Err() == nil {
				out, err := exec.Command(name, args...).CombinedOutput()
				bad, ok := judge(string(out))
				if err != nil || !ok {
					t.Errorf("%s: %v\n%s", name, err, out)
				}
				mu.Lock()
				failed += bad
				mu.Unlock()
			}
		})
	}
	loop(func(out string) (int, bool) {
		lost := regexp.MustCompile(`\(Connect: 0, Receive: 0, Length: \d+, Exceptions: 0\)`)
		bad := abFigure(out, "Non-2xx responses")
		return bad, abFigure(out, "Complete requests") == 2000 && (abFigure(out, "Failed requests") == 0 || lost.MatchString(out) && bad > 0)
	}, "ab", "-q", "-r", "-c", "20", "-n", "2000", "http://"+s.http+"/r/ab")
	loop(func(out string) (int, bool) {
		m := regexp.MustCompile(`400 done, (\d+) succeeded, (\d+) failed, 0 errored, 0 timeout\nstatus codes: (\d+) 2xx, 0 3xx, 0 4xx, (\d+) 5xx`).FindStringSubmatch(out)
		if m == nil || m[1] != m[3] || m[2] != m[4] {
			return 0, false
		}
		bad, _ := strconv.Atoi(m[4])
		return bad, true
	}, "h2load", "-t1", "-c40", "-m2", "-n400", "https://"+s.https+"/r/h2load")
	end := func() int {
		cancel()
		all.Wait()
		return failed
	}
	t.Cleanup(func() { end() }) // of a test that fails before it has called it
	return end
}
