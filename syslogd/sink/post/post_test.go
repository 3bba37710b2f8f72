package post

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/syslogd/sink/encode"
	"lbsyslogd/test/wait"
)

// A receiver takes NDJSON as decide allows, and remembers the texts.
type receiver struct {
	*httptest.Server

	// mu guards the field below.
	mu    sync.Mutex
	texts []string
}

// newReceiver starts a receiver. decide answers a request; it calls take for what it takes.
func newReceiver(t *testing.T, decide func(r *receiver, w http.ResponseWriter, request *http.Request, texts []string)) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		texts, err := read(request)
		if err != nil {
			return // the client went in the middle
		}
		decide(r, w, request, texts)
	}))
	t.Cleanup(r.Close)
	return r
}

// read takes the texts out of a request.
func read(request *http.Request) (texts []string, err error) {
	body := io.Reader(request.Body)
	switch request.Header.Get("Content-Encoding") {
	case "gzip":
		if body, err = gzip.NewReader(body); err != nil {
			return nil, err
		}
	case "zstd":
		z, err := zstd.NewReader(body)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		body = z
	}
	for in := json.NewDecoder(body); ; {
		var record struct {
			Text string `json:"text"`
		}
		if err := in.Decode(&record); err == io.EOF {
			return texts, nil
		} else if err != nil {
			return nil, err
		}
		texts = append(texts, record.Text)
	}
}

func (r *receiver) take(texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, texts...)
}

func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.texts...)
}

