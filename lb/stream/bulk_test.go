package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/loop"
	"lbsyslogd/test/wait"
)

// TestBulkBodies: long bodies go through large buffers, of which there are few: those who do not read keep some, and nobody else is the worse for it. Every
// byte arrives where it belongs, and every buffer is given back, also of those who leave in the middle.
func TestBulkBodies(t *testing.T) {
	long := make([]byte, 5<<20) // more than the kernel takes for somebody who does not read
	for i := 0; i < len(long); i += 8 {
		binary.BigEndian.PutUint64(long[i:], uint64(i))
	}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			w.Write(long)
		case "/chunks":
			w.Write(long)
		case "/up":
			got, err := io.ReadAll(r.Body)
			fmt.Fprint(w, err == nil && bytes.Equal(got, long))
		}
	})
	r := newRig(t, true, []string{srv}, nil)
	lent := func() (n int) {
		r.Shards[0].Loop.Call(func() { n = r.Shards[0].Loop.Bulk.Lent() })
		return n
	}
	lazy := make([]net.Conn, 34)
	for i := range lazy {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /length HTTP/1.1\r\nHost: a\r\n\r\n")
		lazy[i] = conn
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	url := "http://" + r.addr
	for _, path := range []string{"/length", "/chunks"} {
		answer, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || !bytes.Equal(got, long) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	answer, err := client.Post(url+"/up", "text/plain", bytes.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(answer.Body); string(got) != "true" {
		t.Errorf("upload: the server got something else: %q, %v", got, err)
	}
	answer.Body.Close()
	wait.Until(t, "large buffers to be lent to those who do not read", func() bool { return lent() > 0 })
	for i, conn := range lazy {
		if i > 1 {
			conn.Close()
			continue
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(got, long) {
			t.Errorf("who read late got %d bytes, %v", len(got), err)
		}
	}
	wait.Until(t, "all large buffers to be given back", func() bool { return lent() == 0 })
}

// TestTunnelsHaveUsualBuffers: what lies unsent in a tunnel moves with it at a reload, and must not be more than a message takes.
func TestTunnelsHaveUsualBuffers(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		io.WriteString(c, long)
		io.Copy(io.Discard, br)
	})
	r := newRig(t, false, []string{srv}, nil)
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for left := len(long); left > 0; {
		n, err := conn.Read(make([]byte, 64<<10))
		if err != nil {
			t.Fatal(err)
		}
		left -= n
		r.Shards[0].Loop.Call(func() {
			if n := r.Shards[0].Loop.Bulk.Lent(); n != 0 {
				t.Errorf("%d buffers of %d bytes", n, loop.BulkSize)
			}
		})
	}
}
