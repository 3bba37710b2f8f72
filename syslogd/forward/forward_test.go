package forward

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// A peer takes frames as a syslog server does. Like a real one it holds what it has taken in memory for a while, saveTime at most, and
// loses that when it is killed.
type peer struct {
	t       *testing.T
	address string
	tls     *tls.Config
	refuses func(line string) bool // ends the connection for a line; nil: for none
	resets  bool                   // and does so with a reset
	brief   bool                   // ends connections on which nothing comes soon, too
	ended   func()                 // called when a connection was read to its end and closed

	// mu guards the fields below.
	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	memory   []held
	disk     []string
}

// held is a line in memory.
type held struct {
	line string
	came time.Time
}

const saveTime = 100 * time.Millisecond

// newPeer starts a peer; set makes one that behaves badly.
func newPeer(t *testing.T, config *tls.Config, set ...func(p *peer)) *peer {
	p := &peer{t: t, address: port.Reserve(t), tls: config}
	for _, set := range set {
		set(p)
	}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *peer) start() {
	p.t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.mu.Lock()
	p.listener, p.conns = l, make(map[net.Conn]bool)
	p.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			alive := p.listener == l
			if alive {
				p.conns[c] = true
			}
			p.mu.Unlock()
			if !alive {
				reset(c)
				return
			}
			go p.serve(c)
		}
	}()
}

func (p *peer) serve(raw net.Conn) {
	if p.ended != nil {
		defer p.ended()
	}
	defer raw.Close()
	c := raw
	if p.tls != nil {
		c = tls.Server(raw, p.tls)
		defer c.Close()
	}
	in := bufio.NewReader(c)
	for {
		if p.brief {
			c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		}
		count, err := in.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(count, " "))
		if err != nil {
			p.t.Errorf("a frame begins with %q", count)
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return
		}
		if p.refuses != nil && p.refuses(string(b)) {
			if p.resets {
				reset(raw)
			}
			return
		}
		p.mu.Lock()
		if p.conns[raw] { // the dead take nothing
			p.memory = append(p.memory, held{string(b), time.Now()})
		}
		p.mu.Unlock()
	}
}

// kill loses what is in memory and resets the connections.
func (p *peer) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return
	}
	p.listener.Close()
	p.listener = nil
	for c := range p.conns {
		reset(c)
	}
	p.write(time.Now().Add(-saveTime))
	p.conns, p.memory = nil, nil
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// save brings what is in memory to the disk.
func (p *peer) save() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(time.Now())
}

// write brings to the disk what came until a moment. Called with mu held.
func (p *peer) write(until time.Time) {
	for len(p.memory) > 0 && !p.memory[0].came.After(until) {
		p.disk = append(p.disk, p.memory[0].line)
		p.memory = p.memory[1:]
	}
}

// took is how many lines the peer has, whichever.
func (p *peer) took() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.memory) + len(p.disk)
}

// has says whether the peer's disk has all n lines.
func (p *peer) has(n int) bool {
	p.save()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[string]bool)
	for _, line := range p.disk {
		seen[line] = true
	}
	return len(seen) == n
}

// inOrder fails unless the lines 0 to n-1 came in this order, those that came again left out.
func (p *peer) inOrder(t *testing.T, n int) {
	t.Helper()
	next := 0
	for _, line := range p.disk {
		if line == numbered(next) {
			next++
		}
	}
	if next != n {
		t.Errorf("in order are %d of %d", next, n)
	}
}

func numbered(n int) string { return fmt.Sprintf("<134>1 2026-11-21T03:04:05Z web1 app 7 - - n=%d", n) }

func write(t *testing.T, w io.Writer, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, err := io.WriteString(w, numbered(n)+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, path string) *rotate.Writer {
	t.Helper()
	w, err := rotate.Open(path, rotate.Options{Size: 20_000, Keep: 1, Compress: rotate.Gzip, Hold: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// queueOf is w as a queue that logs nothing.
func queueOf(w *rotate.Writer) *queue.Queue {
	return &queue.Queue{File: w, Log: slog.New(slog.DiscardHandler), To: "the peer"}
}

func start(t *testing.T, w *rotate.Writer, p *peer, settle time.Duration) *Forwarder {
	t.Helper()
	f := &Forwarder{
		Peers: only(p.address), Queue: queueOf(w), Session: 50 * time.Millisecond, Settle: settle,
		Backoff: 200 * time.Millisecond,
	}
	f.Start()
	return f
}

// TestPeerIsKilled kills the peer again and again, with what it had taken and not saved, while lines come and the file rotates.
func TestPeerIsKilled(t *testing.T) {
	p := newPeer(t, nil)
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := start(t, w, p, 300*time.Millisecond)
	defer f.Close()
	n := 0
	for range 8 {
		write(t, w, n, n+2000)
		n += 2000
		wait.Until(t, "some of it to arrive", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.memory) > 0
		})
		p.save() // what came until now is safe, and what comes from now on dies
		write(t, w, n, n+500)
		n += 500
		wait.Until(t, "more of it", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.memory) > 0
		})
		p.kill()
		p.start()
	}
	wait.Until(t, "all lines", func() bool { return p.has(n) })
	p.inOrder(t, n)
	wait.Until(t, "the last confirmation", func() bool { return f.Counts().Behind == 0 })
	c := f.Counts()
	if c.Confirmed != uint64(n) || c.Sent != c.Confirmed+c.Again || c.Again == 0 || c.Missed != 0 || c.Error != "" {
		t.Errorf("of %d lines: %+v", n, c)
	}
}