// sinkTo is a Sink for addresses.
func sinkTo(t *testing.T, addresses ...string) *Sink {
	t.Helper()
	encoding, err := encode.New("ndjson", encode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Encoding: encoding}
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		s.URLs = append(s.URLs, u)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func records(n ...int) (list []sink.Record) {
	for _, n := range n {
		list = append(list, sink.Record{Line: fmt.Appendf(nil, "<13>1 2026-11-21T03:04:05Z host app 1 - - n=%d", n)})
	}
	return list
}

// TestAReceiverThatMisbehaves by a plan that is always the same: it ends connections before and after it has taken lines, stalls, answers 429, 500, 503 and
// 413, and half an answer. Nothing is missing and the order stays.
func TestAReceiverThatMisbehaves(t *testing.T) {
	const count = 5000
	random := rand.New(rand.NewPCG(5, 6))
	stalls := 0
	var mu sync.Mutex // of random and stalls: a request that was given up may still be served
	done := make(chan struct{})
	r := newReceiver(t, func(r *receiver, w http.ResponseWriter, request *http.Request, texts []string) {
		mu.Lock()
		n := random.IntN(14)
		if n == 7 { // it costs the timeout, which must be long enough for a busy machine
			if stalls++; stalls > 1 {
				n = 13
			}
		}
		mu.Unlock()
		switch n {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			r.take(texts)
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		case 3:
			w.WriteHeader(http.StatusInternalServerError)
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5:
			if len(texts) > 50 { // what is smaller is small enough
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			} else {
				r.take(texts)
			}
		case 6: // half an answer
			r.take(texts)
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		case 7: // a stall
			select {
			case <-request.Context().Done():
			case <-done:
			}
		default:
			r.take(texts)
		}
	})
	t.Cleanup(func() { close(done) }) // before the server is closed
	path := filepath.Join(t.TempDir(), "a.log")
	w, err := rotate.Open(path, rotate.Options{Size: 50_000, Keep: 1, Hold: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := sinkTo(t, r.URL)
	s.Timeout = 2 * time.Second
	sender := &sink.Sender{
		Peer: s, Queue: &queue.Queue{File: w, Log: slog.New(slog.DiscardHandler), To: r.URL}, Limits: sink.Limits{Size: 16 << 10, Age: time.Millisecond},
		Backoff: time.Millisecond,
	}
	sender.Start()
	for n := range count {
		if _, err := fmt.Fprintf(w, "<13>1 2026-11-21T03:04:05Z host app 1 - - n=%d\n", n); err != nil {
			t.Fatal(err)
		}
	}
	for behind := int64(-1); behind != 0; behind = sender.Counts().Behind {
		wait.Until(t, "more lines to be taken", func() bool { now := sender.Counts().Behind; return now == 0 || now != behind })
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, text := range r.all() {
		var n int
		if _, err := fmt.Sscanf(text, "n=%d", &n); err != nil || n > next {
			t.Fatalf("%q came when %d was missing", text, next)
		}
		if n == next {
			next++
		}
	}
	c := sender.Counts()
	if next != count || c.Confirmed != count || c.Refused != 0 || c.Sent != c.Confirmed+c.Again || c.Missed != 0 {
		t.Errorf("%d lines, %+v", next, c)
	}
	if twice := len(r.all()) - count; uint64(twice) > c.Again || twice < 0 {
		t.Errorf("%d lines came twice, %d were sent in vain", twice, c.Again)
	}
}

// TestVerdicts has each status once.
func TestVerdicts(t *testing.T) {
	status, after := 0, ""
	r := newReceiver(t, func(_ *receiver, w http.ResponseWriter, _ *http.Request, _ []string) {
		w.Header().Set("Location", "/elsewhere")
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		io.WriteString(w, "because\nof \x1b[1mthis")
	})
	s := sinkTo(t, r.URL)
	for _, row := range []struct {
		status  int
		after   string
		verdict sink.Verdict
		pause   time.Duration
	}{
		{200, "", sink.Taken, 0}, {202, "", sink.Taken, 0}, {204, "", sink.Taken, 0}, {301, "", sink.Later, 0}, {307, "", sink.Later, 0},
		{400, "", sink.Refused, 0}, {401, "", sink.Later, 0}, {403, "", sink.Later, 0}, {404, "", sink.Later, 0}, {408, "", sink.Later, 0},
		{413, "", sink.Smaller, 0}, {422, "", sink.Refused, 0}, {429, "7", sink.Later, 7 * time.Second}, {500, "", sink.Faulty, 0},
		{502, "", sink.Later, 0}, {503, "3", sink.Later, 3 * time.Second}, {503, "soon", sink.Later, 0}, {503, "-5", sink.Later, 0}, {504, "", sink.Later, 0},
		{429, "99999999999999999999", sink.Later, longestRetry * time.Second}, {429, "-99999999999999999999", sink.Later, 0},
	} {
		status, after = row.status, row.after
		a := s.Deliver(context.Background(), records(1))
		if a.Verdict != row.verdict || a.After != row.pause || (a.Err == nil) != (a.Verdict == sink.Taken) {
			t.Errorf("%d %s: %+v", row.status, row.after, a)
		}
		if a.Err != nil && (!strings.HasSuffix(a.Err.Error(), "because of [1mthis") || !strings.Contains(a.Err.Error(), r.URL)) {
			t.Errorf("%d: %q", row.status, a.Err)
		}
		if redirects := row.status/100 == 3; redirects != (a.Err != nil && strings.Contains(a.Err.Error(), "to "+r.URL+"/elsewhere, which is not followed")) {
			t.Errorf("%d: %q", row.status, a.Err)
		}
	}
	status, after = 503, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if a := s.Deliver(context.Background(), records(1)); a.After < 50*time.Minute || a.After > time.Hour {
		t.Errorf("%+v", a)
	}
}

// TestAnswersNobodyAskedFor: one that is compressed although that was not offered, and refusals that break off.
func TestAnswersNobodyAskedFor(t *testing.T) {
	packed := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	for name, row := range map[string]struct {
		status        int
		encoding      string // of the answer
		body, request string
		cut           bool
		want          sink.Verdict
	}{
		"gzip":                  {200, "gzip", packed(`{"errors":false}`), "elasticsearch", false, sink.Taken},
		"gzip without anything": {200, "gzip", "", "ndjson", false, sink.Taken},
		"gzip that is none":     {200, "gzip", `{"errors":false}`, "elasticsearch", false, sink.Later},
		"gzip that breaks off":  {200, "gzip", packed(`{"errors":false}`)[:20], "elasticsearch", false, sink.Later},
		"half a 200":            {200, "", `{"errors":false}`, "ndjson", true, sink.Later},
		"half a 413":            {413, "", "too", "ndjson", true, sink.Smaller},
		"half a 400":            {400, "", "no", "ndjson", true, sink.Refused},
		"half a 500":            {500, "", "no", "ndjson", true, sink.Faulty},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				io.Copy(io.Discard, request.Body)
				if row.encoding != "" {
					w.Header().Set("Content-Encoding", row.encoding)
				}
				if row.cut {
					w.Header().Set("Content-Length", "1000")
				}
				w.WriteHeader(row.status)
				io.WriteString(w, row.body)
			}))
			defer server.Close()
			s := sinkTo(t, server.URL)
			s.Encoding, _ = encode.New(row.request, encode.Options{})
			if a := s.Deliver(context.Background(), records(1)); a.Verdict != row.want {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestHangUp: a receiver that ends the connection in place of an answer fails, for what is in the request perhaps. One that cannot be reached, or speaks no TLS, does not.
func TestHangUp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		io.Copy(io.Discard, request.Body)
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	go func() {
		for {
			c, err := raw.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, row := range []struct {
		to   []string
		want sink.Verdict
	}{
		{[]string{server.URL}, sink.Faulty}, {[]string{gone.URL}, sink.Later}, {[]string{"https://" + raw.Addr().String()}, sink.Later},
		{[]string{gone.URL, server.URL}, sink.Faulty}, {[]string{server.URL, server.URL}, sink.Faulty},
	} {
		if a := sinkTo(t, row.to...).Deliver(context.Background(), records(1)); a.Verdict != row.want || a.Err == nil {
			t.Errorf("%s: %+v", row.to, a)
		}
	}
}

// TestOneThatIsDownForAnHour says so, and the next one takes the lines at once.
func TestOneThatIsDownForAnHour(t *testing.T) {
	down := newReceiver(t, func(_ *receiver, w http.ResponseWriter, _ *http.Request, _ []string) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	b := newReceiver(t, func(r *receiver, w http.ResponseWriter, request *http.Request, texts []string) {
		if len(r.all()) > 0 {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusBadGateway)
		} else {
			r.take(texts)
		}
	})
	s := sinkTo(t, down.URL, b.URL)
	if a := s.Deliver(context.Background(), records(1)); a.Verdict != sink.Taken || s.Current() != b.URL {
		t.Errorf("%+v from %s", a, s.Current())
	}
	if a := s.Deliver(context.Background(), records(2)); a.Verdict != sink.Later || a.After != time.Minute {
		t.Errorf("%+v", a)
	}
}

// TestCompression: what arrives is what was sent.
func TestCompression(t *testing.T) {
	for _, c := range []Compression{None, Gzip, Zstd} {
		r := newReceiver(t, func(r *receiver, _ http.ResponseWriter, request *http.Request, texts []string) {
			if got := request.Header.Get("Content-Encoding"); got != string(c) {
				t.Errorf("encoding %q, want %q", got, c)
			}
			r.take(texts)
		})
		s := sinkTo(t, r.URL)
		s.Compress = c
		for i := range 3 {
			if a := s.Deliver(context.Background(), records(2*i, 2*i+1)); a.Verdict != sink.Taken {
				t.Fatalf("%s: %+v", c, a)
			}
		}
		if got := strings.Join(r.all(), " "); got != "n=0 n=1 n=2 n=3 n=4 n=5" {
			t.Errorf("%s: %s", c, got)
		}
	}
}

// TestSecrets are read again when they change, and no error has one in it.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := newReceiver(t, func(_ *receiver, w http.ResponseWriter, request *http.Request, _ []string) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "I know "+request.Header.Get("Authorization")+" and "+request.Header.Get("X-Key")+", "+request.URL.Query().Get("api")+", "+request.URL.RawQuery)
	})
	s := sinkTo(t, r.URL+"?stream=host&api=hidden%2Fkey")
	s.Secrets = Secrets{Bearer: at("token", "first-token\n"), Headers: map[string]string{"X-Key": at("key", "the-key")}}
	s.Headers = map[string]string{"X-Scope-Orgid": "tenant"}
	for _, token := range []string{"first-token", "second-token"} {
		at("token", token+"\n")
		a := s.Deliver(context.Background(), records(1))
		if a.Verdict != sink.Later || !strings.Contains(a.Err.Error(), "I know Bearer (secret) and (secret)") || strings.Contains(a.Err.Error(), "hidden") {
			t.Errorf("%+v", a)
		}
		if !strings.Contains(a.Err.Error(), ", (secret), stream=host&api=(secret)") {
			t.Errorf("%v", a.Err)
		}
	}
	s.Secrets = Secrets{User: "me", Password: at("password", "pass:word")}
	if a := s.Deliver(context.Background(), records(1)); !strings.Contains(a.Err.Error(), "I know Basic (secret)") {
		t.Errorf("%+v", a)
	}
	for _, text := range []string{"", "two\nlines"} {
		at("password", text)
		if a := s.Deliver(context.Background(), records(1)); a.Verdict != sink.Later || !strings.Contains(a.Err.Error(), "want one line") {
			t.Errorf("%q: %+v", text, a)
		}
	}
	r.Close()
	s.Secrets = Secrets{}
	if a := s.Deliver(context.Background(), records(1)); strings.Contains(a.Err.Error(), "hidden") {
		t.Errorf("%+v", a)
	}
}

// TestFailover goes to the next receiver when one cannot be reached or fails, and stays there.
func TestFailover(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	take := func(r *receiver, w http.ResponseWriter, _ *http.Request, texts []string) { r.take(texts) }
	a := newReceiver(t, func(r *receiver, w http.ResponseWriter, _ *http.Request, texts []string) {
		now := int(status.Load())
		if now == http.StatusOK {
			r.take(texts)
		}
		w.WriteHeader(now)
	})
	b := newReceiver(t, take)
	s := sinkTo(t, a.URL, b.URL)
	deliver := func(n int) sink.Answer { return s.Deliver(context.Background(), records(n)) }
	deliver(1)
	status.Store(http.StatusTooManyRequests) // without a Retry-After it may be its load balancer's only server
	if answer := deliver(2); answer.Verdict != sink.Later {
		t.Errorf("%+v", answer)
	}
	if answer := deliver(2); answer.Verdict != sink.Taken || s.Current() != b.URL {
		t.Errorf("%+v from %s", answer, s.Current())
	}
	b.CloseClientConnections()
	b.Listener.Close()
	status.Store(http.StatusOK)
	if answer := deliver(3); answer.Verdict != sink.Taken {
		t.Errorf("%+v", answer)
	}
	if got := strings.Join(a.all(), " ") + "; " + strings.Join(b.all(), " "); got != "n=1 n=3; n=2" {
		t.Errorf("%s", got)
	}
	a.CloseClientConnections()
	a.Listener.Close()
	if answer := deliver(4); answer.Verdict != sink.Later || !strings.Contains(answer.Err.Error(), a.URL) || !strings.Contains(answer.Err.Error(), b.URL) {
		t.Errorf("%+v", answer)
	}
}

// TestServiceRecords asks a name for receivers, and again once none of them answers.
func TestServiceRecords(t *testing.T) {
	r := newReceiver(t, func(r *receiver, w http.ResponseWriter, request *http.Request, texts []string) {
		if request.URL.Path == "/in" {
			r.take(texts)
		}
	})
	port := r.Listener.Addr().(*net.TCPAddr).Port
	s := sinkTo(t, "http+srv://_logs._tcp.example.com/in")
	asked := 0
	s.targets.lookup = func(_ context.Context, name string) ([]*net.SRV, error) {
		if name != "_logs._tcp.example.com" {
			t.Errorf("asked for %q", name)
		}
		asked++
		switch asked {
		case 1:
			return nil, errors.New("no such host")
		case 2:
			return []*net.SRV{{Target: "127.0.0.1.", Port: 1}}, nil
		}
		return []*net.SRV{{Target: "127.0.0.1.", Port: 1}, {Target: "127.0.0.1.", Port: uint16(port)}}, nil
	}
	for i, want := range []sink.Verdict{sink.Later, sink.Later, sink.Taken, sink.Taken} {
		if a := s.Deliver(context.Background(), records(i)); a.Verdict != want {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if got := strings.Join(r.all(), " "); got != "n=2 n=3" || asked != 3 {
		t.Errorf("%s after %d questions", got, asked)
	}
}

// TestTLSOfServiceRecords wants a certificate for the domain that was asked, and not for what DNS calls the receiver.
func TestTLSOfServiceRecords(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // its certificate is for example.com and 127.0.0.1
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	port := uint16(server.Listener.Addr().(*net.TCPAddr).Port)
	for domain, want := range map[string]sink.Verdict{"example.com": sink.Taken, "example.org": sink.Later} {
		s := sinkTo(t, "https+srv://_logs._tcp."+domain)
		s.TLS.CA = ca
		s.targets.lookup = func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: "127.0.0.1.", Port: port}}, nil
		}
		if a := s.Deliver(context.Background(), records(1)); a.Verdict != want {
			t.Errorf("%s: %+v", domain, a)
		}
	}
	s := sinkTo(t, server.URL)
	s.TLS.CA = ca
	if a := s.Deliver(context.Background(), records(1)); a.Verdict != sink.Taken || s.Current() != "" {
		t.Errorf("%+v", a)
	}
}

// TestThePathOfTheEncoding stands in for one that is not given.
func TestThePathOfTheEncoding(t *testing.T) {
	for name, path := range map[string]string{
		"ndjson": "/", "victorialogs": "/insert/jsonline", "loki": "/loki/api/v1/push", "otlp": "/v1/logs", "otlp-json": "/v1/logs",
		"elasticsearch": "/_bulk?filter_path=errors,items.*.status,items.*.error",
	} {
		got := ""
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.RequestURI() }))
		s := sinkTo(t, server.URL)
		s.Encoding, _ = encode.New(name, encode.Options{})
		s.Deliver(context.Background(), records(1))
		if got != path {
			t.Errorf("%s: %s", name, got)
		}
		server.Close()
	}
}

