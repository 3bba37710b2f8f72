package syslog_test

import (
	"bufio"
	"bytes"
	"context"
	binenc "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
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

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/test/port"
	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

// A sinkForm is an encoding as its receiver sees it.
type sinkForm struct {
	encoding string
	// read gives each record of a request to take: its text and, where the encoding has one, the id by which a receiver knows it again.
	read     func(body []byte, take func(text, id string)) error
	answer   string // to a request that was taken
	status   int
	compress string // what its receivers unpack
}

// sinkForms are all of them: a sink's deliveries are the same for each, and its requests and answers are not.
var sinkForms = []sinkForm{
	{"ndjson", readObjects("text"), "", http.StatusOK, "zstd"},
	{"victorialogs", readObjects("_msg"), "", http.StatusOK, "zstd"},
	{"loki", readLoki, "", http.StatusNoContent, "gzip"},
	{"elasticsearch", readBulk, `{"errors":false}`, http.StatusOK, "gzip"},
	{"otlp", readOTLP, "", http.StatusOK, "zstd"},
	{"otlp-json", readOTLPJSON, "{}", http.StatusOK, "gzip"},
}

// readObjects reads objects whose text has a name.
func readObjects(name string) func([]byte, func(text, id string)) error {
	return func(body []byte, take func(text, id string)) error {
		for in := json.NewDecoder(bytes.NewReader(body)); ; {
			var record map[string]any
			if err := in.Decode(&record); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			text, ok := record[name].(string)
			if !ok {
				return fmt.Errorf("%v has no %s", record, name)
			}
			take(text, "")
		}
	}
}

func readLoki(body []byte, take func(text, id string)) error {
	var push struct {
		Streams []struct {
			Stream map[string]string
			Values [][]any
		}
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return err
	}
	for _, s := range push.Streams {
		for _, v := range s.Values {
			if len(s.Stream) == 0 || len(v) < 2 {
				return fmt.Errorf("a stream %v with %v", s.Stream, v)
			}
			take(v[1].(string), "")
		}
	}
	return nil
}

func readBulk(body []byte, take func(text, id string)) error {
	for in := json.NewDecoder(bytes.NewReader(body)); ; {
		var action struct {
			Create *struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		var document struct{ Message string }
		if err := in.Decode(&action); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := in.Decode(&document); err != nil {
			return err
		}
		if action.Create == nil || action.Create.Index == "" || action.Create.ID == "" {
			return fmt.Errorf("an action without its parts, before %q", document.Message)
		}
		take(document.Message, action.Create.ID)
	}
}

// readOTLP reads protocol buffers: resource_logs, scope_logs, log_records, and in each the body and the attributes.
func readOTLP(body []byte, take func(text, id string)) error {
	return eachField(body, 1, func(resource []byte) error {
		return eachField(resource, 2, func(scope []byte) error {
			return eachField(scope, 2, func(record []byte) error {
				text, id, key := "", "", ""
				str := func(to *string) func([]byte) error {
					return func(value []byte) error { *to = string(value); return nil }
				}
				err := eachField(record, 5, func(any []byte) error { return eachField(any, 1, str(&text)) })
				err = errors.Join(err, eachField(record, 6, func(attribute []byte) error {
					if err := eachField(attribute, 1, str(&key)); err != nil || key != "log.record.uid" {
						return err
					}
					return eachField(attribute, 2, func(any []byte) error { return eachField(any, 1, str(&id)) })
				}))
				take(text, id)
				return err
			})
		})
	})
}

// eachField gives each value of a field of a message of protocol buffers: those that have a length.
func eachField(message []byte, number uint64, each func([]byte) error) error {
	for len(message) > 0 {
		key, n := binenc.Uvarint(message)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		message = message[n:]
		size, skip := uint64(0), 0
		switch key & 7 {
		case 0:
			if _, skip = binenc.Uvarint(message); skip <= 0 {
				return io.ErrUnexpectedEOF
			}
		case 1:
			size = 8
		case 2:
			if size, skip = binenc.Uvarint(message); skip <= 0 {
				return io.ErrUnexpectedEOF
			}
		case 5:
			size = 4
		default:
			return fmt.Errorf("a field of kind %d", key&7)
		}
		if size > uint64(len(message)-skip) {
			return io.ErrUnexpectedEOF
		}
		value := message[skip : skip+int(size)]
		message = message[skip+int(size):]
		if key == number<<3|2 {
			if err := each(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func readOTLPJSON(body []byte, take func(text, id string)) error {
	type value struct {
		StringValue string `json:"stringValue"`
	}
	var request struct {
		ResourceLogs []struct {
			ScopeLogs []struct {
				LogRecords []struct {
					Body       value
					Attributes []struct {
						Key   string
						Value value
					}
				} `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}
	for _, resource := range request.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				id := ""
				for _, a := range record.Attributes {
					if a.Key == "log.record.uid" {
						id = a.Value.StringValue
					}
				}
				take(record.Body.StringValue, id)
			}
		}
	}
	return nil
}

// A moodyReceiver takes what a form has, unless it is in one of its moods: it ends connections before or after it has taken lines, stalls, answers 429, 500,
// 413, and half an answer. It can be killed.
type moodyReceiver struct {
	t       *testing.T
	form    sinkForm
	address string
	server  *http.Server
	ended   chan struct{}
	limit   int // lines that are never too many

	// mu guards the fields below.
	mu      sync.Mutex
	random  *rand.Rand
	numbers []int
	ids     map[string]int // numbers by their ids; nil: the form has none
	stalls  int
}

func newMoodyReceiver(t *testing.T, form sinkForm, limit int) *moodyReceiver {
	t.Helper()
	r := &moodyReceiver{t: t, form: form, limit: limit, address: port.Reserve(t), random: rand.New(rand.NewPCG(7, 8)), ended: make(chan struct{})}
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

// read reads a request: the numbers of its lines and their ids. ok is false when syslogd was killed in the middle.
func (r *moodyReceiver) read(request *http.Request) (numbers []int, ids []string, ok bool) {
	body, err := unpacked(request.Body, r.form.compress)
	if err != nil {
		return nil, nil, false
	}
	err = r.form.read(body, func(text, id string) {
		if n := numberIn([]byte(text)); n >= 0 {
			numbers = append(numbers, n)
			if id != "" {
				ids = append(ids, id)
			}
		}
	})
	if err != nil || len(ids) > 0 && len(ids) != len(numbers) {
		r.t.Errorf("a request that cannot be read: %v, %d ids for %d lines", err, len(ids), len(numbers))
	}
	return numbers, ids, true
}

// take takes a request without any mood.
func (r *moodyReceiver) take(w http.ResponseWriter, request *http.Request) {
	numbers, _, ok := r.read(request)
	if !ok {
		return
	}
	r.mu.Lock()
	r.numbers = append(r.numbers, numbers...)
	r.mu.Unlock()
	w.WriteHeader(r.form.status)
	io.WriteString(w, r.form.answer)
}

func (r *moodyReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	numbers, ids, ok := r.read(request)
	if !ok {
		return
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
		for i, id := range ids {
			if n, known := r.ids[id]; known && n != numbers[i] {
				r.t.Errorf("lines %d and %d have one id, %s", n, numbers[i], id)
			}
			if r.ids == nil {
				r.ids = make(map[string]int)
			}
			r.ids[id] = numbers[i]
		}
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
	default:
		w.WriteHeader(r.form.status)
		io.WriteString(w, r.form.answer)
	}
}

func unpacked(body io.Reader, compress string) ([]byte, error) {
	if compress == "" {
		return io.ReadAll(body)
	}
	if compress == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
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

// TestSinksThatMisbehave does it to every encoding; in its short form to the simplest one, and to the one whose answers are looked into.
func TestSinksThatMisbehave(t *testing.T) {
	for _, form := range sinkForms {
		t.Run(form.encoding, func(t *testing.T) {
			if os.Getenv("LB_LONG") == "" {
				if form.encoding != "ndjson" && form.encoding != "elasticsearch" {
					t.Skip("a part of the long form (LB_LONG=1)")
				}
				t.Parallel() // it waits more than it works
			}
			misbehaveWith(t, form)
		})
	}
}

// misbehaveWith kills syslogd three times while lines come, files rotate and the receiver is in its moods. All that is in the files arrives, in
// order, and what arrives twice is no more than was sent in vain or was under way when syslogd was killed.
func misbehaveWith(t *testing.T, form sinkForm) {
	count, size, lines, batch := 20_000, "300kB", "500", 500
	if os.Getenv("LB_LONG") != "" {
		count, size, lines, batch = 1_000_000, "5MB", "10000", 10_000
	}
	r := newMoodyReceiver(t, form, batch*3/5)
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    rotate: {size: `+size+`, keep: 100000, compress: zstd}
    forward: {to: "http://`+r.address+`", encoding: `+form.encoding+`, compress: `+form.compress+`, timeout: 2s, backoff: 100ms, batch: {size: 64MB, lines: `+lines+`, age: 50ms}}
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
	if r.ids != nil && len(r.ids) != len(want) {
		t.Errorf("%d lines have %d ids", len(want), len(r.ids))
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
