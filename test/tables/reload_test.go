package tables

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// during runs f again and again on n goroutines, numbered, while meanwhile runs, and returns when all have ended.
func during(t *testing.T, n int, f func(i int), meanwhile func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				f(i)
			}
		})
	}
	meanwhile()
}

// TestNobodyChangesServer: over 20 reloads under load every client stays on its server, whether it is known by its address, by what it sends or by
// what the server gave it. With HAProxy, as a control, clients lose theirs.
func TestNobodyChangesServer(t *testing.T) {
	const config = preface + `
frontend fe
  bind HTTP
  use_backend address if { path_beg /r/address }
  use_backend token if { path_beg /headers }
  default_backend users
backend users
  stick-table type string len 20 size 10k expire 100s
  stick on hdr(user)
  server s1 S1
  server s2 S2
  server s3 S3
backend address
  stick-table type ip size 10k expire 100s
  stick on src
  server s1 S1
  server s2 S2
  server s3 S3
backend token
  stick-table type string len 40 size 10k expire 100s
  stick match hdr(token)
  stick store-response res.hdr(x-backend)
  server s1 S1
  server s2 S2
  server s3 S3
`
	theirs, ours := both(t, config)
	changes := func(s *subject, reloads int) int64 {
		const clients = 24
		first := make([]string, 2*clients)
		var changed, requests atomic.Int64
		var list []*client
		for i := range clients {
			list = append(list, s.client(fmt.Sprintf("127.91.18.%d", i+1), i%2 == 0))
		}
		during(t, clients, func(i int) {
			for k, path := range []string{"/r/a/1", "/r/address/1"} {
				_, server, err := list[i].try(path, fmt.Sprintf("User: user-%d", i))
				switch {
				case err != nil:
					if s == ours {
						t.Errorf("client %d: %v", i, err)
					}
				case first[2*i+k] == "":
					first[2*i+k] = server
				case first[2*i+k] != server:
					first[2*i+k] = server
					changed.Add(1)
				}
				requests.Add(1)
			}
		}, func() {
			for range reloads {
				before := requests.Load()
				wait.Until(t, "requests between reloads", func() bool { return requests.Load() > before+200 })
				s.reload()
			}
		})
		return changed.Load()
	}
	if n := changes(ours, 20); n != 0 {
		t.Errorf("%d times a client got another server", n)
	}
	if !theirs.tape.Live() {
		return // the control needs haproxy itself
	}
	if n := changes(theirs, 3); n == 0 {
		t.Error("the control has not lost a client: this test shows nothing")
	}
}