// large makes bodies that are larger than the kernel's buffers.
type large struct{ encode.Encoding }

func (large) Append(dst []byte, _ []sink.Record) []byte { return append(dst, make([]byte, 32<<20)...) }

// TestAnAnswerThatIsTooEarly says nothing of what was not sent yet.
func TestAnAnswerThatIsTooEarly(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	defer server.Close()
	s := sinkTo(t, server.URL)
	s.Encoding = large{s.Encoding}
	if a := s.Deliver(context.Background(), records(1)); a.Verdict != sink.Later {
		t.Errorf("%+v", a)
	}
}

// TestABodyIsWrittenWhole with one call, as far as the connection takes it.
func TestABodyIsWrittenWhole(t *testing.T) {
	for _, row := range []struct{ most, takes, written int64 }{{100, 100, 100}, {60, 100, 60}, {100, 30, 30}} {
		p := &payload{body: bytes.Repeat([]byte("0123456789"), 10)}
		r := p.reader().(*payloadReader)
		w := &pieces{takes: int(row.takes)}
		n, err := connection{w}.ReadFrom(io.LimitReader(r, row.most))
		if n != row.written || w.calls != 1 || (err != nil) != (row.takes < row.most) {
			t.Errorf("%+v: %d bytes in %d calls, %v", row, n, w.calls, err)
		}
		if rest, _ := io.ReadAll(r); !bytes.Equal(append(w.text, rest...), p.body) {
			t.Errorf("%+v: %q and %q", row, w.text, rest)
		}
		r.Close()
	}
	w := &pieces{takes: 1 << 20}
	if n, err := (connection{w}).ReadFrom(io.LimitReader(strings.NewReader("another body"), 7)); n != 7 || err != nil || string(w.text) != "another" {
		t.Errorf("%d, %v: %q", n, err, w.text)
	}
}

