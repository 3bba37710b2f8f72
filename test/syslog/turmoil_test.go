package syslog_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestTurmoil does to a daemon's files, disk and peer what happens to them in years, one thing after the other, while lines come. It receives all
// the time, what goes to another output is whole, it says of each trouble that it is there and no more than a few words, and in the end everything
// that is still there has come to the peer. The long form goes on for an hour.
func TestTurmoil(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root mounts a small disk")
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=24m"); err != nil {
		tape.Skipf(t, "mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	turmoil(t, small)
}

func turmoil(t *testing.T, small string) {
	peer := newOddPeer(t)
	work := filepath.Join(small, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	d := configure(t, strings.NewReplacer("WORK", work, "PEER", peer.address, "CA", peer.ca).Replace(`
listen: [unix://DIR/in]
host: here
outputs:
- {file: DIR/lb.log, rotate: {size: 1MB, keep: 100}}
- {file: WORK/all.log, format: rfc5424, ring: 256KiB, rotate: {size: 1MB, keep: 3}, forward: {to: "tls://PEER", ca: CA}}
- {file: "DIR/hosts/%tag%.log", rotate: {size: 1MB, keep: 2}}
- {file: DIR/marks.log, tag: mark, rotate: never}
`))
	clock := newClock(t, d)
	d.run()
	in := filepath.Join(d.dir, "in")
	var sent atomic.Uint64
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() { trickle(t, in, &sent, stop) })
	defer sender.Wait()
	defer close(stop)

	all := filepath.Join(work, "all.log")
	position := all + ".position"
	hold := func() { // long enough that lines come meanwhile
		t.Helper()
		from := sent.Load()
		wait.Until(t, "lines to be sent", func() bool { return sent.Load() > from+200 })
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	output := func() control.Output { return d.status().Outputs[1] }
	// The daemon makes its file and its directory anew when they are gone, and renames the file to rotate it: between any two steps of a scene. What
	// it writes before it notices goes where nobody can read it.
	there := func() {
		t.Helper()
		wait.Until(t, "the daemon to write to the file that is there", func() bool {
			var st unix.Stat_t
			err := unix.Lstat(all, &st)
			return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && output().Inode == st.Ino
		})
	}
	until := func(what string, do func() error) {
		t.Helper()
		wait.Until(t, what, func() bool { return do() == nil })
	}
	takeAway := func(path string) {
		t.Helper()
		until("a rename of "+path, func() error { return os.Rename(path, path+".away") })
	}
	putBack := func(path string) {
		t.Helper()
		until(path+" to be put back", func() error {
			os.RemoveAll(path)
			return os.Rename(path+".away", path)
		})
	}
	scenes := map[string]func(){
		"the position is torn": func() {
			for _, text := range []string{"", "{", strings.Repeat("\x00", 512), `{"inode": 1, "sum": 1}`} {
				d.kill()
				must(os.WriteFile(position, []byte(text), 0o600))
				d.run()
				wait.Until(t, "what is wrong to be said", func() bool { // another error can follow at once
					return strings.Contains(output().Forward.LastError, "position") || strings.Contains(d.said.String(), "position")
				})
			}
		},
		"the position is a directory": func() {
			d.kill()
			os.Remove(position)
			must(os.Mkdir(position, 0o700))
			d.run()
			wait.Until(t, "what is wrong to be said", func() bool { return strings.Contains(output().Forward.Error, "position") })
			hold()
			must(os.Remove(position))
		},
		"the directory goes and comes back": func() {
			takeAway(work)
			hold()
			must(os.WriteFile(filepath.Join(small, "x"), nil, 0o600))
			hold()
			putBack(work)
		},
		"a file is in the way of the directory": func() {
			takeAway(work)
			os.WriteFile(work, nil, 0o600) // unless a new one was made already
			hold()
			putBack(work)
		},
		"a directory is in the way of the file": func() {
			takeAway(all)
			if os.Mkdir(all, 0o755) != nil {
				return // a new one was made already
			}
			wait.Until(t, "what is wrong to be said", func() bool { return len(output().Errors) > 0 })
			hold()
			must(os.Remove(all))
		},
		"the file is truncated": func() { until("a truncation", func() error { return os.Truncate(all, 0) }); hold() },
		"the disk is full": func() {
			fill(t, filepath.Join(small, "ballast"))
			wait.Until(t, "the disk to refuse", func() bool { return output().Waiting > 0 || output().DiskLost > 0 })
			hold()
			must(os.Remove(filepath.Join(small, "ballast")))
		},
		"a start on a full disk": func() {
			fill(t, filepath.Join(small, "ballast"))
			d.kill()
			d.run()
			hold()
			must(os.Remove(filepath.Join(small, "ballast")))
		},
		"another authority":         func() { peer.renew(); hold(); peer.trust(); hold() },
		"no authority":              func() { must(os.Rename(peer.ca, peer.ca+".away")); d.kill(); d.run(); hold(); peer.trust() },
		"the peer ends connections": func() { peer.mode.Store(slam); hold(); peer.mode.Store(sane) },
		"the peer resets them":      func() { peer.mode.Store(reset); hold(); peer.mode.Store(sane) },
		"the peer reads nothing":    func() { peer.mode.Store(mute); hold(); peer.mode.Store(sane); peer.hangUp() },
		"the peer talks back":       func() { peer.mode.Store(babble); hold(); peer.mode.Store(sane) },
		"the clock begins in 1970":  func() { clock.set(1970); hold(); d.try("rotate"); hold(); clock.set(0) },
		"a start in 1970": func() {
			clock.set(1970)
			d.kill()
			d.run()
			hold()
			d.try("rotate")
			clock.set(0)
		},
		"the clock is a century ahead":  func() { clock.set(2099); hold(); d.try("rotate"); hold(); clock.set(0) },
		"rotations and reloads":         func() { d.try("rotate"); d.do("reload"); d.try("reopen"); hold() },
		"a rotated file is gone":        func() { d.try("rotate", "--output", all); removeRotated(t, work); hold() },
		"a link in the place of a file": func() { takeAway(all); os.Symlink("/dev/null", all); hold(); os.Remove(all) },
	}
	names := make([]string, 0, len(scenes))
	for name := range scenes {
		names = append(names, name)
	}
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	end := time.Now()
	if os.Getenv("LB_LONG") != "" {
		end = end.Add(time.Hour)
	}
	total, most := 0, 0
	for first := true; first || time.Now().Before(end); first = false {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			there() // whatever was done to it before
			before := d.said
			lines := strings.Count(before.String(), "\n")
			scenes[name]()
			marker := fmt.Sprintf("after %q %d", name, sent.Load())
			must(say(in, "<13>mark: "+marker))
			wait.Until(t, "a line after "+name, func() bool { return d.marked(marker) })
			said := d.said.String()
			if d.said == before {
				lines = strings.Count(said, "\n") - lines
			} else {
				lines = strings.Count(said, "\n")
			}
			total, most = total+1, max(most, lines)
			if lines > 20 {
				t.Errorf("of %s the daemon said %d lines:\n%s", name, lines, said)
			}
		}
	}
	t.Logf("%d scenes, %d lines sent; of none the daemon said more than %d lines", total, sent.Load(), most)
	for _, i := range []int{0, 3} {
		if o := d.status().Outputs[i]; o.Written+o.Waiting != o.Given || o.DiskLost+o.RingOverflow > 0 {
			t.Errorf("of an output that nothing happened to: %+v", o)
		}
	}
	there()
	must(say(in, "<13>mark: the end"))
	deadline := time.Now().Add(3 * time.Minute) // sessions end after ten seconds, and count five later
	for o := output(); o.Forward.Error != "" || len(o.Errors) > 0 || !peer.has("the end"); o = output() {
		if time.Now().After(deadline) {
			t.Fatalf("in the end: %+v, %+v", o, o.Forward)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// trickle sends lines at an easy pace.
func trickle(t *testing.T, in string, sent *atomic.Uint64, stop chan struct{}) {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	text := strings.Repeat("x", 400)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		if say(in, fmt.Sprintf("<13>app%d: number %d %s", n%7, n, text)) == nil {
			sent.Add(1)
		}
	}
}

func say(in, line string) error {
	c, err := net.Dial("unixgram", in)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, line)
	return err
}

// marked looks for a text among the marks. The other files are many, and compressed after a while.
func (d *daemon) marked(text string) bool {
	b, err := os.ReadFile(filepath.Join(d.dir, "marks.log"))
	return err == nil && bytes.Contains(b, []byte(text))
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}

func removeRotated(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "all-*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		os.Remove(name)
	}
}

// What an oddPeer does.
const (
	sane int32 = iota
	slam
	reset
	mute
	babble
)

// frameHead is what each line's frame begins with: the year is what the daemon's clock says.
var frameHead = regexp.MustCompile(`^<13>1 (20|1970-01-01T)`)

// An oddPeer takes frames over TLS, if it feels like it.
type oddPeer struct {
	t       *testing.T
	address string
	ca      string // a file
	mode    atomic.Int32
	config  atomic.Pointer[tls.Config]

	mu    sync.Mutex
	pem   []byte
	marks map[string]bool
	conns map[net.Conn]bool
}

func newOddPeer(t *testing.T) *oddPeer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &oddPeer{t: t, address: l.Addr().String(), ca: filepath.Join(t.TempDir(), "ca.pem"), conns: make(map[net.Conn]bool), marks: make(map[string]bool)}
	p.renew()
	p.trust()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); p.hangUp() })
	return p
}

