package stream

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/rule"
)

// TestPacked: compressed bodies of all lengths, with a length or in chunks, after
// heads that leave no room besides the body and heads that do, over HTTP/1 and HTTP/2.
func TestPacked(t *testing.T) {
	noise := make([]byte, 200_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		var n, chunk int
		fmt.Sscanf(req.URL.Path, "/%d/%d", &n, &chunk)
		w.Header().Set("Content-Type", "text/plain")
		if chunk == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(n))
			w.Write(noise[:n])
			return
		}
		for i := 0; i < n; i += chunk {
			w.Write(noise[i:min(i+chunk, n)])
			w.(http.Flusher).Flush()
		}
	})
	for _, more := range []int{2, 900, 3000} {
		r := newRig(t, true, []string{srv}, func(r *rig) {
			r.fe.Compress = &compress.Settings{Algorithms: []compress.Algorithm{compress.Gzip}}
			r.be.Rules[rule.Response] = rules(t, rule.Response, "set-header X-Long "+strings.Repeat("x", more))
		})
		for _, p := range []protocol{http1Plain, http2Plain} {
			c := p.client(t)
			for _, path := range []string{"/1/0", "/30000/0", "/33000/0", "/200000/0", "/60/7", "/200000/40000"} {
				req, _ := http.NewRequest("GET", p.url(r)+path, nil)
				req.Header.Set("Accept-Encoding", "gzip")
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				z, err := gzip.NewReader(resp.Body)
				if err != nil {
					t.Fatalf("%v %s: %v, %v", p, path, err, resp.Header)
				}
				got, err := io.ReadAll(z)
				resp.Body.Close()
				var n int
				fmt.Sscanf(path, "/%d/", &n)
				if err != nil || !bytes.Equal(got, noise[:n]) {
					t.Errorf("%v %s after a head of %d: %d bytes, %v", p, path, more, len(got), err)
				}
			}
		}
	}
}

// TestBlockedIsNotCompressed: what checkcache keeps from the client is no compressed answer, what it lets pass is one.
func TestBlockedIsNotCompressed(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Cache-Control", req.URL.Path[1:])
		io.WriteString(w, "hello")
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Compress = &compress.Settings{Algorithms: []compress.Algorithm{compress.Gzip}}
		r.be.CheckCache = true
	})
	for _, row := range []struct {
		path          string
		status, count uint64
	}{{"/max-age=5", 502, 0}, {"/private", 200, 1}} {
		req, _ := http.NewRequest("GET", "http://"+r.addr+row.path, nil)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		c := r.Shards[0].Read()
		if fe, be := c.Front[0].CompRsp, c.Back[0].CompRsp; resp.StatusCode != int(row.status) || fe != row.count || be != row.count {
			t.Errorf("%s: status %d, counted %d and %d; want %d and %d", row.path, resp.StatusCode, fe, be, row.status, row.count)
		}
	}
}

// TestPackedAtOnce: what the server has sent is with the client before it sends more.
func TestPackedAtOnce(t *testing.T) {
	next := make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Compress = &compress.Settings{Algorithms: []compress.Algorithm{compress.Gzip}}
	})
	for _, p := range []protocol{http1Plain, http2Plain} {
		req, _ := http.NewRequest("GET", p.url(r)+"/", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := p.client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		event := make([]byte, len("data: 0\n\n"))
		for i := range 5 {
			if _, err := io.ReadFull(z, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", i) {
				t.Fatalf("%v: %q, %v", p, event, err)
			}
			next <- true
		}
		if rest, err := io.ReadAll(z); err != nil || len(rest) > 0 {
			t.Errorf("%v: %q, %v", p, rest, err)
		}
		resp.Body.Close()
	}
}