// pieces is a connection that takes so many bytes and fails then.
type pieces struct {
	net.Conn
	takes, calls int
	text         []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	p.calls++
	n := min(len(b), p.takes-len(p.text))
	p.text = append(p.text, b[:n]...)
	if n < len(b) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

// TestDeliverEnds when ctx is done, whatever the receiver does.
func TestDeliverEnds(t *testing.T) {
	done := make(chan struct{})
	r := newReceiver(t, func(*receiver, http.ResponseWriter, *http.Request, []string) { <-done })
	t.Cleanup(func() { close(done) })
	ctx, cancel := context.WithCancel(context.Background())
	s := sinkTo(t, r.URL)
	time.AfterFunc(10*time.Millisecond, cancel)
	if a := s.Deliver(ctx, records(1)); a.Verdict != sink.Later || !errors.Is(a.Err, context.Canceled) {
		t.Errorf("%+v", a)
	}
}

func BenchmarkDeliver(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	encoding, _ := encode.New("ndjson", encode.Options{})
	s := &Sink{URLs: []*url.URL{u}, Encoding: encoding}
	defer s.Close()
	var list []sink.Record
	for range 5000 {
		list = append(list, sink.Record{Line: bytes.Clone(records(1)[0].Line)})
	}
	for b.Loop() {
		if a := s.Deliver(context.Background(), list); a.Verdict != sink.Taken {
			b.Fatal(a.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/line")
}
