package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/load"
)

// h2Options say how an HTTP/2 client behaves.
type h2Options struct {
	conns    int
	streams  int // requests at once on a connection
	perConn  int // requests on one connection before the client leaves; 0 means no end
	postEach int // every postEach-th request posts a body
	bodySize int
	secure   bool
}

// numbers draws request numbers, each when it is due.
type numbers struct {
	rate  int
	begun time.Time
	next  atomic.Int64
}

func (d *numbers) draw(ctx context.Context) (int, bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	n := int(d.next.Add(1) - 1)
	if wait := time.Until(d.begun.Add(time.Duration(n) * time.Second / time.Duration(d.rate))); wait > 0 {
		<-time.After(wait)
	}
	return n, true
}

// overH2 is a client that speaks HTTP/2 frame by frame, so that nothing tries again in its place.
func overH2(opt h2Options) client {
	return client{atOnce: opt.conns * opt.streams, run: func(s *site, ctx context.Context, r *run, rate int) {
		draw := &numbers{rate: rate, begun: time.Now()}
		var all sync.WaitGroup
		for range opt.conns {
			c := &h2Conn{site: s, run: r, opt: opt}
			all.Go(func() { c.work(ctx, draw) })
		}
		all.Wait()
	}}
}

// h2Stream is one request of a batch.
type h2Stream struct {
	number int
	id     uint32
	window int64 // what may be sent
	want   []byte
	body   []byte
	status int
	server string

	trailer string // grpc-status
	done    bool
	err     error
}

// h2Conn sends batches of requests over one connection at a time. Owned by its goroutine.
type h2Conn struct {
	site *site
	run  *run
	opt  h2Options

	nc      net.Conn // nil when the next batch needs a new one
	dialled time.Time
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	nextID  uint32
	sent    int
	window  int64 // what may be sent on the connection
	initial int64 // and on a stream, at first
	unacked uint32
	leaving bool   // GOAWAY came
	lastID  uint32 // of GOAWAY
}

// patience is how long clients wait for a connection or an answer: the machine may be slow, and whatever is lost stays lost.
const patience = 2 * time.Minute

var errUnprocessed = errors.New("the server says that it has not processed it")

// errStream is a stream that the server has reset.
type errStream http2.ErrCode

func (e errStream) Error() string { return "stream reset: " + http2.ErrCode(e).String() }

func (c *h2Conn) work(ctx context.Context, draw *numbers) {
	defer c.close()
	for {
		var batch []*h2Stream
		for len(batch) < c.opt.streams {
			n, ok := draw.draw(ctx)
			if !ok {
				break
			}
			batch = append(batch, &h2Stream{number: n})
		}
		if len(batch) == 0 {
			return
		}
		for len(batch) > 0 {
			batch = c.send(batch)
		}
	}
}

// send sends a batch, and returns what it has kept back because the connection was announced to end.
func (c *h2Conn) send(batch []*h2Stream) (kept []*h2Stream) {
	begun := time.Now()
	err := c.exchange(batch)
	for _, st := range batch {
		if st.id == 0 && (err == nil || c.leaving) {
			kept = append(kept, st)
			continue
		}
		if !st.done {
			st.err = err
		}
		c.note(st, begun)
	}
	if err != nil || c.leaving || c.opt.perConn > 0 && c.sent >= c.opt.perConn {
		c.close()
	}
	return kept
}

// note enters a request into the client's book.
func (c *h2Conn) note(st *h2Stream, begun time.Time) {
	epoch := c.site.epoch
	a := asked{known: true, status: int16(st.status), server: st.server, dialled: c.dialled.Sub(epoch), begun: begun.Sub(epoch), ended: time.Since(epoch)}
	var reset errStream
	switch {
	case st.err == nil && st.status != 200:
		a.outcome = load.BadStatus
	case st.err == nil && !bytes.Equal(st.body, st.want):
		a.outcome = load.WrongBody
		a.err = fmt.Sprintf("got %d bytes %.60q, want %d bytes %.60q", len(st.body), st.body, len(st.want), st.want)
	case errors.As(st.err, &reset), errors.Is(st.err, errUnprocessed):
		a.outcome = load.Reset
	default:
		a.outcome = load.Classify(st.err)
	}
	if st.err != nil {
		a.unprocessed = errors.Is(st.err, errUnprocessed)
		a.err = st.err.Error()
	}
	c.run.put(st.number, a)
}

func (c *h2Conn) close() {
	if c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

func (c *h2Conn) dial() error {
	c.dialled, c.leaving = time.Now(), false
	addr := c.site.http
	if c.opt.secure {
		addr = c.site.https
	}
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	nc.SetDeadline(time.Now().Add(patience))
	if c.opt.secure {
		t := tls.Client(nc, &tls.Config{RootCAs: c.site.trust(), ServerName: "localhost", NextProtos: []string{"h2"}})
		if err := t.Handshake(); err != nil {
			nc.Close()
			return fmt.Errorf("TLS handshake: %w", err)
		}
		nc = t
	}
	c.nc, c.nextID, c.sent, c.window, c.initial, c.unacked, c.lastID = nc, 1, 0, 65535, 65535, 0, 0
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		return err
	}
	c.framer = http2.NewFramer(nc, nc)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.block.Reset()
	c.encoder = hpack.NewEncoder(&c.block)
	return c.framer.WriteSettings()
}

