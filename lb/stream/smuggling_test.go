package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"lbsyslogd/lb/rule"
)

// A corpus of messages that two servers may read differently, made of the parts
// that such attacks are made of. The oracle is a server that records what it
// gets. lb marks each request that it sends, so that one without the mark was
// hidden in another; and nothing of a head may be read in two ways.

// mark is what lb adds to each request.
const mark = "X-Sent-By-Lb: yes"

func marked(t *testing.T, r *rig) {
	r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-header X-Sent-By-Lb yes")
	r.be.Reuse = ReuseAlways
	r.fe.Timeouts.Client, r.be.Timeouts.Server, r.be.Timeouts.Connect = 300, 300, 5000
}

const hiddenRequest = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

// tape records each connection's bytes and answers every request that the RFC
// finds in them.
type tapeServer struct {
	addr string
	mu   sync.Mutex
	all  []*bytes.Buffer
}

type recording struct {
	io.Reader
	s *tapeServer
	b *bytes.Buffer
}

func (r *recording) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.b.Write(p[:n])
	return n, err
}

func newTapeServer(t *testing.T) *tapeServer {
	s := &tapeServer{}
	s.addr = script(t, func(c *net.TCPConn, _ *bufio.Reader) {
		b := new(bytes.Buffer)
		s.mu.Lock()
		s.all = append(s.all, b)
		s.mu.Unlock()
		br := bufio.NewReader(&recording{Reader: c, s: s, b: b})
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	return s
}

// take gives the recordings since the last call.
func (s *tapeServer) take() (all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.all {
		if b.Len() > 0 {
			all = append(all, bytes.Clone(b.Bytes()))
			b.Reset()
		}
	}
	return all
}

// ambiguous says what is wrong with a recording; "" nothing.
func ambiguous(b []byte) string {
	for n := 0; len(b) > 0; n++ {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return "" // cut off
		}
		head := string(b[:end])
		if strings.Contains(strings.ReplaceAll(head, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(head, "\r\n", ""), "\r") || strings.Contains(head, "\x00") {
			return fmt.Sprintf("a bare line end or NUL in %q", head)
		}
		lines := strings.Split(head, "\r\n")
		if f := strings.Split(lines[0], " "); len(f) != 3 || f[2] != "HTTP/1.1" && f[2] != "HTTP/1.0" {
			return fmt.Sprintf("a request line %q", lines[0])
		}
		if strings.Count(head, "\r\n"+mark) != 1 {
			return fmt.Sprintf("a request that lb did not send: %q", head)
		}
		length, chunks, framed := 0, false, 0
		for _, line := range lines[1:] {
			name, value, ok := strings.Cut(line, ":")
			squeezed := strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' {
					return r
				}
				return -1
			}, strings.ToLower(name))
			switch {
			case !ok || strings.TrimSpace(name) != name || name == "":
				return fmt.Sprintf("a field line %q", line)
			case squeezed == "contentlength" && strings.EqualFold(name, "content-length"):
				if _, err := fmt.Sscanf(value, " %d", &length); err != nil || strings.TrimSpace(value) != fmt.Sprint(length) {
					// Zeros in front are digits to everybody.
					if strings.TrimLeft(strings.TrimSpace(value), "0") != strings.TrimLeft(fmt.Sprint(length), "0") {
						return fmt.Sprintf("a length %q", line)
					}
				}
				framed++
			case squeezed == "transferencoding" && strings.EqualFold(name, "transfer-encoding"):
				if !strings.EqualFold(strings.TrimSpace(value), "chunked") {
					return fmt.Sprintf("a coding %q", line)
				}
				chunks = true
				framed++
			}
		}
		if framed > 1 {
			return fmt.Sprintf("two framings in %q", head)
		}
		b = b[end+4:]
		if !chunks {
			b = b[min(length, len(b)):]
			continue
		}
		for {
			line, rest, ok := bytes.Cut(b, []byte("\r\n"))
			if !ok {
				return ""
			}
			var size int
			text, _, _ := strings.Cut(string(line), ";")
			if _, err := fmt.Sscanf(text, "%x", &size); err != nil || strings.ContainsAny(string(line), "\r\n") {
				return fmt.Sprintf("a chunk size %q", line)
			}
			if b = rest; size == 0 {
				break
			}
			if len(b) < size+2 {
				return ""
			}
			if string(b[size:size+2]) != "\r\n" {
				return fmt.Sprintf("a chunk of %d that does not end", size)
			}
			b = b[size+2:]
		}
		for { // trailers
			line, rest, ok := bytes.Cut(b, []byte("\r\n"))
			if !ok {
				return ""
			}
			b = rest
			if len(line) == 0 {
				break
			}
			if name, _, _ := strings.Cut(strings.ToLower(string(line)), ":"); name == "content-length" || name == "transfer-encoding" || name == "host" {
				return fmt.Sprintf("a trailer %q", line)
			}
		}
	}
	return ""
}

