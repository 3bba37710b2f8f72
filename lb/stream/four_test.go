package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// recorder is a server that answers each path with fixed bytes and keeps the
// heads it got. It closes a connection after an answer that says so.
type recorder struct {
	addr    string
	answers map[string]string // by path, without query

	mu    sync.Mutex
	heads []string
	conns int
}

func newRecorder(t *testing.T, answers map[string]string) *recorder {
	rec := &recorder{answers: answers}
	rec.addr = script(t, func(c *net.TCPConn, br *bufio.Reader) {
		rec.mu.Lock()
		rec.conns++
		rec.mu.Unlock()
		for {
			head, path, ok := rec.read(br)
			if !ok {
				return
			}
			rec.mu.Lock()
			rec.heads = append(rec.heads, head)
			answer := rec.answers[path]
			rec.mu.Unlock()
			io.WriteString(c, answer)
			if strings.Contains(answer, "Connection: close") {
				return
			}
		}
	})
	return rec
}

// read takes one request and its body off the connection.
func (rec *recorder) read(br *bufio.Reader) (head, path string, ok bool) {
	length := 0
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return "", "", false
		}
		if head == "" {
			if f := strings.Fields(line); len(f) == 3 {
				path, _, _ = strings.Cut(f[1], "?")
			}
		}
		if v, found := strings.CutPrefix(strings.ToLower(line), "content-length: "); found {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		head += line
		if line == "\r\n" {
			break
		}
	}
	_, err := br.Discard(length)
	return head, path, err == nil
}

// last is the head of the last request.
func (rec *recorder) last() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.heads) == 0 {
		return ""
	}
	return rec.heads[len(rec.heads)-1]
}

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld"

