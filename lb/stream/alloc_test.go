package stream

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/tlsrecord"
	"lbsyslogd/test/accept"
)

// TestNoAllocations sends keep-alive requests through an engine: nothing on
// either side of it allocates, so what is counted is the engine's.
func TestNoAllocations(t *testing.T) {
	noAllocations(t, func(r *rig) { r.fe.ForwardFor = &AddressField{Name: []byte("X-Forwarded-For")} })
}

// TestTrackingDoesNotAllocate is the same for a request that is counted in
// stick tables, may be refused for it, and sticks to its server.
func TestTrackingDoesNotAllocate(t *testing.T) {
	spec := stick.Spec{Type: stick.String, Len: 32, Size: 100}
	for d := range stick.NumData {
		spec.Stores[d], spec.Period[d] = true, 1_000_000
	}
	table := stick.New(spec)
	acls := acl.NewACLs()
	one := func(kind rule.Stage, line string) rule.Rules {
		t.Helper()
		r, err := rule.ParseRule(kind, strings.Fields(line), acls)
		if err != nil {
			t.Fatal(err)
		}
		return rule.Rules{r}
	}
	conn, content := one(rule.Connection, "track-sc0 src"), one(rule.Content, "track-sc1 path")
	deny, response := one(rule.Request, "deny if { sc_http_req_rate(0) lt 1 }"), one(rule.Response, "track-sc2 res.hdr(content-length)")
	sticky, err := rule.ParseStick([]string{"on", "hdr(user-agent)"}, acls)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range acls.Take() {
		ref.(*sample.TableRef).Bind(table)
	}
	noAllocations(t, func(r *rig) {
		r.fe.Rules[rule.Connection], r.fe.Rules[rule.Content], r.fe.Rules[rule.Request], r.fe.Rules[rule.Response] = conn, content, deny, response
		r.be.Sticks = []*rule.Stick{sticky}
	})
	now := stick.Now()
	for key, d := range map[string]stick.Data{"127.0.0.1": stick.HTTPReqRate, "/a/b": stick.HTTPReqRate, "5": stick.HTTPReqRate, "test": stick.ServerID} {
		if n, _ := table.GetKey([]byte(key), d, now); n == 0 {
			t.Errorf("%s of %s is 0", d, key)
		}
	}
}

func noAllocations(t *testing.T, change func(*rig)) {
	t.Helper()
	noAllocationsOver(t, change, func(c net.Conn) io.ReadWriter { return c })
}

func noAllocationsOver(t *testing.T, change func(*rig), over func(net.Conn) io.ReadWriter) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					c.Write(answer)
				}
			}()
		}
	}()
	r := newRig(t, true, []string{ln.Addr().String()}, change)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := []byte("GET /a/b?c HTTP/1.1\r\nHost: example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	b := make([]byte, 4096)
	rw := over(c)
	exchange := func() {
		if _, err := rw.Write(request); err != nil {
			t.Error(err)
		}
		if n, err := io.ReadAtLeast(rw, b, len(answer)); err != nil || n < len(answer) {
			t.Error(n, err)
		}
	}
	for range 10 {
		exchange()
	}
	if n := testing.AllocsPerRun(2000, exchange); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}

// TestTunnelDoesNotAllocate is the same for pieces that pass through tunnels, small ones and such as fill buffers, of one client and of several at once.
func TestTunnelDoesNotAllocate(t *testing.T) {
	srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) { io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 64<<10)) })
	for _, row := range []struct{ clients, size int }{{1, 200}, {1, 128 << 10}, {16, 200}} {
		r := newRig(t, false, []string{srv}, nil)
		var clients []net.Conn
		for range row.clients {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			clients = append(clients, c)
		}
		text, b := make([]byte, row.size), make([]byte, row.size)
		exchange := func() {
			for _, c := range clients {
				if _, err := c.Write(text); err != nil {
					t.Error(err)
				}
			}
			for _, c := range clients {
				if _, err := io.ReadFull(c, b); err != nil {
					t.Error(err)
				}
			}
		}
		for range 10 {
			exchange()
		}
		if n := testing.AllocsPerRun(500, exchange); n != 0 {
			t.Errorf("%v allocations for a piece of %d bytes of each of %d clients, want 0", n, row.size, row.clients)
		}
	}
}

// TestTLSDoesNotAllocate is the same over TLS: the client is of our own record
// layer, which allocates nothing either.
func TestTLSDoesNotAllocate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var adjust func(*rig)
		noAllocationsOver(t, func(r *rig) {
			adjust = secure(t)
			adjust(r)
		}, func(c net.Conn) io.ReadWriter {
			w := tlsrecord.NewWatch(true)
			in := &oneRecord{Conn: c, w: w}
			tc := tls.Client(in, w.Attach(&tls.Config{InsecureSkipVerify: true, MaxVersion: version}))
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			rec, err := w.Conn(tc.ConnectionState())
			if err != nil {
				t.Fatal(err)
			}
			return &tlsClient{rec: rec, c: c}
		})
	}
}

// oneRecord gives crypto/tls one record at a time.
type oneRecord struct {
	net.Conn
	w    *tlsrecord.Watch
	left int
	head []byte
}

func (c *oneRecord) Read(b []byte) (int, error) {
	if c.left == 0 && len(c.head) == 0 {
		c.head = make([]byte, tlsrecord.HeaderSize)
		if _, err := io.ReadFull(c.Conn, c.head); err != nil {
			return 0, err
		}
		c.left = int(c.head[3])<<8 | int(c.head[4])
	}
	var n int
	var err error
	if len(c.head) > 0 {
		n = copy(b, c.head)
		c.head = c.head[n:]
	} else {
		n, err = c.Conn.Read(b[:min(len(b), c.left)])
		c.left -= n
	}
	c.w.Received(b[:n])
	return n, err
}

func (c *oneRecord) Write(b []byte) (int, error) {
	c.w.Sent(b)
	return c.Conn.Write(b)
}

// tlsClient is a client over the record layer, which knows its tickets.
type tlsClient struct {
	rec  *tlsrecord.Conn
	c    net.Conn
	in   [64 << 10]byte
	r, w int
	out  [4096]byte
}

func (c *tlsClient) Write(b []byte) (int, error) {
	if _, err := c.c.Write(c.rec.Seal(c.out[:0], b, tlsrecord.MaxPlaintext)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *tlsClient) Read(b []byte) (int, error) {
	for {
		n, err := c.rec.Size(c.in[c.r:c.w])
		if err != nil {
			return 0, err
		}
		if n == 0 || c.w-c.r < n {
			c.w = copy(c.in[:], c.in[c.r:c.w])
			c.r = 0
			k, err := c.c.Read(c.in[c.w:])
			if c.w += k; err != nil {
				return 0, err
			}
			continue
		}
		data, err := c.rec.Open(nil, c.in[c.r:c.r+n])
		if c.r += n; err != nil || len(data) > 0 {
			return copy(b, data), err
		}
	}
}