// renew makes a new certificate, which is its own authority.
func (p *oddPeer) renew() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.mu.Unlock()
	p.config.Store(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	p.hangUp()
}

// trust puts its certificate where the daemon looks for its authority.
func (p *oddPeer) trust() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.WriteFile(p.ca+".new", p.pem, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.ca+".new", p.ca); err != nil {
		p.t.Fatal(err)
	}
}

func (p *oddPeer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *oddPeer) serve(raw net.Conn) {
	p.mu.Lock()
	p.conns[raw] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, raw)
		p.mu.Unlock()
		raw.Close()
	}()
	c := tls.Server(raw, p.config.Load())
	in := bufio.NewReader(c)
	for {
		switch p.mode.Load() {
		case slam:
			c.Close()
			return
		case reset:
			raw.(*net.TCPConn).SetLinger(0)
			return
		case mute:
			raw.Read(make([]byte, 1)) // and nothing more of it is understood
			return
		case babble:
			io.WriteString(c, "what? ")
		}
		count, err := in.ReadString(' ')
		if err != nil {
			c.Close()
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
		if !frameHead.Match(b) && !(strings.HasPrefix(string(b), "<44>1 ") && strings.Contains(string(b), " lost ")) { // or a line in the place of lost ones
			p.t.Errorf("a frame reads %.80q", b)
		}
		if _, text, ok := strings.Cut(string(b), " mark - - - "); ok {
			p.mu.Lock()
			p.marks[text] = true
			p.mu.Unlock()
		}
	}
}

// has says whether a mark came.
func (p *oddPeer) has(mark string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.marks[mark]
}
