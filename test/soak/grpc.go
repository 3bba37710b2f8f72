package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"lbsyslogd/test/backend"
)

// Streams as gRPC has them: messages with a length in front go both ways in turns over one stream of HTTP/2, which lives for seconds, and the end is told by
// trailers.

// grpcPrefix is what their paths begin with, by which the configuration knows them.
const grpcPrefix = "/grpc"

// grpcStreams is how many are open on a connection at once.
const grpcStreams = 3

// overGRPC is a client of conns connections, each with some streams at once.
func overGRPC(conns int) client {
	return client{atOnce: conns * grpcStreams, run: func(s *site, ctx context.Context, r *run, rate int) {
		draw := &numbers{rate: rate, begun: time.Now()}
		var all sync.WaitGroup
		for range conns {
			c := &h2Conn{site: s, run: r, opt: h2Options{secure: true}}
			all.Go(func() { c.talk(ctx, draw) })
		}
		all.Wait()
	}}
}

// talk holds conversations, some at once, until ctx ends.
func (c *h2Conn) talk(ctx context.Context, draw *numbers) {
	defer c.close()
	for {
		var batch []*h2Stream
		for len(batch) < grpcStreams {
			n, ok := draw.draw(ctx)
			if !ok {
				break
			}
			batch = append(batch, &h2Stream{number: n})
		}
		if len(batch) == 0 {
			return
		}
		begun := time.Now()
		err := c.converse(batch, 1+rand.IntN(12))
		for _, st := range batch {
			switch {
			case !st.done:
				st.err = err
			case st.err == nil && st.trailer != "0":
				st.err = fmt.Errorf("%w: the stream ended with grpc-status %q", io.ErrUnexpectedEOF, st.trailer)
			}
			c.note(st, begun)
		}
		c.close() // the next batch has a connection of its own, so that none begins on one that ends
	}
}

// converse sends messages over each stream of a batch; the next one goes when all streams have the echo of the one before.
func (c *h2Conn) converse(batch []*h2Stream, messages int) error {
	if err := c.dial(); err != nil {
		return err
	}
	c.nc.SetDeadline(time.Now().Add(patience))
	open := map[uint32]*h2Stream{}
	for _, st := range batch {
		st.id, st.window = c.nextID, c.initial
		c.nextID += 2
		open[st.id] = st
		if err := c.call(st); err != nil {
			return err
		}
	}
	for i := range messages {
		for _, st := range batch {
			if open[st.id] == nil {
				continue
			}
			text := message(st.number, i)
			st.want = append(st.want, text...)
			for c.window < int64(len(text)) || st.window < int64(len(text)) {
				if err := c.frame(open); err != nil {
					return err
				}
			}
			c.window -= int64(len(text))
			st.window -= int64(len(text))
			if err := c.framer.WriteData(st.id, i == messages-1, text); err != nil {
				return err
			}
		}
		for slow(batch, open) {
			if err := c.frame(open); err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	}
	for len(open) > 0 {
		if err := c.frame(open); err != nil {
			return err
		}
	}
	return nil
}

// slow reports whether an open stream still lacks an echo.
func slow(batch []*h2Stream, open map[uint32]*h2Stream) bool {
	for _, st := range batch {
		if open[st.id] != nil && len(st.body) < len(st.want) {
			return true
		}
	}
	return false
}

// message is the i-th of a stream: a flag, its length, and bytes that no other has.
func message(number, i int) []byte {
	text := make([]byte, 5, 800)
	for len(text) < 5+(number*31+i*257)%700 {
		text = strconv.AppendInt(append(text, ' '), int64(number*1000+i), 10)
	}
	binary.BigEndian.PutUint32(text[1:5], uint32(len(text)-5))
	return text
}

// call opens a stream.
func (c *h2Conn) call(st *h2Stream) error {
	c.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: fmt.Sprintf("%s/r/%s/%d", grpcPrefix, c.run.name, st.number)},
		{Name: ":authority", Value: "localhost"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
		{Name: runHeader, Value: c.run.name},
	} {
		if err := c.encoder.WriteField(f); err != nil {
			return err
		}
	}
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: st.id, BlockFragment: c.block.Bytes(), EndHeaders: true})
}

// serveGRPC sends each message of a stream back as it comes, and tells the end by trailers.
func (w *server) serveGRPC(rw http.ResponseWriter, r *http.Request) {
	deed := w.entered(r.URL.Path, len(r.Header.Values(markHeader)), r.Header.Get(runHeader))
	if deed == backend.Garbage || deed == backend.Cut {
		panic(http.ErrAbortHandler)
	}
	rw.Header().Set("Content-Type", "application/grpc")
	rw.Header().Set("Trailer", "Grpc-Status")
	rw.Header().Set("X-Backend", w.name)
	flush := http.NewResponseController(rw)
	if err := flush.Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
	var head [5]byte
	var text bytes.Buffer
	for {
		_, err := io.ReadFull(r.Body, head[:])
		if err == io.EOF {
			break
		}
		if err == nil {
			text.Reset()
			text.Write(head[:])
			_, err = io.CopyN(&text, r.Body, int64(binary.BigEndian.Uint32(head[1:])))
		}
		if err == nil {
			_, err = rw.Write(text.Bytes())
		}
		if err = errors.Join(err, flush.Flush()); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	rw.Header().Set("Grpc-Status", "0")
	w.met(r.URL.Path, deed, nil)
}