// TestAnswersAreFramedByWhatIsSaid: a status or a method that rules have
// changed decides whether there is a body, and the next answer begins where the
// client looks for it.
func TestAnswersAreFramedByWhatIsSaid(t *testing.T) {
	const (
		hello   = "Content-Length: 5\r\n\r\nhello"
		plain   = "HTTP/1.1 200 OK\r\nX-Plain: yes\r\nContent-Length: 5\r\n\r\nworld"
		chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	)
	for _, c := range []struct {
		name, req, res   string // rules
		ask, answer, say string // request line, the server's answer to it, what the client gets before the next answer
		closes           bool   // the server's connection is not used again
	}{
		{"200 to 204", "", "set-status 204", "GET /x", "HTTP/1.1 200 OK\r\n" + hello, "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"200 to 204, chunked", "", "set-status 204", "GET /x", "HTTP/1.1 200 OK\r\n" + chunked, "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"200 to 304", "", "set-status 304", "GET /x", "HTTP/1.1 200 OK\r\n" + hello, "HTTP/1.1 304 Not Modified\r\n\r\n", false},
		{"200 to 304, chunked", "", "set-status 304", "GET /x", "HTTP/1.1 200 OK\r\n" + chunked, "HTTP/1.1 304 Not Modified\r\n\r\n", false},
		{"200 to 204, until close", "", "set-status 204", "GET /x", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"304 to 200", "", "set-status 200", "GET /x", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\n\r\n", false},
		{"304 of 1000 bytes to 404", "", "set-status 404", "GET /x", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false},
		{"204 to 200", "", "set-status 200", "GET /x", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		{"204 to 204", "", "set-status 204", "GET /x", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"HEAD asked as GET", "set-method GET", "", "HEAD /x", "HTTP/1.1 200 OK\r\n" + hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false},
		{"HEAD asked as GET, chunked", "set-method GET", "", "HEAD /x", "HTTP/1.1 200 OK\r\n" + chunked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		{"GET asked as HEAD", "set-method HEAD", "", "GET /x", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		{"GET asked as HEAD, no length", "set-method HEAD", "", "GET /x", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newRecorder(t, map[string]string{"/x": c.answer, "/plain": plain})
			r := newRig(t, true, []string{srv.addr}, func(r *rig) {
				if c.req != "" {
					r.fe.Rules[rule.Request] = rules(t, rule.Request, c.req+" if { path /x }")
				}
				if c.res != "" {
					r.be.Rules[rule.Response] = rules(t, rule.Response, c.res+" unless { res.hdr(X-Plain) yes }")
				}
			})
			cl, br := dial(t, r.addr)
			fmt.Fprintf(cl, "%s HTTP/1.1\r\nHost: h\r\n\r\nGET /plain HTTP/1.1\r\nHost: h\r\n\r\n", c.ask)
			want := c.say + plain
			got := make([]byte, len(want))
			n, err := io.ReadFull(br, got)
			if err != nil || string(got) != want {
				t.Fatalf("the client got %q, %v; want %q", got[:n], err, want)
			}
			cl.CloseWrite()
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Errorf("and then %q", rest)
			}
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if want := 1 + map[bool]int{true: 1}[c.closes]; srv.conns != want {
				t.Errorf("%d connections to the server, want %d", srv.conns, want)
			}
			for _, first := range srv.heads {
				if !strings.HasPrefix(first, "GET ") && !strings.HasPrefix(first, "HEAD ") {
					t.Errorf("the server was asked %q", first)
				}
			}
		})
	}
}

// TestBodilessOverHTTP2: the same changes end a stream, and no DATA comes.
func TestBodilessOverHTTP2(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
	for status, want := range map[string]string{"204": "", "304": "", "200": "hello"} {
		srv := newRecorder(t, map[string]string{"/x": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "/chunked": chunked})
		r := newRig(t, true, []string{srv.addr}, func(r *rig) { r.be.Rules[rule.Response] = rules(t, rule.Response, "set-status "+status) })
		for _, path := range []string{"/x", "/chunked"} {
			resp, err := http2Plain.client(t).Get(http2Plain.url(r) + path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != want || strconv.Itoa(resp.StatusCode) != status {
				t.Errorf("%s: %s %q %v", status, resp.Status, b, err)
			}
			if trailer := resp.Trailer.Get("X-T"); (trailer != "") != (path == "/chunked" && want != "") {
				t.Errorf("%s %s: trailers %v", status, path, resp.Trailer)
			}
		}
	}
}

// TestHeadAskedAsGetPoisonsNobody: the body of a GET that the client asked as
// HEAD is not the answer to whoever has the connection next, though it comes
// late (B03).
func TestHeadAskedAsGetPoisonsNobody(t *testing.T) {
	evil := "HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"
	evil += strings.Repeat(".", 1000-len(evil))
	body := make(chan struct{})
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			head := readHead(br)
			if head == "" {
				return
			}
			if strings.HasPrefix(head, "GET /old") {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
				<-body
				io.WriteString(c, evil)
				continue
			}
			br.Discard(3)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.be.Reuse = ReuseAlways
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-method GET if { method HEAD } { path_beg /old }")
	})
	first, br := dial(t, r.addr)
	io.WriteString(first, "HEAD /old HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, err := http.ReadResponse(br, &http.Request{Method: "HEAD"}); err != nil || resp.ContentLength != 1000 {
		t.Fatal(resp, err)
	}
	second, br2 := dial(t, r.addr)
	io.WriteString(second, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
	resp, err := http.ReadResponse(br2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "good" {
		t.Errorf("the second client got %q", b)
	}
	close(body)
	io.WriteString(first, "POST /q HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
	if resp, err = http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "good" {
		t.Errorf("the first client got %q", b)
	}
}

// TestRetriesGoByWhatWasAsked: a GET that rules made a POST is not sent twice
// when its server closes without an answer.
func TestRetriesGoByWhatWasAsked(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for i := range 2 {
			head := readHead(br)
			if head == "" {
				return
			}
			mu.Lock()
			asked = append(asked, head)
			mu.Unlock()
			if i == 0 {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.be.Reuse = ReuseAlways
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-method POST if { path /do }")
	})
	talk(t, r.addr, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if got := talk(t, r.addr, "GET /do HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("the client got %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(strings.Join(asked, "\n"), "POST /do"); n != 1 {
		t.Errorf("the server was asked %q", asked)
	}
}

// TestRulesOverTheConnection: what rules do to Connection, Keep-Alive and
// Upgrade holds for the connection that the head leaves by (N1).
func TestRulesOverTheConnection(t *testing.T) {
	const ws = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, c := range []struct {
		name     string
		req, res []string
		fields   string // of the request
		toServer string // the part of its head after Host
		kept     bool   // the server's connection
		answer   string // part of what the client gets
		closed   bool   // the client's connection
	}{
		{"nothing", nil, nil, "Connection: keep-alive\r\nKeep-Alive: 300\r\nProxy-Connection: x\r\nTE: gzip\r\n", "", true, "", false},
		{"trailers", nil, nil, "Connection: TE\r\nTE: gzip;q=1, trailers\r\n", "TE: trailers\r\n", true, "", false},
		{"no upgrade", []string{"del-header Connection"}, nil, ws, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", true, "", false},
		{"close for upgrade", []string{"replace-value Connection Upgrade close"}, nil, ws, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: close\r\n", false, "", false},
		{"close to the server", []string{"set-header Connection close"}, nil, "", "Connection: close\r\n", false, "", false},
		{"close to the client", nil, []string{"set-header Connection close"}, "", "", true, "Connection: close\r\n", true},
		{"Keep-Alive to the client", nil, []string{"set-header Keep-Alive timeout=5"}, "", "", true, "Keep-Alive: timeout=5\r\n", false},
		{"an upgrade by rules", []string{"set-header Connection Upgrade", "set-header Upgrade websocket"}, nil, "", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, "", false},
		{"no HTTP/2 by rules", []string{"set-header Connection Upgrade", "set-header Upgrade h2c"}, nil, "", "", true, "", false},
		{"an option of their own", []string{"set-header Connection x,close,y"}, nil, "", "Connection: x, y\r\nConnection: close\r\n", false, "", false},
		{"upgrade as it is spelled", nil, nil, "Connection: upgrade\r\nUpgrade: x\r\n", "Connection: upgrade\r\nUpgrade: x\r\n", true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newRecorder(t, map[string]string{"/": plainAnswer})
			r := newRig(t, true, []string{srv.addr}, func(r *rig) {
				r.be.Reuse = ReuseAlways
				r.fe.Rules[rule.Request] = rules(t, rule.Request, c.req...)
				r.be.Rules[rule.Response] = rules(t, rule.Response, c.res...)
			})
			cl, br := dial(t, r.addr)
			fmt.Fprintf(cl, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", c.fields)
			head := ""
			for !strings.HasSuffix(head, "\r\n\r\n") {
				line, err := br.ReadString('\n')
				if head += line; err != nil {
					t.Fatalf("%q, %v", head, err)
				}
			}
			if !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head, c.answer) {
				t.Errorf("the client got %q", head)
			}
			if want := "GET / HTTP/1.1\r\nHost: h\r\n" + c.toServer + "\r\n"; srv.last() != want {
				t.Errorf("the server got %q, want %q", srv.last(), want)
			}
			br.Discard(5)
			if c.closed {
				if _, err := br.ReadByte(); err != io.EOF {
					t.Errorf("the client's connection: %v", err)
				}
			}
			idle := func() (n int) {
				r.Shards[0].Loop.Call(func() { n = r.Shards[0].pools[0].len })
				return n
			}
			wait.Until(t, "the server's connection to be kept, or not", func() bool {
				var used int
				r.Shards[0].Loop.Call(func() { used = r.Shards[0].pools[0].used })
				return used == 0
			})
			if kept := idle() == 1; kept != c.kept {
				t.Errorf("the server's connection is kept: %v", kept)
			}
		})
	}
}

// TestSwitchingProtocols: a tunnel needs a client that asked for it, rules that
// let it through, and a server that says what it switches to (B19).
func TestSwitchingProtocols(t *testing.T) {
	const (
		ask    = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		good   = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
		wrong  = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOx=\r\n\r\n"
		bare   = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		option = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"
	)
	for _, c := range []struct {
		name, fields, answer string
		req, res             []string
		status               string
	}{
		{"agreed", ask, good, nil, nil, "101"},
		{"no accept", ask, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", nil, nil, "502"},
		{"wrong accept", ask, wrong, nil, nil, "502"},
		{"other protocol", "Connection: Upgrade\r\nUpgrade: x/1, y\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: Y\r\n\r\n", nil, nil, "101"},
		{"protocol that nobody offered", "Connection: Upgrade\r\nUpgrade: x\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", nil, nil, "502"},
		{"WebSocket among others", strings.Replace(ask, "websocket", "x, websocket", 1), good, nil, nil, "101"},
		{"WebSocket that nobody offered", "Connection: Upgrade\r\nUpgrade: x\r\n", good, nil, nil, "502"},
		{"WebSocket without a key", "Connection: Upgrade\r\nUpgrade: websocket\r\n", good, nil, nil, "400"},
		{"key that a rule deletes", ask, good, []string{"del-header Sec-WebSocket-Key"}, nil, "502"},
		{"no words", ask, bare, nil, nil, "502"},
		{"no protocol", ask, option, nil, nil, "502"},
		{"not asked", "", good, nil, nil, "502"},
		{"forbidden", ask, good, []string{"del-header Upgrade"}, nil, "502"},
		{"asked by rules alone", "", good, []string{"set-header Connection Upgrade", "set-header Upgrade websocket"}, nil, "502"},
		{"called 200", ask, good, nil, []string{"set-status 200"}, "502"},
		{"CONNECT refused by rule", "CONNECT", "HTTP/1.1 200 OK\r\n\r\n", nil, []string{"set-status 403"}, "502"},
		{"CONNECT allowed by rule", "CONNECT", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", nil, []string{"set-status 200"}, "502"},
		{"CONNECT asked as GET", "CONNECT", plainAnswer, []string{"set-method GET"}, nil, "502"},
		{"CONNECT", "CONNECT", "HTTP/1.1 200 OK\r\n\r\n", nil, nil, "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newRecorder(t, map[string]string{"/": c.answer, "h:1": c.answer})
			r := newRig(t, true, []string{srv.addr}, func(r *rig) {
				r.fe.Rules[rule.Request] = rules(t, rule.Request, c.req...)
				r.be.Rules[rule.Response] = rules(t, rule.Response, c.res...)
			})
			cl, br := dial(t, r.addr)
			if c.fields == "CONNECT" {
				io.WriteString(cl, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n")
			} else {
				fmt.Fprintf(cl, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", c.fields)
			}
			line, err := br.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("the client got %q, %v, want %s", line, err, c.status)
			}
		})
	}
}

// TestInterimAnswersAreWrittenAnew: with proper line ends and nothing of a
// body or a connection (F11).
func TestInterimAnswersAreWrittenAnew(t *testing.T) {
	srv := newRecorder(t, map[string]string{"/": "HTTP/1.1 103 Early\nLink: x\n\nHTTP/1.1 100 Continue\r\nContent-Length: 5\r\nConnection: close, upgrade\r\nUpgrade: x\r\nKeep-Alive: x\r\n\r\n" + plainAnswer})
	r := newRig(t, true, []string{srv.addr}, nil)
	want := "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nworld"
	if got := talk(t, r.addr, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); got != want {
		t.Errorf("the client got %q", got)
	}
}

// TestPagesGoByThePath: monitor-uri takes the path as it came in either form,
// stats uri the path that rules have left (B22).
func TestPagesGoByThePath(t *testing.T) {
	srv := newRecorder(t, map[string]string{"/hidden": plainAnswer, "/st": plainAnswer})
	r := newRig(t, true, []string{srv.addr}, func(r *rig) {
		r.fe.MonitorURI = "/mon"
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-path /hidden if { path /st } { hdr(X-Hide) -m found }", "set-path /st if { path /shown }")
		r.fe.Page = &StatsPage{URI: "/st", Name: "<STATS>", Serve: func(q StatsRequest) StatsReply {
			return StatsReply{Status: 200, Body: []byte("page " + q.Method + " " + q.URI)}
		}}
	})
	for _, c := range []struct{ line, fields, want string }{
		{"GET /mon", "", "Service ready."},
		{"GET http://h/mon", "", "Service ready."},
		{"GET http://h/st?x", "", "page GET /st?x"},
		{"GET /st;csv", "", "page GET /st;csv"},
		{"GET /shown", "", "page GET /st"},
		{"GET /st", "X-Hide: 1\r\n", "world"},
		{"PUT /st", "", "world"},
	} {
		got := talk(t, r.addr, c.line+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+c.fields+"\r\n")
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
}

// TestHashOfWhatIsAsked: balance uri hashes the target that the server gets (B05).
func TestHashOfWhatIsAsked(t *testing.T) {
	var servers []string
	for range 5 {
		servers = append(servers, "127.0.0.1:1")
	}
	var mu sync.Mutex
	var hashed []string
	r := newRig(t, true, servers, func(r *rig) {
		r.be.Backend = backend.New(backend.Options{Name: "be", Algo: backend.URI}, r.Servers)
		r.be.Retries = 0
		r.be.HashURI = func(uri []byte) uint32 {
			mu.Lock()
			defer mu.Unlock()
			hashed = append(hashed, string(uri))
			return 0
		}
		r.fe.Rules[rule.Request] = rules(t, rule.Request, `replace-path /v[0-9]+/(.*) /\1`)
	})
	for _, v := range []string{"/v1/n?q=1", "/v2/n?q=1", "/n?q=1"} {
		talk(t, r.addr, "GET "+v+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(hashed, " "); got != "/n?q=1 /n?q=1 /n?q=1" {
		t.Errorf("hashed %s", got)
	}
}

// TestBodilessForOldClients: a client of HTTP/1.0 that keeps its connection is told
// where an answer ends that rules have given a status with a body (B02).
func TestBodilessForOldClients(t *testing.T) {
	srv := newRecorder(t, map[string]string{
		"/304": "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "/204": "HTTP/1.1 204 No Content\r\n\r\n", "/plain": plainAnswer,
	})
	r := newRig(t, true, []string{srv.addr}, func(r *rig) { r.be.Rules[rule.Response] = rules(t, rule.Response, "set-status 200") })
	cl := connect(t, r.addr)
	for _, c := range []struct{ path, want string }{{"/304", ""}, {"/204", ""}, {"/plain", "world"}, {"/304", ""}} {
		body, resp := cl.ask("GET " + c.path + " HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
		if body != c.want || resp.StatusCode != 200 || resp.ContentLength != int64(len(c.want)) || resp.Close {
			t.Errorf("%s: %s %q, length %d, closes: %v", c.path, resp.Status, body, resp.ContentLength, resp.Close)
		}
	}
}

// TestGetAskedAsHeadOverHTTP2: the client of HTTP/2 has a complete answer without a
// body, at once (B03).
func TestGetAskedAsHeadOverHTTP2(t *testing.T) {
	srv := newRecorder(t, map[string]string{"/probe": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "/none": "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"})
	r := newRig(t, true, []string{srv.addr}, func(r *rig) { r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-method HEAD") })
	for _, path := range []string{"/probe", "/none"} {
		resp, err := http2Plain.client(t).Get(http2Plain.url(r) + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || len(b) > 0 || resp.StatusCode != 200 {
			t.Errorf("%s: %s %q %v", path, resp.Status, b, err)
		}
	}
}

// TestOffersToUpgrade: an answer that offers another protocol, and is no 101, keeps
// both of its fields (RFC 9110 section 7.8), the next request is served on the same
// connection, and HTTP/2 sees neither (B19).
func TestOffersToUpgrade(t *testing.T) {
	const fields = "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nworld"
	srv := newRecorder(t, map[string]string{"/426": "HTTP/1.1 426 Upgrade Required\r\n" + fields, "/200": "HTTP/1.1 200 OK\r\n" + fields})
	r := newRig(t, true, []string{srv.addr}, nil)
	cl := connect(t, r.addr)
	for _, path := range []string{"/426", "/200", "/426"} {
		body, resp := cl.ask("GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n")
		if body != "world" || !strings.EqualFold(resp.Header.Get("Connection"), "upgrade") || resp.Header.Get("Upgrade") != "x" {
			t.Errorf("%s: %s %q %v", path, resp.Status, body, resp.Header)
		}
		over, err := http2Plain.client(t).Get(http2Plain.url(r) + path)
		if err != nil {
			t.Fatal(err)
		}
		over.Body.Close()
		if over.Header.Get("Connection") != "" || over.Header.Get("Upgrade") != "" {
			t.Errorf("%s over HTTP/2: %v", path, over.Header)
		}
	}
}
