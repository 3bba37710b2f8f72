package stream

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/lb/tlsrecord"
	"lbsyslogd/test/wait"
)

// secure makes a rig's listener one for TLS.
func secure(t *testing.T) func(*rig) {
	config := certificate(t)
	return func(r *rig) {
		name := func(uint16) string { return "" }
		r.fe.Listeners[0].TLS = &TLS{Config: config, VersionName: name, CipherName: name}
		r.fe.Listeners[0].Label = "2"
		var err error
		if r.Formats, err = accesslog.NewFormats(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHandshakeWithNagle: a client without TCP_NODELAY sends its first request
// when its Finished is acknowledged. In TLS 1.3 the ticket leaves before that
// comes, so nothing but the acknowledgement itself would be sent, 40 ms later.
// The fastest of several connections is compared with the fastest of a client
// with TCP_NODELAY, in turns: the kernel's delay is in every one, the machine's
// load is not.
func TestHandshakeWithNagle(t *testing.T) {
	r := newRig(t, true, []string{"127.0.0.1:9"}, func(r *rig) {
		secure(t)(r)
		r.fe.MonitorURI = "/up"
	})
	once := func(noDelay bool) time.Duration {
		begun := time.Now()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetNoDelay(noDelay); err != nil {
			t.Fatal(err)
		}
		tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if _, err := io.WriteString(tc, "GET /up HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 12)
		if _, err := io.ReadFull(tc, b); err != nil || string(b) != "HTTP/1.1 200" {
			t.Fatalf("%q, %v", b, err)
		}
		return time.Since(begun)
	}
	with, without := time.Hour, time.Hour
	for range 20 {
		with, without = min(with, once(true)), min(without, once(false))
	}
	if without > with+5*time.Millisecond {
		t.Errorf("a connection takes at least %v without TCP_NODELAY, %v with it", without, with)
	}
}

// TestHandshakeWords: what ends before a handshake does is logged in HAProxy's
// words, and with option dontlognull as HAProxy logs it: not if the client left
// before it had sent a whole record, nor when its time is up.
func TestHandshakeWords(t *testing.T) {
	hello := clientHello(t)
	leave := func(c *net.TCPConn) { c.Close() }
	reset := func(c *net.TCPConn) { c.SetLinger(0); c.Close() }
	stay := func(c *net.TCPConn) { io.Copy(io.Discard, c); c.Close() }
	for _, tt := range []struct {
		name string
		send string
		end  func(*net.TCPConn)
		want string
		null bool // dontlognull drops it
		left bool // the client's doing, which no trial is judged by
	}{
		{"nothing, and leaves", "", leave, handshakeClosed, true, true},
		{"nothing, and resets", "", reset, handshakeFailure, false, true},
		{"nothing, and stays", "", stay, handshakeTimeout, true, true},
		{"half a hello, and leaves", hello[:50], leave, handshakeClosed, true, true},
		{"half a hello, and resets", hello[:50], reset, handshakeFailure, false, true},
		{"half a hello, and stays", hello[:50], stay, handshakeTimeout, true, true},
		{"a hello, and leaves", hello, leave, handshakeFailure, false, true},
		{"a hello, and stays", hello, stay, handshakeTimeout, true, false},
		{"nonsense", "\x16rubbish\xff", leave, handshakeFailure, false, false},
		{"a plain request", "GET / HTTP/1.0\r\n\r\n", leave, handshakeFailure, false, false},
		{"an alert", hello + "\x15\x03\x03\x00\x02\x02\x2a", leave, handshakeFailure, false, false},
	} {
		for _, null := range []bool{false, true} {
			name := tt.name
			if null {
				name += ", dontlognull"
			}
			t.Run(name, func(t *testing.T) {
				log, err := net.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer log.Close()
				patience := int64(60_000) // ms: what is not to time out does not on a busy machine either
				if tt.want == handshakeTimeout {
					patience = 500
				}
				r := newRig(t, true, []string{"127.0.0.1:9"}, func(r *rig) {
					secure(t)(r)
					if r.fe.Logs = 0; null {
						r.fe.Timeouts.ClientHandshake = patience // timeout client-hs, which goes before the others
					} else {
						r.fe.Timeouts.Client = patience
					}
					r.fe.Access.DontLogNull = null
					r.Targets = [][]syslog.Target{{{Network: "udp", Address: log.LocalAddr().String(), Format: "raw", Len: 1024, Level: 7}}}
				})
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(c, tt.send)
				tt.end(c.(*net.TCPConn))
				wait.Until(t, "a failed handshake to be counted", func() bool { return r.Shards[0].Read().Front[0].SSLFailed == 1 })
				if n := r.Shards[0].Read().Front[0].Unshaken; n > 0 == tt.left {
					t.Errorf("%d handshakes are said to have failed by no doing of the client", n)
				}
				r.Shards[0].Loop.Call(r.Shards[0].flushLogs)
				// Whatever was logged stands in the socket before this.
				probe, err := net.Dial("udp", log.LocalAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer probe.Close()
				io.WriteString(probe, "end")
				log.SetReadDeadline(time.Now().Add(20 * time.Second))
				b := make([]byte, 1024)
				n, _, err := log.ReadFrom(b)
				line := strings.TrimSpace(string(b[:n]))
				switch {
				case err != nil:
					t.Error(err)
				case null && tt.null:
					if line != "end" {
						t.Errorf("logged %q", line)
					}
				case !strings.HasSuffix(line, " fe/2: "+tt.want):
					t.Errorf("logged %q, want %q", line, tt.want)
				}
			})
		}
	}
}

// clientHello is the first record of a client.
func clientHello(t *testing.T) string {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, ServerName: "lb.example"}).Handshake()
	}()
	b := make([]byte, 8<<10)
	n, err := ours.Read(b)
	if err != nil || n < tlsrecord.HeaderSize {
		t.Fatal(n, err)
	}
	return string(b[:n])
}

// TestHandshakesAreBounded: of many hellos that come at once no more are
// computed than there are cores; the others wait, are counted, and each gets
// its turn. A client that has said nothing yet takes no place.
func TestHandshakesAreBounded(t *testing.T) {
	cores := runtime.GOMAXPROCS(0)
	var mu sync.Mutex
	computing, most := 0, 0
	release := make(chan struct{})
	r := newRig(t, true, []string{"127.0.0.1:9"}, func(r *rig) {
		secure(t)(r)
		r.fe.MonitorURI = "/up"
		config := r.fe.Listeners[0].TLS.Config
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			mu.Lock()
			computing++
			most = max(most, computing)
			mu.Unlock()
			<-release
			mu.Lock()
			computing--
			mu.Unlock()
			return nil, nil
		}
	})
	for range 50 { // which say nothing
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	const clients = 40
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			c, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wait.Until(t, "all the others to wait", func() bool {
		n, waiting := r.Handshakes()
		return n == cores && waiting == clients-cores
	})
	close(release)
	done.Wait()
	wait.Until(t, "no place to be taken", func() bool { n, waiting := r.Handshakes(); return n == 0 && waiting == 0 })
	mu.Lock()
	defer mu.Unlock()
	if most > cores {
		t.Errorf("%d were computed at once on %d cores", most, cores)
	}
}

// TestTLSConnsAreBounded: beyond maxsslconn clients wait in the accept queue, and
// are served when a connection over TLS has ended.
func TestTLSConnsAreBounded(t *testing.T) {
	r := newRig(t, true, []string{"127.0.0.1:9"}, func(r *rig) {
		secure(t)(r)
		r.TLSConns.Max = 2
	})
	var open []*tls.Conn
	for range 2 {
		c, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	third, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Client(third, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	wait.Until(t, "the listener to stop", func() bool { return r.crowded.Load() })
	if n := r.TLSConns.Now(); n != 2 {
		t.Errorf("%d connections", n)
	}
	open[0].Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	third.Close()
	open[1].Close()
	wait.Until(t, "all to be gone", func() bool { return r.TLSConns.Now() == 0 })
}
