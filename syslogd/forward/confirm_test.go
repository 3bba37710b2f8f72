package forward

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// A deaf peer reads and never hears that a connection has ended: it does not close its side.
type deaf struct {
	address string
	mu      sync.Mutex
	text    strings.Builder
}

func newDeaf(t *testing.T) *deaf {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{address: l.Addr().String()}
	var open []net.Conn
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, c)
			tasks.Go(func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					d.mu.Lock()
					d.text.Write(buf[:n])
					d.mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		for _, c := range open {
			c.Close()
		}
		tasks.Wait()
	})
	return d
}

// has is how often a line came.
func (d *deaf) has(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), numbered(n)) // lines of one length: none is in another
}

// TestPeerThatIgnoresTheEnd sends each line a bounded number of times to a peer that never closes, and says what its count is worth.
func TestPeerThatIgnoresTheEnd(t *testing.T) {
	p := newDeaf(t)
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := &Forwarder{
		Peers: only(p.address), Queue: queueOf(w), Session: 20 * time.Millisecond, Settle: 20 * time.Millisecond,
		Backoff: 20 * time.Millisecond, closeTime: 50 * time.Millisecond,
	}
	f.Start()
	defer f.Close()
	write(t, w, 100, 200)
	wait.Until(t, "the error to be seen", func() bool { return strings.Contains(f.Counts().Error, "does not close") })
	wait.Until(t, "the lines to count", func() bool { return f.Counts().Acknowledged == 100 })
	write(t, w, 200, 300)
	wait.Until(t, "later lines to count", func() bool { return f.Counts().Acknowledged == 200 && f.Counts().Behind == 0 })
	if n := p.has(150); n < 1 || n > sessionsUnclosed+1 {
		t.Errorf("a line came %d times", n)
	}
	if n := p.has(250); n != 1 {
		t.Errorf("a later line came %d times", n)
	}
	c := f.Counts()
	if c.Confirmed != 0 || c.Sent != c.Acknowledged+c.Again || !strings.Contains(c.Error, "kernel") {
		t.Errorf("%+v", c)
	}
}

// TestAcknowledged is chosen for such a peer, and keeps one connection.
func TestAcknowledged(t *testing.T) {
	p := newDeaf(t)
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := &Forwarder{
		Peers: only(p.address), Queue: queueOf(w), Session: 20 * time.Millisecond, Settle: 20 * time.Millisecond,
		Confirm: ByAcknowledgement,
	}
	f.Start()
	defer f.Close()
	for i := 100; i < 600; i += 100 {
		write(t, w, i, i+100)
		wait.Until(t, "the lines to count", func() bool { return f.Counts().Acknowledged == uint64(i) })
	}
	if c := f.Counts(); c.Connections != 1 || c.Again != 0 || c.Error != "" || p.has(333) != 1 {
		t.Errorf("%+v", c)
	}
}

// A proxy takes what clients send, passes the first bytes on, and ends connections for its peer: when the client has ended its side, or after a
// while.
func proxy(t *testing.T, to string, idle time.Duration) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go io.Copy(c, back)
			go func() {
				defer back.Close()
				defer c.Close()
				if _, err := io.CopyN(back, c, 4000); err != nil { // enough for a handshake
					return
				}
				for err == nil {
					c.SetReadDeadline(time.Now().Add(idle))
					_, err = c.Read(make([]byte, 64<<10))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestProxyThatCloses puts a proxy between that answers our end with its own: what it says is believed, which is why there is close_notify. With
// that it cannot confirm what the peer has not read.
func TestProxyThatCloses(t *testing.T) {
	config, roots := certificate(t)
	for _, row := range []struct {
		confirm  Confirmation
		peer     *tls.Config
		settings *tls.Config
		idle     time.Duration
	}{
		{ByClose, nil, nil, time.Hour},
		{ByCloseNotify, config, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "loghost", RootCAs: roots}, 100 * time.Millisecond},
	} {
		p := newPeer(t, row.peer)
		w := open(t, filepath.Join(t.TempDir(), "a.log"))
		f := &Forwarder{
			Peers: only(proxy(t, p.address, row.idle)), Queue: queueOf(w), Session: 20 * time.Millisecond, Settle: time.Millisecond,
			Backoff: 20 * time.Millisecond, Confirm: row.confirm, TLS: fixed(row.settings),
		}
		f.Start()
		write(t, w, 0, 5000)
		if row.confirm == ByClose {
			wait.Until(t, "the proxy to be believed", func() bool { return f.Counts().Confirmed > 0 })
		} else {
			wait.Until(t, "the proxy not to be believed", func() bool { return f.Counts().Again > 0 })
			// A session as short as what the proxy passes on ends properly, and its lines have come.
			if c := f.Counts(); c.Confirmed > uint64(p.took()) || c.LastError == "" {
				t.Errorf("%+v; the peer took %d", c, p.took())
			}
		}
		f.Close()
		w.Close()
	}
}