// exchange sends a batch and reads frames until each stream has its end. The error is the connection's.
func (c *h2Conn) exchange(batch []*h2Stream) error {
	if c.nc == nil {
		if err := c.dial(); err != nil {
			c.close()
			return err
		}
	}
	c.nc.SetDeadline(time.Now().Add(patience))
	open := map[uint32]*h2Stream{}
	for _, st := range batch {
		if c.leaving {
			break // the others are for the next connection
		}
		st.id, st.window = c.nextID, c.initial
		c.nextID += 2
		c.sent++
		open[st.id] = st
		if err := c.request(st, open); err != nil {
			c.hearOut(open)
			return err
		}
	}
	for len(open) > 0 {
		if err := c.frame(open); err != nil {
			return err
		}
	}
	return nil
}

// hearOut reads what has come over a connection that cannot be written to any more: answers, and that it ends.
func (c *h2Conn) hearOut(open map[uint32]*h2Stream) {
	c.nc.SetDeadline(time.Now().Add(time.Second))
	for len(open) > 0 && c.frame(open) == nil {
	}
}

// request sends one request.
func (c *h2Conn) request(st *h2Stream, open map[uint32]*h2Stream) error {
	path := "/r/" + c.run.name + "/" + strconv.Itoa(st.number)
	post := c.opt.postEach > 0 && st.number%c.opt.postEach == 0
	method, body := "GET", []byte(nil)
	if post {
		method = "POST"
		body = []byte(strconv.Itoa(st.number))
		for i := len(body); i < c.opt.bodySize; i++ {
			body = append(body, backend.Pattern(i))
		}
	}
	st.want = backend.AppendSmall(nil, path, crc32.ChecksumIEEE(body), int64(len(body)))
	c.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "localhost"},
		// The same on all requests of a connection: an entry of the dynamic table, which the server has to keep.
		{Name: runHeader, Value: c.run.name}, {Name: "user-agent", Value: "soak"},
	} {
		if err := c.encoder.WriteField(f); err != nil {
			return err
		}
	}
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: st.id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: !post}); err != nil {
		return err
	}
	for len(body) > 0 && open[st.id] != nil {
		n := min(int64(len(body)), 4096)
		if c.window < n || st.window < n {
			if err := c.frame(open); err != nil {
				return err
			}
			continue
		}
		c.window -= n
		st.window -= n
		if err := c.framer.WriteData(st.id, int(n) == len(body), body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// frame reads one frame and does what it says; streams that are at their end leave open.
func (c *h2Conn) frame(open map[uint32]*h2Stream) error {
	f, err := c.framer.ReadFrame()
	if err != nil {
		if err == io.EOF && len(open) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	st := open[f.Header().StreamID]
	end := func(err error) {
		if st != nil {
			st.done, st.err = true, err
			delete(open, st.id)
		}
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			for _, other := range open {
				other.window += int64(v) - c.initial
			}
			c.initial = int64(v)
		}
		if v, ok := f.Value(http2.SettingHeaderTableSize); ok {
			c.encoder.SetMaxDynamicTableSizeLimit(v)
		}
		return c.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
		} else if st != nil {
			st.window += int64(f.Increment)
		}
	case *http2.GoAwayFrame:
		c.leaving, c.lastID = true, f.LastStreamID
		for id, other := range open {
			if id > f.LastStreamID {
				other.done, other.err = true, errUnprocessed
				delete(open, id)
			}
		}
		if f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("GOAWAY: %v %q", f.ErrCode, f.DebugData())
		}
	case *http2.RSTStreamFrame:
		if f.ErrCode == http2.ErrCodeNo && st != nil && st.status != 0 {
			return nil // the answer was complete before the request
		}
		end(errStream(f.ErrCode))
	case *http2.MetaHeadersFrame:
		return c.head(f, st, end)
	case *http2.DataFrame:
		return c.data(f, st, end)
	}
	return nil
}

func (c *h2Conn) head(f *http2.MetaHeadersFrame, st *h2Stream, end func(error)) error {
	if st == nil {
		return nil
	}
	if status := f.PseudoValue("status"); status != "" {
		st.status, _ = strconv.Atoi(status)
	}
	for _, h := range f.RegularFields() {
		switch h.Name {
		case "x-backend":
			st.server = h.Value
		case "grpc-status":
			st.trailer = h.Value
		}
	}
	if f.StreamEnded() {
		end(nil)
	}
	return nil
}

func (c *h2Conn) data(f *http2.DataFrame, st *h2Stream, end func(error)) error {
	if st != nil {
		st.body = append(st.body, f.Data()...)
	}
	if c.unacked += f.Length; c.unacked > 16<<10 {
		if err := c.framer.WriteWindowUpdate(0, c.unacked); err != nil {
			return err
		}
		c.unacked = 0
	}
	if f.StreamEnded() {
		end(nil)
	}
	return nil
}