// smuggling1 makes the vectors of HTTP/1.
func smuggling1() (vectors []string) {
	long := len(hiddenRequest)
	hidden := "0\r\n\r\n" + hiddenRequest
	names := []string{"Transfer-Encoding", "transfer-encoding", "Transfer-Encoding ", " Transfer-Encoding", "Transfer-Encoding\t", "Transfer_Encoding", "Transfer-\x00Encoding",
		"\x0bTransfer-Encoding", "Transfer-Encoding\r", "X: y\nTransfer-Encoding", "X: y\rTransfer-Encoding", "Transfer\u2010Encoding"}
	values := []string{"chunked", "Chunked", "chunked, chunked", "identity, chunked", "chunked, identity", "xchunked", "chunked;q=1", "\tchunked", "\x0bchunked", "chunked\x0b", "\"chunked\"", "chunked\x00", "cow, chunked",
		"chunked,", ",chunked", "chun\r\n ked", "\r\n chunked", "chunked\r\nTransfer-Encoding: identity", "identity\r\nTransfer-Encoding: chunked"}
	lengths := []string{"", "Content-Length: %d\r\n", "Content-Length: 4\r\n", "Content-Length: %d\r\nContent-Length: 4\r\n"}
	for _, n := range names {
		for _, v := range values {
			for i, l := range lengths {
				if i > 1 && n != names[0] && v != values[0] { // the rest repeats itself
					continue
				}
				if strings.Contains(l, "%d") {
					l = fmt.Sprintf(l, len(hidden))
				}
				vectors = append(vectors, "POST / HTTP/1.1\r\nHost: a\r\n"+l+n+": "+v+"\r\n\r\n"+hidden)
			}
		}
	}
	for _, name := range []string{"Content-Length", "Content-Length ", " Content-Length", "Content-Length\t", "content_length", "Content-Length\x00", "X: y\nContent-Length", "Content-Length\r"} {
		for _, v := range []string{"%d", "+%d", "-%d", "0%d", "0x%d", "%d, %d", "%d,", "%d;", "%d 0", "%d\r\nContent-Length: 0", "0\r\nContent-Length: %d", "%d\x00", "\"%d\"", "%d.0", "1e%d", "%d\t", "99999999999999999999%d", " %d", "\x0b%d", "\r\n %d"} {
			v = strings.ReplaceAll(v, "%d", fmt.Sprint(long))
			for _, method := range []string{"POST", "GET", "HEAD", "OPTIONS"} {
				vectors = append(vectors, method+" / HTTP/1.1\r\nHost: a\r\n"+name+": "+v+"\r\n\r\n"+hiddenRequest)
			}
		}
	}
	for _, body := range []string{"0\r\n\r\n", "0\n\n", "0\r\r", "00\r\n\r\n", "0x0\r\n\r\n", "0;\n\r\n", "0;x\nGET /hidden HTTP/1.1\r\n\r\n", "-0\r\n\r\n", "+0\r\n\r\n", " 0\r\n\r\n", "0 \r\n\r\n", "1\r\nZ\n0\r\n\r\n", "1\r\nZZ0\r\n\r\n",
		"ffffffffffffffff\r\n", "10000000000000000\r\n", "5;a=\"\r\n\"\r\n12345\r\n0\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: b\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX: y\nZ: a\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\n: x\r\n\r\n"} {
		for _, more := range []string{"", "Connection: Transfer-Encoding\r\n", "Connection: content-length\r\n", "Expect: 100-continue\r\n"} {
			vectors = append(vectors, "POST / HTTP/1.1\r\nHost: a\r\n"+more+"Transfer-Encoding: chunked\r\n\r\n"+body+hiddenRequest)
		}
	}
	for _, line := range []string{"GET / HTTP/1.1\r\n X: y", "GET /\x00 HTTP/1.1", "GET / HTTP/1.1 ", "GET  / HTTP/1.1", "GET\t/ HTTP/1.1", "GET / HTTP/1.1\rX: y", "GET /\r\n/hidden HTTP/1.1", "GET / HTTP/0.9", "GET / HTTP/1.10", "GET / HTTP/2.0", "GET / http/1.1", "GET /",
		"GET http://a/hidden@b HTTP/1.1", "GET http://b/ HTTP/1.1", "GET http://a:80:90/ HTTP/1.1", "GET /# HTTP/1.1", "GET /%zz HTTP/1.1", "GET * HTTP/1.1", "CONNECT / HTTP/1.1", "POST / HTTP/1.0", " GET / HTTP/1.1", "\r\n\r\nGET / HTTP/1.1", "\n\nGET / HTTP/1.1", "\rGET / HTTP/1.1"} {
		for _, fields := range []string{"Host: a\r\n", "Host: a\r\nHost: b\r\n", "Host: a, b\r\n", "Host: a\x00b\r\n", "Host : a\r\n", " Host: a\r\n", "Host: a/hidden\r\n", "Host: a#b\r\n", "Host: [::1\r\n", ""} {
			vectors = append(vectors, line+"\r\n"+fields+"Content-Length: "+fmt.Sprint(long)+"\r\n\r\n"+hiddenRequest)
		}
	}
	return vectors
}

