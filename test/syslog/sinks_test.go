package syslog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"lbsyslogd/test/port"
	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

// A moodyReceiver takes NDJSON, unless it is in one of its moods: it ends connections before or after it has taken lines, stalls, answers 429, 500, 413, and
// half an answer. It can be killed.
type moodyReceiver struct {
	t       *testing.T
	address string
	server  *http.Server
	ended   chan struct{}
	limit   int // lines that are never too many

	// mu guards the fields below.
	mu      sync.Mutex
	random  *rand.Rand
	numbers []int
	stalls  int
}

func newMoodyReceiver(t *testing.T, limit int) *moodyReceiver {
	t.Helper()
	r := &moodyReceiver{t: t, limit: limit, address: port.Reserve(t), random: rand.New(rand.NewPCG(7, 8)), ended: make(chan struct{})}
	r.start()
	t.Cleanup(func() {
		close(r.ended)
		r.kill()
	})
	return r
}

// start listens; kill ends the listener and all connections.
func (r *moodyReceiver) start() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = &http.Server{Handler: r, ErrorLog: log.New(io.Discard, "", 0)}
	go r.server.Serve(l)
}

func (r *moodyReceiver) kill() { r.server.Close() }

func (r *moodyReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	numbers, err := readNumbers(request.Body)
	if err != nil {
		return // syslogd was killed in the middle
	}
	r.mu.Lock()
	mood := r.random.IntN(20)
	if mood == 3 && len(numbers) <= r.limit { // what is smaller is small enough
		mood = 19
	}
	if mood == 4 { // once: it costs the timeout, which must be long enough for a busy machine
		if r.stalls++; r.stalls > 1 {
			mood = 19
		}
	}
	if mood >= 5 {
		r.numbers = append(r.numbers, numbers...)
	}
	r.mu.Unlock()
	switch mood {
	case 0, 5:
		panic(http.ErrAbortHandler)
	case 1:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case 2:
		w.WriteHeader(http.StatusInternalServerError)
	case 3:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case 4:
		select {
		case <-request.Context().Done():
		case <-r.ended:
		}
	case 6:
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half an answer")
	}
}

func readNumbers(body io.Reader) (numbers []int, err error) {
	z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	in := json.NewDecoder(z)
	for {
		var record struct{ Text string }
		if err := in.Decode(&record); err == io.EOF {
			return numbers, nil
		} else if err != nil {
			return nil, err
		}
		if n := numberIn([]byte(record.Text)); n >= 0 {
			numbers = append(numbers, n)
		}
	}
}

// numberIn is the number of a line of flood; -1: it is none.
func numberIn(text []byte) int {
	_, rest, found := bytes.Cut(text, []byte("n="))
	number, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.Atoi(string(number))
	if !found || err != nil {
		return -1
	}
	return n
}

func (r *moodyReceiver) taken() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.numbers)
}

// TestSinkThatMisbehaves kills syslogd three times while lines come, files rotate and the receiver is in its moods. All that is in the files arrives, in
// order, and what arrives twice is no more than was sent in vain or was under way when syslogd was killed.
func TestSinkThatMisbehaves(t *testing.T) {
	count, size, lines, batch := 20_000, "300kB", "500", 500
	if os.Getenv("LB_LONG") != "" {
		count, size, lines, batch = 1_000_000, "5MB", "10000", 10_000
	}
	r := newMoodyReceiver(t, batch*3/5)
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    rotate: {size: `+size+`, keep: 100000, compress: zstd}
    forward: {to: "http://`+r.address+`", encoding: ndjson, compress: zstd, timeout: 2s, backoff: 100ms, batch: {size: 64MB, lines: `+lines+`, age: 50ms}}
`)
	trickled := trickleNumbers(t, d.addr(), count)
	again := uint64(0)
	for range 3 {
		before := len(r.taken())
		wait.Until(t, "lines to arrive", func() bool { return len(r.taken()) > before+count/20 })
		again += d.status().Outputs[0].Forward.Again
		d.kill()
		r.kill()
		d.run()
		wait.Until(t, "the receiver to be missed", func() bool { return strings.Contains(d.status().Outputs[0].Forward.LastError, "refused") })
		r.start()
	}
	trickled()
	d.do("flush")
	for more, done := 0, false; !done; more = len(r.taken()) {
		wait.Until(t, "more lines to be confirmed", func() bool {
			f := d.status().Outputs[0].Forward
			done = f.Behind == 0 && f.Error == ""
			return done || len(r.taken()) > more+count/20
		})
	}
	f := d.status().Outputs[0].Forward
	if f.Missed != 0 || f.GivenUp != 0 || f.Refused != 0 || f.Sent != f.Confirmed+f.Again {
		t.Errorf("%+v", f)
	}
	d.stop()

	var want []int
	for _, name := range filesInOrder(t, d.dir) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := plain(file)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if n := numberIn(lines.Bytes()); n >= 0 {
				want = append(want, n)
			}
		}
		file.Close()
	}
	got, next := r.taken(), 0
	for _, n := range got {
		if next < len(want) && n == want[next] {
			next++
		} else if i, seen := slices.BinarySearch(want[:next], n); !seen || want[i] != n {
			t.Fatalf("after line %d comes line %d", want[max(next-1, 0)], n)
		}
	}
	if next != len(want) || len(want) < count/20 { // what comes while syslogd is away is lost
		t.Errorf("%d of %d lines of the files arrived", next, len(want))
	}
	// Between the last look at the counters and a kill there may be as much again as a few requests.
	if twice := len(got) - len(want); uint64(twice) > again+f.Again+uint64(3*20*batch) {
		t.Errorf("%d lines came twice, %d were sent in vain", twice, again+f.Again)
	}
	t.Logf("%d lines in %d files, %d of them twice, %d sent in vain", len(want), len(filesInOrder(t, d.dir)), len(got)-len(want), again+f.Again)
}

// trickleNumbers begins to send numbered lines, 25 lines a millisecond at most, whether anybody takes them or not. It goes on until ended is called, and has
// sent count of them then.
func trickleNumbers(t *testing.T, to string, count int) (ended func()) {
	t.Helper()
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer conn.Close()
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		text := []byte(nil)
		for n := 0; n < count && t.Context().Err() == nil || ctx.Err() == nil; n++ {
			if n%min(count/2000, 50) == 0 {
				<-pace.C
			}
			text = append(flood.Line(append(text[:0], "<134>Nov 21 03:04:05 flood[42]: "...), n, 160), '\n')
			_, _ = conn.Write(text) // while syslogd is away there is nobody
		}
	}()
	return func() {
		cancel()
		<-sent
	}
}

// filesInOrder are lb.log and what it was before, the oldest first.
func filesInOrder(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "lb-*.log*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.TrimSuffix(a, ".zst"), strings.TrimSuffix(b, ".zst"))
	})
	return append(names, filepath.Join(dir, "lb.log"))
}