// TestNothingIsCountedTwice: what tables say at the end of 20 reloads under load is what the clients did, whether their connections stayed, moved or
// came anew.
func TestNothingIsCountedTwice(t *testing.T) {
	behind := servers(t)
	s := start(t, built.LB, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 10k expire 100s store conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_req_rate(600s),bytes_out_cnt,gpc0
  tcp-request connection track-sc0 src
  tcp-request session accept
  http-request track-sc1 hdr(user) table users
  http-request sc-inc-gpc0(0)
  default_backend be
backend users
  stick-table type string size 10k expire 100s store conn_cnt,conn_cur,http_req_cnt,http_req_rate(600s),bytes_out_cnt
backend be
  server s1 S1 maxconn 4
`, behind)
	const clients = 16
	var list [clients]*client
	var requests, connections [clients]atomic.Int64
	address := func(i int) string { return fmt.Sprintf("127.91.19.%d", i+1) }
	for i := range list {
		list[i] = s.client(address(i), i%2 == 0)
	}
	var total atomic.Int64
	during(t, clients, func(i int) {
		path := "/bytes/1000"
		if i%3 == 0 {
			path = "/delay/30"
		}
		if status, _, err := list[i].try(path, fmt.Sprintf("User: user-%d", i)); err != nil || status != 200 {
			t.Errorf("client %d: %d %v", i, status, err)
		}
		requests[i].Add(1)
		total.Add(1)
		if i%2 == 1 {
			connections[i].Add(1)
		}
	}, func() {
		for range 20 {
			before := total.Load()
			wait.Until(t, "requests between reloads", func() bool { return total.Load() > before+100 })
			s.reload()
		}
	})
	wait.Until(t, "the old workers to leave", func() bool {
		_, old, err := s.Workers()
		return err == nil && len(old) == 0
	})
	for i := range clients {
		if i%2 == 0 {
			connections[i].Store(1)
			if n := s.data("fe", address(i), "conn_cur"); n != 1 {
				t.Errorf("client %d has one connection, the table says %d", i, n)
			}
		}
		list[i].http.CloseIdleConnections()
	}
	s.released("fe", "users")
	for i := range clients {
		user := fmt.Sprintf("user-%d", i)
		for _, one := range []struct {
			table, key, name string
			want             int64
		}{
			{"fe", address(i), "conn_cur", 0}, {"users", user, "conn_cur", 0},
			{"fe", address(i), "conn_cnt", connections[i].Load()}, {"fe", address(i), "sess_cnt", connections[i].Load()},
			{"fe", address(i), "http_req_cnt", requests[i].Load()}, {"users", user, "http_req_cnt", requests[i].Load()},
			{"fe", address(i), "gpc0", requests[i].Load()}, {"users", user, "conn_cnt", requests[i].Load()},
			{"fe", address(i), "http_req_rate", requests[i].Load()}, {"users", user, "http_req_rate", requests[i].Load()},
		} {
			if got := int64(s.data(one.table, one.key, one.name)); got != one.want {
				t.Errorf("client %d: %s of %s in %s is %d, the client counted %d", i, one.name, one.key, one.table, got, one.want)
			}
		}
		if in, of := s.data("users", user, "bytes_out_cnt"), s.data("fe", address(i), "bytes_out_cnt"); in != of {
			t.Errorf("client %d: %d bytes by its name, %d by its address", i, in, of)
		}
	}
}

// TestLastConnections: what an old worker finishes reaches the new one's table: a request that was running, and a tunnel that moves.
func TestLastConnections(t *testing.T) {
	behind := servers(t)
	echo, err := backend.StartEcho(host + ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	tcp := net.JoinHostPort(host, strconv.Itoa(ports[0]))
	answer := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		io.WriteString(w, "at last")
	}))
	defer slow.Close()
	s := start(t, built.LB, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 10k expire 100s store conn_cur,conn_cnt,bytes_out_cnt
  http-request track-sc0 src
  default_backend be
backend be
  server s1 `+slow.Listener.Addr().String()+`
listen tunnel
  mode tcp
  bind `+tcp+`
  stick-table type ip size 10k expire 100s store conn_cur,conn_cnt,bytes_in_cnt,bytes_out_cnt,server_id
  tcp-request connection track-sc0 src
  tcp-request content track-sc1 src table fe
  stick on src
  server e1 `+echo.Addr()+`
`, behind)
	c := s.client(host, true)
	done := make(chan struct{})
	go func() {
		c.get("/")
		close(done)
	}()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.91.17.6")}}
	tunnel, err := d.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	say := func(text string) {
		t.Helper()
		tunnel.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(tunnel, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(tunnel, make([]byte, len(text))); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	wait.Until(t, "both to be counted", func() bool {
		return s.data("fe", host, "conn_cur") == 1 && s.data("fe", "127.91.17.6", "conn_cur") == 1 && s.data("tunnel", "", "conn_cur") == 1
	})
	for range 3 {
		s.reload()
	}
	say("after")
	for _, key := range []string{host, "127.91.17.6"} {
		wait.Until(t, key+" to have one connection", func() bool { return s.data("fe", key, "conn_cur") == 1 })
	}
	tunnel.Close()
	wait.Until(t, "the tunnel's end to be counted", func() bool {
		return s.data("fe", "127.91.17.6", "conn_cur") == 0 && s.data("tunnel", "", "conn_cur") == 0 && s.data("tunnel", "", "bytes_in_cnt") == 11
	})
	close(answer)
	<-done
	wait.Until(t, "the old request's end to be counted", func() bool {
		return s.data("fe", host, "conn_cur") == 0 && s.data("fe", host, "bytes_out_cnt") > 0
	})
	if n := s.data("fe", host, "conn_cnt"); n != 1 {
		t.Errorf("the request was counted %d times", n)
	}
}

// TestAnotherConfiguration: a table of another type begins anew, a smaller one keeps what was touched last, what was not stored begins at 0.
func TestAnotherConfiguration(t *testing.T) {
	const tables = `
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
backend small
  stick-table type integer size %s store %s
backend typed
  stick-table type %s size 100 store gpc0
`
	s := start(t, built.LB, preface+fmt.Sprintf(tables, "100", "gpc0,gpc1", "string len 10"), servers(t))
	for i := range 10 {
		for _, command := range []string{"set table small key %d data.gpc0 %[1]d data.gpc1 5", "set table typed key %d data.gpc0 %[1]d"} {
			if out, err := s.Command(fmt.Sprintf(command, i)); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(out, err)
			}
		}
	}
	if err := s.Configure(s.fill(preface + fmt.Sprintf(tables, "3", "gpc0,conn_cnt", "string len 12"))); err != nil {
		t.Fatal(err)
	}
	s.reload()
	if got, want := s.table("small"), "# table: small, type: integer, size:3, used:3\nkey=7 use=0 gpc0=7 conn_cnt=0\nkey=8 use=0 gpc0=8 conn_cnt=0\nkey=9 use=0 gpc0=9 conn_cnt=0\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := s.table("typed"), "# table: typed, type: string, size:100, used:0\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMasterKilled: the tables are there when a new master has taken the worker over, and when that worker is replaced.
func TestMasterKilled(t *testing.T) {
	s := start(t, built.LB, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 100 store http_req_cnt
  http-request track-sc0 src
  default_backend be
backend be
  server s1 S1
`, servers(t))
	c := s.client(host, true)
	for range 3 {
		c.get("/r/a/1")
	}
	old, _, err := s.Workers()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(old, syscall.SIGKILL)
	if err := s.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	os.Remove(s.Config + ".pid")
	text, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), built.LB, "-W", string(text)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.get("/r/a/1")
	}
	s.reload()
	c.get("/r/a/1")
	wait.Until(t, "all 6 requests to be counted", func() bool { return s.data("fe", "", "http_req_cnt") == 6 })
}

// TestManyEntries: a large table goes along with a reload, and no request waits for it. LB_LONG=1 makes it a million entries.
func TestManyEntries(t *testing.T) {
	entries := 100_000
	if os.Getenv("LB_LONG") != "" {
		entries = 1_000_000
	}
	s := start(t, built.LB, preface+`
frontend fe
  bind HTTP
  stick-table type integer size 2m expire 1h store conn_cur,http_req_cnt,http_req_rate(10m)
  http-request track-sc0 hdr_val(number)
  default_backend be
backend be
  server s1 S1
`, servers(t))
	var b strings.Builder
	for i := range entries {
		if b.Len() > 15_000 || i == entries-1 {
			if out, err := s.Command(b.String()); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(out, err)
			}
			b.Reset()
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, "set table fe key %d data.http_req_cnt %d", i, i%1000)
	}
	if _, err := s.Command(b.String()); err != nil {
		t.Fatal(err)
	}
	const clients = 8
	var mu sync.Mutex
	var quiet, busy []time.Duration
	var reloading atomic.Bool
	var list []*client
	for range clients {
		list = append(list, s.client("", true))
	}
	var took []time.Duration
	during(t, clients, func(i int) {
		begun := time.Now()
		if status, _, err := list[i].try("/r/a/1", fmt.Sprintf("Number: %d", rand.IntN(entries))); err != nil || status != 200 {
			t.Errorf("%d %v", status, err)
		}
		d := time.Since(begun)
		mu.Lock()
		if reloading.Load() {
			busy = append(busy, d)
		} else {
			quiet = append(quiet, d)
		}
		mu.Unlock()
	}, func() {
		for range 3 {
			mu.Lock()
			before := len(quiet)
			mu.Unlock()
			wait.Until(t, "requests between reloads", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(quiet) > before+2000
			})
			reloading.Store(true)
			begun := time.Now()
			s.reload()
			took = append(took, time.Since(begun))
			reloading.Store(false)
		}
	})
	p99 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*99/100]
	}
	t.Logf("%d entries: reloads took %v; p99 of a request %v, at most %v (of %d); during reloads %v, at most %v (of %d)",
		entries, took, p99(quiet), quiet[len(quiet)-1], len(quiet), p99(busy), busy[len(busy)-1], len(busy))
	if pid, _, err := s.Workers(); err == nil {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		t.Log("the worker's memory: ", regexp.MustCompile(`VmRSS:.*`).FindString(string(status)))
	}
	if got, want := s.title("fe"), fmt.Sprintf("used:%d", entries); !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	for range 100 {
		i := rand.IntN(entries)
		if n := s.data("fe", fmt.Sprint(i), "http_req_cnt"); n < i%1000 || n > i%1000+100 {
			t.Errorf("entry %d says %d", i, n)
		}
	}
}

// title is the line of a table in the list of all.
func (s *subject) title(name string) string {
	text, err := s.Command("show table")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# table: "+name+",") {
			return line
		}
	}
	return ""
}

// TestManyConnections: idle connections of many clients stay counted, each once, while they move from worker to worker.
func TestManyConnections(t *testing.T) {
	conns := 1000
	if os.Getenv("LB_LONG") != "" {
		conns = 8000
	}
	s := start(t, built.LB, preface+`
  maxconn 20000
frontend fe
  bind HTTP
  stick-table type ip size 100k expire 100s store conn_cur,conn_cnt,http_req_cnt
  tcp-request connection track-sc0 src
  default_backend be
backend be
  server s1 S1
`, servers(t))
	address := func(i int) string { return fmt.Sprintf("127.93.%d.%d", i/200, i%200+1) }
	list := make([]*client, conns)
	for i := range list {
		list[i] = s.client(address(i/2), true) // two from each address
		list[i].get("/r/a/1")
	}
	var took []time.Duration
	for range 3 {
		begun := time.Now()
		s.reload()
		wait.Until(t, "the old worker to leave", func() bool {
			_, old, err := s.Workers()
			return err == nil && len(old) == 0
		})
		took = append(took, time.Since(begun))
	}
	t.Logf("%d connections: reloads took %v until the old worker had left", conns, took)
	entries := func(want string) int { return strings.Count(s.table("fe"), want) }
	counted := func(want string) {
		t.Helper()
		table := s.table("fe")
		if got := strings.Count(table, want); got != conns/2 {
			t.Errorf("%d of %d clients have%s", got, conns/2, want)
		}
		for i, c := range list {
			if line, _, _ := strings.Cut(table[max(0, strings.Index(table, "key="+address(i/2)+" ")):], "\n"); !strings.HasSuffix(line+"\n", want) || c.dials.Load() != 1 {
				t.Errorf("a client that has connected %d times: %s", c.dials.Load(), line)
			}
		}
	}
	counted(" conn_cnt=2 conn_cur=2 http_req_cnt=2\n")
	for _, c := range list {
		c.get("/r/a/1")
	}
	counted(" conn_cnt=2 conn_cur=2 http_req_cnt=4\n")
	for _, c := range list {
		c.http.CloseIdleConnections()
	}
	wait.Until(t, "all connections to end", func() bool { return entries("use=0 conn_cnt=2 conn_cur=0 ") == conns/2 })
}