// TestSmugglingCorpus offers all of it, each vector on a connection of its own,
// and then a second request on that.
func TestSmugglingCorpus(t *testing.T) {
	srv := newTapeServer(t)
	r := newRig(t, true, []string{srv.addr}, func(r *rig) { marked(t, r) })
	vectors := smuggling1()
	if len(vectors) < 800 {
		t.Errorf("only %d vectors", len(vectors))
	}
	passed := 0
	var all sync.WaitGroup
	turn := make(chan struct{}, 8)
	var mu sync.Mutex
	for _, v := range vectors {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, v+"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(c)
			if bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for _, b := range srv.take() {
		if what := ambiguous(b); what != "" {
			t.Errorf("%s\nthe server got %q", what, b)
		}
	}
	t.Logf("%d vectors, %d taken as requests", len(vectors), passed)
	if passed == 0 || passed > len(vectors)/2 {
		t.Errorf("%d of %d were taken: the corpus tries nothing", passed, len(vectors))
	}
}

// TestSmugglingCorpusHTTP2 is what HTTP/2 can carry that HTTP/1 cannot.
func TestSmugglingCorpusHTTP2(t *testing.T) {
	srv := newTapeServer(t)
	r := newRig(t, true, []string{srv.addr}, func(r *rig) { marked(t, r) })
	evil := []string{"x\r\nTransfer-Encoding: chunked", "x\r\n\r\n" + hiddenRequest, "x\nContent-Length: 0", "x\rX: y", "x\x00y", " x", "x ", "/hidden HTTP/1.1\r\nX: y", "x HTTP/1.1\r\nHost: b", "\t", "", "a b", "x\x7f", "é", "x:y", "x\x0b"}
	type vector struct {
		fields []string
		body   string
	}
	usual := func() map[string]string {
		return map[string]string{":method": "POST", ":scheme": "http", ":authority": "a", ":path": "/"}
	}
	flat := func(m map[string]string, more ...string) (fields []string) {
		for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
			if v, ok := m[name]; ok {
				fields = append(fields, name, v)
			}
		}
		return append(fields, more...)
	}
	var vectors []vector
	for _, e := range evil {
		for name := range usual() {
			for _, prefix := range []string{"", "/", "GET "} {
				m := usual()
				m[name] = prefix + e
				vectors = append(vectors, vector{flat(m), ""})
			}
		}
		vectors = append(vectors, vector{flat(usual(), "x", e), ""}, vector{flat(usual(), e, "x"), ""}, vector{flat(usual(), "host", e), ""}, vector{flat(usual(), "cookie", e), ""},
			vector{flat(usual(), "x-"+e, "x"), hiddenRequest})
	}
	for _, n := range []string{"0", "5", "+5", "-1", "05", "5, 5", "0x5", "99999999999999999999", "5 ", "", "5\x00"} {
		for _, body := range []string{"", "12345", hiddenRequest} {
			vectors = append(vectors, vector{flat(usual(), "content-length", n), body}, vector{flat(usual(), "content-length", n, "content-length", "0"), body}, vector{flat(usual(), "Content-Length", n), body})
		}
	}
	for _, f := range [][]string{{"transfer-encoding", "chunked"}, {"Transfer-Encoding", "chunked"}, {"transfer-encoding ", "chunked"}, {"connection", "transfer-encoding"}, {"upgrade", "h2c"}, {"te", "chunked"}, {"keep-alive", "5"}, {"proxy-connection", "x"},
		{"transfer-encoding:", "chunked"}, {":transfer-encoding", "chunked"}, {"host", "b"}, {":path", "/hidden"}, {":method", "GET"}, {"trailer", "content-length"}, {"expect", "100-continue"}, {"x\r\ntransfer-encoding", "chunked"}} {
		for _, body := range []string{"", "0\r\n\r\n" + hiddenRequest, hiddenRequest} {
			vectors = append(vectors, vector{flat(usual(), f...), body}, vector{append(append([]string{}, f...), flat(usual())...), body})
		}
	}
	if len(vectors) < 300 {
		t.Errorf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		w := newWire(t, r.addr)
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(v.fields...), EndHeaders: true, EndStream: v.body == ""})
		if v.body != "" {
			w.WriteData(1, true, []byte(v.body))
		}
		w.hear()
		w.c.Close()
	}
	for _, b := range srv.take() {
		if what := ambiguous(b); what != "" {
			t.Errorf("%s\nthe server got %q", what, b)
		}
	}
	t.Logf("%d vectors", len(vectors))
}
