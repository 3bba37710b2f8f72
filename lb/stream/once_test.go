package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/rule"
	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// rules compiles lines of one kind.
func rules(t *testing.T, kind rule.Stage, lines ...string) (set rule.Rules) {
	t.Helper()
	for _, line := range lines {
		r, err := rule.ParseRule(kind, strings.Fields(line), acl.NewACLs())
		if err != nil {
			t.Fatal(line, err)
		}
		set = append(set, r)
	}
	return set
}

// judgedOnce has rules whose second run would show: X-Runs counts them, X-Roll
// is a number drawn, which the answer's rule knows too.
func judgedOnce(t *testing.T, r *rig) {
	r.fe.Rules[rule.Request] = rules(t, rule.Request,
		"set-var(txn.runs) int(0) unless { var(txn.runs) -m found }",
		"set-var(txn.runs) var(txn.runs),add(1)",
		"set-var(txn.roll) rand(1000000000)",
		"set-header X-Runs %[var(txn.runs)]",
		"set-header X-Roll %[var(txn.roll)]")
	r.be.Rules[rule.Request] = rules(t, rule.Request, "set-header X-Backend %[var(txn.roll)]")
	r.be.Rules[rule.Response] = rules(t, rule.Response, "set-header X-Answered %[var(txn.roll)]")
	r.be.NameHeader = "X-Server"
}

// wasJudgedOnce looks at what the server saw (echoSeen) and the answer has.
func wasJudgedOnce(t *testing.T, what string, resp *http.Response, server string) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	roll := resp.Header.Get("X-Answered")
	if want := fmt.Sprintf("1 %s %s %s", roll, roll, server); err != nil || resp.StatusCode != 200 || string(body) != want {
		t.Errorf("%s: %s, the server saw %q, want %q", what, resp.Status, body, want)
	}
}

// seen is what a server says of the head it got.
func seen(h http.Header) string {
	return fmt.Sprintf("%s %s %s %s", h.Get("X-Runs"), h.Get("X-Roll"), h.Get("X-Backend"), h.Get("X-Server"))
}

func bothProtocols(t *testing.T, f func(t *testing.T, kind protocol)) {
	for _, kind := range []protocol{http1Plain, http2Plain} {
		t.Run(kind.String(), func(t *testing.T) { f(t, kind) })
	}
}

// TestRulesRunOnceInAQueue: a request that waits for its turn on a server is
// not judged again when that comes.
func TestRulesRunOnceInAQueue(t *testing.T) {
	bothProtocols(t, func(t *testing.T, kind protocol) {
		proceed := make(chan struct{})
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-proceed:
			case <-t.Context().Done():
			}
			io.WriteString(w, seen(r.Header))
		})
		r := newRig(t, true, []string{srv}, func(r *rig) {
			judgedOnce(t, r)
			r.Servers[0].MaxConn = 1
		})
		client := kind.client(t)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				resp, err := client.Get(kind.url(r))
				if err != nil {
					t.Error(err)
					return
				}
				wasJudgedOnce(t, fmt.Sprint("request ", i), resp, "s1")
			})
		}
		wait.Until(t, "the queue", func() bool { return r.be.Stats().Queued == 7 })
		close(proceed)
		all.Wait()
	})
}

// fullListener is a server whose accept queue is full: a connection to it is
// made only after accept has emptied it, when the client's SYN is sent again.
type fullListener struct {
	fd      int
	addr    string
	fillers []int
}

func newFullListener(t *testing.T) *fullListener {
	t.Helper()
	fd, addr := listen(t)
	l := &fullListener{fd: fd, addr: addr}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 16 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		l.fillers = append(l.fillers, c)
		if err := unix.Connect(c, sa); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, c := range l.fillers {
			unix.Close(c)
		}
		unix.Close(fd)
	})
	return l
}

// serve drops the fillers and answers whatever comes then.
func (l *fullListener) serve(t *testing.T) {
	for _, c := range l.fillers {
		unix.Close(c)
	}
	l.fillers = nil
	unix.Listen(l.fd, 1024)
	unix.SetNonblock(l.fd, false)
	unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
	go func() {
		for t.Context().Err() == nil {
			fd, _, err := unix.Accept(l.fd)
			if err == unix.EINTR { // nothing restarts a call with a timeout, and the end of another loop's ring interrupts
				continue
			}
			if err != nil {
				return
			}
			go answerRaw(fd)
		}
	}()
}