// TestPeerDiesBetweenSessions kills the peer when it has closed a session's connection as it should, and has it back at once: that what
// answers next is another process is noticed.
func TestPeerDiesBetweenSessions(t *testing.T) {
	var once sync.Once
	p := newPeer(t, nil, func(p *peer) {
		p.ended = func() {
			once.Do(func() {
				p.kill()
				p.start()
			})
		}
	})
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := start(t, w, p, 300*time.Millisecond)
	defer f.Close()
	write(t, w, 0, 1)
	wait.Until(t, "the line", func() bool { return p.has(1) })
	wait.Until(t, "the confirmation", func() bool { return f.Counts().Confirmed == 1 })
	if c := f.Counts(); c.Again == 0 {
		t.Errorf("the first process lost nothing: %+v", c)
	}
}

// TestRestart ends the Forwarder and its file and goes on with new ones: nothing is missing, and nothing is sent again.
func TestRestart(t *testing.T) {
	p := newPeer(t, nil)
	path := filepath.Join(t.TempDir(), "a.log")
	const n = 3000
	for i := range 3 {
		w := open(t, path)
		f := start(t, w, p, time.Hour)
		write(t, w, i*n, (i+1)*n)
		wait.Until(t, "the lines", func() bool { return p.has((i + 1) * n) })
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if c := f.Counts(); c.Confirmed != n || c.Behind != 0 {
			t.Errorf("%+v", c)
		}
		write(t, w, (i+1)*n, (i+1)*n) // nothing
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(p.disk) != 3*n {
		t.Errorf("%d lines arrived of %d", len(p.disk), 3*n)
	}
	p.inOrder(t, 3*n)
}

// TestPeerIsAway starts without a peer and has lines of other formats in the file.
func TestPeerIsAway(t *testing.T) {
	p := newPeer(t, nil)
	p.kill()
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := start(t, w, p, time.Millisecond)
	defer f.Close()
	if _, err := io.WriteString(w, "Nov 21 03:04:05 web1 app: old\n\n<999>1 no\n"+numbered(1)+"\n"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "an error", func() bool { return strings.Contains(f.Counts().Error, "connection refused") })
	p.start()
	wait.Until(t, "the lines", func() bool { return p.has(3) })
	want := []string{nilHeader + "Nov 21 03:04:05 web1 app: old", nilHeader + "<999>1 no", numbered(1)}
	if fmt.Sprintf("%q", p.disk) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q", p.disk)
	}
	wait.Until(t, "the confirmation", func() bool { c := f.Counts(); return c.Confirmed == 3 && c.Error == "" })
}

func TestTLS(t *testing.T) {
	config, roots := certificate(t)
	p := newPeer(t, config)
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := &Forwarder{
		Peers: only(p.address), Queue: queueOf(w), Session: 50 * time.Millisecond, Settle: time.Millisecond,
		TLS: fixed(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: "somebody.else", RootCAs: roots}),
	}
	f.Start()
	write(t, w, 0, 1)
	wait.Until(t, "the wrong name to be refused", func() bool { return strings.Contains(f.Counts().Error, "not somebody.else") })
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	f = &Forwarder{
		Peers: only(p.address), Queue: queueOf(w), Session: f.Session, Settle: f.Settle,
		TLS: fixed(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: "loghost", RootCAs: roots}),
	}
	f.Start()
	defer f.Close()
	write(t, w, 1, 5000)
	wait.Until(t, "the lines to be confirmed", func() bool { return f.Counts().Confirmed == 5000 })
	p.save()
	p.inOrder(t, 5000)
}

// certificate is a server's, and the roots to believe it with.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"loghost"},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// FuzzFrames holds that the frames of any lines are read back as those lines, header or not, and that none is empty.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{"", "\n", "<13>1 a\nb", "<13>", "<>1 ", "<191>1 - - - - - -\n\n<192>1 x\n", "5 hello"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		frames, n := appendFrames(nil, lines)
		rest := string(frames)
		for line := range strings.SplitSeq(string(lines), "\n") {
			if line == "" {
				continue
			}
			count, after, ok := strings.Cut(rest, " ")
			size, err := strconv.Atoi(count)
			if !ok || err != nil || size > len(after) || strings.TrimPrefix(after[:size], nilHeader) != strings.TrimPrefix(line, nilHeader) {
				t.Fatalf("%q becomes %q", lines, frames)
			}
			rest = after[size:]
			n--
		}
		if rest != "" || n != 0 {
			t.Errorf("%q becomes %q, %d too many", lines, frames, n)
		}
	})
}

func TestFramesAllocateNothing(t *testing.T) {
	lines := []byte(strings.Repeat(numbered(1)+"\n", 100))
	buf := make([]byte, 0, 2*len(lines))
	if n := testing.AllocsPerRun(100, func() { buf, _ = appendFrames(buf[:0], lines) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