// answerRaw answers one request on a blocking descriptor, if one comes.
func answerRaw(fd int) {
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	for err == unix.EINTR {
		n, err = unix.Read(fd, b)
	}
	if err != nil || n == 0 {
		return
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(b[:n]))))
	if err != nil {
		return
	}
	text := seen(req.Header)
	unix.Write(fd, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text))
}

// TestRulesRunOnceWhileConnecting: a server a network away is not connected at
// once, and the loop serves others meanwhile.
func TestRulesRunOnceWhileConnecting(t *testing.T) {
	bothProtocols(t, func(t *testing.T, kind protocol) {
		l := newFullListener(t)
		r := newRig(t, true, []string{l.addr}, func(r *rig) { judgedOnce(t, r) })
		client := kind.client(t)
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				resp, err := client.Get(kind.url(r))
				if err != nil {
					t.Error(err)
					return
				}
				wasJudgedOnce(t, fmt.Sprint("request ", i), resp, "s1")
			})
		}
		wait.Until(t, "four connections to be made", func() bool { return r.Shards[0].Read().Server[0].Connects == 4 })
		l.serve(t)
		all.Wait()
	})
}

// TestRulesRunOnceOverRetries: attempts that are refused, and those at another
// server, send the request that the rules made at first.
func TestRulesRunOnceOverRetries(t *testing.T) {
	bothProtocols(t, func(t *testing.T, kind protocol) {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, seen(r.Header)) })
		r := newRig(t, true, []string{port.Reserve(t), srv}, func(r *rig) {
			judgedOnce(t, r)
			r.be.Redispatch = 2
			r.be.Timeouts.Connect = 20
		})
		client := kind.client(t)
		for i := range 4 {
			resp, err := client.Post(kind.url(r), "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			wasJudgedOnce(t, fmt.Sprint("request ", i), resp, "s2")
		}
		if n := r.Shards[0].Read().Back[0]; n.Retries+n.Redispatches == 0 {
			t.Error("nothing was tried again")
		}
	})
}

// TestRulesRunOnceWhenSentAgain: a server that closes a kept connection instead
// of answering gets the same request over a new one.
func TestRulesRunOnceWhenSentAgain(t *testing.T) {
	bothProtocols(t, func(t *testing.T, kind protocol) {
		srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
			for i := range 2 {
				req, err := http.ReadRequest(br)
				if err != nil || i == 1 {
					return
				}
				text := seen(req.Header)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
		})
		r := newRig(t, true, []string{srv}, func(r *rig) {
			judgedOnce(t, r)
			r.be.Reuse = ReuseAlways
		})
		client := kind.client(t)
		for i := range 5 {
			resp, err := client.Get(kind.url(r))
			if err != nil {
				t.Fatal(err)
			}
			wasJudgedOnce(t, fmt.Sprint("request ", i), resp, "s1")
		}
		if r.Shards[0].Read().Back[0].Retries == 0 {
			t.Error("nothing was sent again")
		}
	})
}

// TestKeptHeadHasRoom: a head is kept where it fits: in the input buffer, or
// outside it when a body fills that.
func TestKeptHeadHasRoom(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %d", n, len(r.Header.Get("X-Long")))
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-header X-Long "+strings.Repeat("x", 9000))
		r.Servers[0].MaxConn = 1
	})
	for _, body := range []int{0, 1, 20_000, 32_000, 40_000, 200_000} {
		resp, err := http.Post("http://"+r.addr, "text/plain", strings.NewReader(strings.Repeat("b", body)))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("%d 9000", body); string(got) != want {
			t.Errorf("a body of %d bytes: %s %q, want %q", body, resp.Status, got, want)
		}
	}
}

// TestRulesThatMakeTooMuch: a head that rules have made larger than a buffer is
// not sent, and its client is told.
func TestRulesThatMakeTooMuch(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the server was asked") })
	long := "set-header X-%d " + strings.Repeat("x", 9000)
	r := newRig(t, true, []string{srv}, func(r *rig) {
		for i := range 4 {
			r.fe.Rules[rule.Request] = append(r.fe.Rules[rule.Request], rules(t, rule.Request, fmt.Sprintf(long, i))...)
		}
	})
	if got := talk(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 500 ") {
		t.Errorf("got %q", got)
	}
}
