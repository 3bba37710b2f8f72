package syslog_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// needRELP skips a test where rsyslog has no RELP.
func needRELP(t *testing.T) {
	t.Helper()
	if found, err := filepath.Glob("/usr/lib/*/rsyslog/omrelp.so"); err != nil || len(found) == 0 {
		tape.Skipf(t, "rsyslog-relp is not installed: test/setup installs it")
	}
}

// relpClient sends numbered messages as fast as a window allows and counts those that are acknowledged, as a library would: what is not acknowledged
// when the connection ends is sent again over the next one.
type relpClient struct {
	address      string
	window       int
	acknowledged atomic.Int64 // messages 0 to this number are
	sent         int          // the most that was ever sent
}

// run sends until ctx is done, or last messages are acknowledged, over one connection. It returns why that ended.
func (r *relpClient) run(ctx context.Context, last int) error {
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	in := bufio.NewReader(c)
	offers := "relp_version=0\ncommands=syslog"
	fmt.Fprintf(c, "1 open %d %s\n", len(offers), offers)
	for range 4 { // the lines of the response
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
	}
	next, txnr, answered := int(r.acknowledged.Load()), 2, 2
	var frames []byte
	for int(r.acknowledged.Load()) < last {
		frames = frames[:0]
		for txnr-answered < r.window && next < last {
			line := flood.Line([]byte("<134>Nov 21 03:04:05 flood[42]: "), next, flood.TextSize(200))
			frames = fmt.Appendf(frames, "%d syslog %d %s\n", txnr, len(line), line)
			next++
			txnr++
		}
		r.sent = max(r.sent, next)
		if _, err := c.Write(frames); err != nil {
			return err
		}
		for first := true; answered < txnr && (first || in.Buffered() > 0); first = false {
			text, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if want := fmt.Sprintf("%d rsp 6 200 OK\n", answered); text != want {
				return fmt.Errorf("the response is %q; want %q", text, want)
			}
			answered++
			r.acknowledged.Add(1)
		}
	}
	return ctx.Err()
}

// TestRELPKills kills syslogd again and again under load. Each line that it has acknowledged is in its file, and with the client's repetitions none is
// missing at the end; those that are there twice are not more than a window for each kill.
func TestRELPKills(t *testing.T) {
	d := start(t, "listen: [relp://127.0.0.1:PORT]\noutputs: [{file: DIR/lb.log, rotate: {size: 3MB, every: day}}]\n")
	client := &relpClient{address: d.addr(), window: 200}
	const kills, each = 5, 4000
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var sender sync.WaitGroup
		before := client.acknowledged.Load()
		sender.Go(func() {
			for ctx.Err() == nil {
				_ = client.run(ctx, 1<<30)
			}
		})
		wait.Until(t, "acknowledgements", func() bool { return client.acknowledged.Load() > before+each })
		d.kill()
		cancel()
		sender.Wait()
		known := int(client.acknowledged.Load())
		if l := account(t, d.dir, "lb", 0, max(known, client.sent), 200); l.lines-l.twice < known {
			t.Fatalf("%d lines are acknowledged, and %d are in the files", known, l.lines-l.twice)
		}
		d.run()
	}
	all := client.sent
	if err := client.run(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	l := account(t, d.dir, "lb", 0, all, 200)
	if l.lost > 0 || l.twice > kills*client.window || l.torn > kills || len(l.other) > 0 {
		t.Errorf("%+v of %d lines", l, all)
	}
	t.Logf("%d lines over %d kills, %d of them twice, %d torn", all, kills, l.twice, l.torn)
	wait.Until(t, "the last response to be counted, which its client may have before", func() bool { in := d.status().Inputs[0]; return in.Acknowledged == in.Received })
	if in := d.status().Inputs[0]; in.Unacknowledged+in.BadFrames > 0 {
		t.Errorf("%+v", in)
	}
}

// TestRELPFromRsyslog has a real rsyslogd send what is written to a file with omrelp, while syslogd is killed, restarted and reloaded and rotates, and
// rsyslogd is restarted. Nothing is missing, and the order stays: after a step back the same lines come again.
func TestRELPFromRsyslog(t *testing.T) {
	needRELP(t)
	d := start(t, `
listen: [relp://127.0.0.1:PORT]
outputs: [{file: DIR/lb.log, rotate: {size: 400kB}}]
`)
	r := rsyslogWith(t, d.port, `
global(workDirectory="DIR")
main_queue(queue.timeoutshutdown="60000" queue.timeoutactioncompletion="60000") # it drops what it has read and not sent by then
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="PORT")
module(load="imfile" mode="inotify")
module(load="omrelp")
input(type="imfile" file="DIR/in.txt" tag="flood[42]:" facility="local0" severity="info" reopenOnTruncate="off" persistStateInterval="50")
action(type="omrelp" target="127.0.0.1" port="TARGET" timeout="5" windowSize="500" action.resumeRetryCount="-1" action.resumeInterval="1")
`)
	r.start()
	in, err := os.OpenFile(filepath.Join(r.dir, "in.txt"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	n := 0
	write := func(count int) {
		t.Helper()
		var lines []byte
		for range count {
			lines = append(flood.Line(lines, n, flood.TextSize(200)), '\n')
			n++
		}
		if _, err := in.Write(lines); err != nil {
			t.Fatal(err)
		}
	}
	arrived := func() {
		t.Helper()
		wait.Until(t, fmt.Sprintf("line %d", n-1), func() bool { return d.find(fmt.Sprintf(" n=%d ", n-1)) })
	}
	const round, kills, window = 500, 2, 500
	changes := []func(){d.kill, d.stop, func() { d.do("reload") }, func() { r.end(syscall.SIGTERM); r.start() }, d.kill}
	for i, change := range changes {
		write(round)
		wait.Until(t, "some of them", func() bool { return d.find(fmt.Sprintf(" n=%d ", i*round+round/10)) })
		change()
		if d.cmd.ProcessState != nil {
			d.run()
		}
	}
	write(round)
	arrived()
	l := account(t, d.dir, "lb", 0, n, 200)
	// A SIGKILL in the middle of a write leaves half a line, which was not acknowledged and comes again.
	if l.lost > 0 || l.torn > kills || len(l.other) > 0 {
		t.Errorf("of %d lines are %d lost, %d torn; others: %.3q", n, l.lost, l.torn, l.other)
	}
	if l.twice > len(changes)*window { // what was sent and not acknowledged when a session ended
		t.Errorf("%d lines are there twice", l.twice)
	}
	d.stop()
	inSteps(t, filesInOrder(t, d.dir), n)
	t.Logf("%d lines, %d of them twice, %d torn", n, l.twice, l.torn)
}

// inSteps holds that the files have the lines 0 to n-1 in this order, some of them again after a step back, and some torn that come again.
func inSteps(t *testing.T, files []string, n int) {
	t.Helper()
	number := regexp.MustCompile(` flood\[42\]: n=(\d+) .* end\n$`)
	next := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			found := number.FindStringSubmatch(line)
			if found == nil {
				continue // torn: account counts these
			}
			k, _ := strconv.Atoi(found[1])
			if k > next {
				t.Fatalf("%s: after line %d comes line %d", file, next-1, k)
			}
			next = max(next, k+1)
		}
	}
	if next != n {
		t.Errorf("%d lines are there of %d", next, n)
	}
}

// find says whether a text is in one of the files.
func (d *daemon) find(text string) bool {
	files, err := filepath.Glob(filepath.Join(d.dir, "lb*"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// TestRELPOnAFullDisk runs TestRELPOnASmallDisk where it may mount one.
func TestRELPOnAFullDisk(t *testing.T) { inMountNamespace(t, "TestRELPOnASmallDisk") }

// TestRELPOnASmallDisk fills a disk. No line is acknowledged that is not in the file, none is dropped, and none is given twice while the client waits;
// when there is room everything goes on.
func TestRELPOnASmallDisk(t *testing.T) {
	dir := os.Getenv("SYSLOGD_MOUNT")
	if dir == "" {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, "listen: [relp://127.0.0.1:PORT]\noutputs: [{file: "+dir+"/lb.log, rotate: never}]\n")
	client := &relpClient{address: d.addr(), window: 100}
	const last = 20_000
	ended := make(chan error)
	go func() { ended <- client.run(t.Context(), last) }()
	wait.Until(t, "the disk to be full", func() bool { return len(d.status().Outputs[0].Errors) > 0 })
	if err := d.try("flush"); err == nil {
		t.Error("flush says that all is well")
	}
	known := uint64(client.acknowledged.Load())
	full := d.status()
	if known > full.Outputs[0].Written || full.Outputs[0].Waiting > uint64(client.window) {
		t.Errorf("%d lines are acknowledged; %+v", known, full.Outputs[0])
	}
	// Another client is served as far as its session goes, and no further.
	other := &relpClient{address: d.addr(), window: 1}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := other.run(ctx, 1); err == nil || other.acknowledged.Load() > 0 {
		t.Errorf("%v, %d", err, other.acknowledged.Load())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	d.do("flush")
	s := d.status()
	d.stop()
	if l := account(t, dir, "lb", 0, last, 200); l.lost+l.torn > 0 || l.twice > 1 || s.Total.DiskLost+s.Total.RingOverflow > 0 || len(l.other) > 0 {
		t.Errorf("%+v, %+v", l, s.Total)
	}
}

// rsyslogWith is a rsyslogd with another configuration, in which DIR, PORT and TARGET stand for what it uses. It must listen on PORT.
func rsyslogWith(t *testing.T, target int, config string) *rsyslog {
	t.Helper()
	r := newRsyslog(t)
	config = strings.NewReplacer("DIR", r.dir, "PORT", strconv.Itoa(r.port), "TARGET", strconv.Itoa(target)).Replace(config)
	if err := os.WriteFile(filepath.Join(r.dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// imrelp is a rsyslogd that takes RELP and acknowledges what is written: without a queue it does what it receives at once.
const imrelp = `
global(workDirectory="DIR")
main_queue(queue.type="Direct")
module(load="imrelp")
input(type="imrelp" address="127.0.0.1" port="PORT")
template(name="text" type="string" string="x %app-name%[%procid%]: %msg%\n")
action(type="omfile" file="DIR/out.log" template="text")
`

// TestRELPToRsyslog sends to a real rsyslogd, while it and syslogd are restarted and killed and the file is rotated. Nothing is missing, the order stays but
// for what comes twice, and that is no more than a batch for each time.
func TestRELPToRsyslog(t *testing.T) {
	needRELP(t)
	peer := rsyslogWith(t, 0, imrelp)
	d := start(t, `
listen: [relp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    rotate: {size: 300kB, keep: 1, compress: zstd}
    forward: {to: relp://127.0.0.1:`+strconv.Itoa(peer.port)+`, batch: {lines: 500}}
`)
	client := &relpClient{address: d.addr(), window: 500}
	n := 0
	write := func(count int) {
		t.Helper()
		n += count
		if err := client.run(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	peer.start()
	const round = 3000
	for _, change := range []func(){
		func() { peer.end(syscall.SIGTERM); peer.start() },
		func() { peer.end(syscall.SIGKILL); peer.start() },
		func() { d.kill(); d.run() },
		func() { d.stop(); d.run() },
		func() { peer.end(syscall.SIGKILL); d.kill(); d.run(); peer.start() },
	} {
		before := size(peer.file())
		write(round)
		wait.Until(t, "rsyslogd to write", func() bool { return size(peer.file()) > before+10_000 })
		change()
	}
	write(round)
	wait.Until(t, "all lines to be acknowledged", func() bool { f := d.status().Outputs[0].Forward; return f.Behind == 0 && f.Error == "" })
	peer.end(syscall.SIGTERM)
	lines, again := numbered(t, peer.file(), n)
	if again > 5*500 {
		t.Errorf("%d lines came again", again)
	}
	t.Logf("%d lines, %d of them again", lines, again)
	if f := d.status().Outputs[0].Forward; f.Missed != 0 || f.GivenUp != 0 || f.Refused != 0 {
		t.Errorf("%+v", f)
	}
}

// numbered reads a file that has the lines 0 to n-1 in this order, some of them again after a step back. It returns how many there are, and how many of
// them again.
func numbered(t *testing.T, file string, n int) (lines, again int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for line := range strings.Lines(string(text)) {
		lines++
		_, rest, _ := strings.Cut(line, " flood[42]: n=")
		number, _, _ := strings.Cut(rest, " ")
		k, err := strconv.Atoi(number)
		if err != nil || !strings.HasSuffix(line, " end\n") {
			t.Fatalf("a line reads %q", line)
		}
		if k > next {
			t.Fatalf("after line %d comes line %d", next-1, k)
		}
		if k == next {
			next++
		}
	}
	if next != n {
		t.Errorf("%d lines arrived of %d", next, n)
	}
	return lines, lines - next
}

// TestRELPOverTLS sends through a rsyslogd that takes RELP over TLS and sends it on over TLS, so that each side of both is once ours and once librelp's.
func TestRELPOverTLS(t *testing.T) {
	needRELP(t)
	last := configure(t, "listen: [relp+tls://127.0.0.1:PORT]\ntls: {cert: DIR/cert.pem, key: DIR/cert.pem}\noutputs: [{file: DIR/lb.log, rotate: never}]\n")
	cert := filepath.Join(last.dir, "cert.pem")
	if _, err := rig.WriteCertificate(cert, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	last.run()
	secure := fmt.Sprintf(`tls="on" tls.cacert=%q tls.mycert=%q tls.myprivkey=%q`, cert, cert, cert)
	middle := rsyslogWith(t, last.port, `
global(workDirectory="DIR")
main_queue(queue.type="Direct")
module(load="imrelp" tls.tlslib="openssl")
module(load="omrelp" tls.tlslib="openssl")
input(type="imrelp" address="127.0.0.1" port="PORT" `+secure+`)
action(type="omrelp" target="127.0.0.1" port="TARGET" `+secure+` tls.authmode="certvalid" windowSize="2000" template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1" action.resumeInterval="1")
`)
	first := start(t, `
listen: [relp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    forward: {to: relp+tls://127.0.0.1:`+strconv.Itoa(middle.port)+`, ca: `+cert+`}
`)
	middle.start()
	client := &relpClient{address: first.addr(), window: 100}
	const n = 2000
	if err := client.run(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the last line", func() bool { return last.find(fmt.Sprintf(" n=%d ", n-1)) })
	account(t, last.dir, "lb", 0, n, 200).balanced(t)
	wait.Until(t, "the acknowledgements", func() bool {
		f := first.status().Outputs[0].Forward
		return f.Confirmed == n && f.Behind == 0 && f.Error == ""
	})
}

// A moodyRELP takes RELP, and ends each session in another bad way: it closes before or after it has taken a message, without its response, with half
// of it or with what is none, it stalls, or it says that it ends. A session has at most so many messages.
type moodyRELP struct {
	t        *testing.T
	listener net.Listener

	// mu guards the fields below.
	mu       sync.Mutex
	random   *rand.Rand
	numbers  []int
	sessions int
}

func newMoodyRELP(t *testing.T, most int) *moodyRELP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &moodyRELP{t: t, listener: l, random: rand.New(rand.NewPCG(3, 4))}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.sessions++
			patience, mood := r.random.IntN(most), 1+r.random.IntN(6)
			r.mu.Unlock()
			go r.serve(c, patience, mood)
		}
	}()
	return r
}

// serve ends the session at message number patience.
func (r *moodyRELP) serve(c net.Conn, patience, mood int) {
	defer c.Close()
	in, out := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		var words [3]string
		for i := range words {
			word, err := in.ReadString(' ')
			if err != nil {
				return
			}
			words[i] = strings.TrimSuffix(word, " ")
		}
		size, err := strconv.Atoi(words[2])
		data := make([]byte, size+1)
		if err == nil {
			_, err = io.ReadFull(in, data)
		}
		if err != nil {
			return // "close 0", which has no blank after it, or syslogd was killed
		}
		if words[1] == "open" {
			fmt.Fprintf(out, "%s rsp 37 200 OK\nrelp_version=0\ncommands=syslog\n", words[0])
			continue
		}
		if patience--; patience < 0 {
			out.Flush()
			switch mood {
			case 1: // it has not taken it
			case 2:
				r.take(data)
			case 3:
				r.take(data)
				io.WriteString(c, words[0]+" rsp 6 20")
			case 4:
				io.WriteString(c, words[0]+" rsp 7 200 OK\n")
			case 5:
				io.WriteString(c, "0 serverclose 0\n")
			case 6:
				r.take(data)
				io.WriteString(c, "0 stall 0\n")
				time.Sleep(50 * time.Millisecond)
			}
			return
		}
		r.take(data)
		fmt.Fprintf(out, "%s rsp 6 200 OK\n", words[0])
	}
}

func (r *moodyRELP) take(data []byte) {
	n := numberIn(data)
	if n < 0 {
		r.t.Errorf("a message reads %q", data)
	}
	r.mu.Lock()
	r.numbers = append(r.numbers, n)
	r.mu.Unlock()
}

func (r *moodyRELP) taken() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.numbers)
}

// TestRELPReceiverThatMisbehaves kills syslogd three times while lines come, files rotate and the receiver is in its moods. All lines arrive, in order; each
// session and each kill costs at most a batch that comes twice.
func TestRELPReceiverThatMisbehaves(t *testing.T) {
	count := 6000
	if os.Getenv("LB_LONG") != "" {
		count = 1_000_000
	}
	r := newMoodyRELP(t, max(1000, count/100))
	const batch = 500
	d := start(t, `
listen: [relp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    rotate: {size: 300kB, keep: 3, compress: zstd}
    forward: {to: relp://`+r.listener.Addr().String()+`, backoff: 20ms, batch: {lines: `+strconv.Itoa(batch)+`, age: 20ms}}
`)
	client := &relpClient{address: d.addr(), window: 200}
	var sender sync.WaitGroup
	sender.Go(func() {
		for client.acknowledged.Load() < int64(count) && t.Context().Err() == nil {
			_ = client.run(t.Context(), count) // until syslogd is killed
		}
	})
	const kills = 3
	for range kills {
		before := len(r.taken())
		wait.Until(t, "lines to arrive", func() bool {
			return len(r.taken()) > before+count/20 || client.acknowledged.Load() >= int64(count) // that was quick
		})
		d.kill()
		d.run()
	}
	sender.Wait()
	last := 0
	for { // as long as it goes on
		last = len(r.taken())
		f := d.status().Outputs[0].Forward
		if f.Behind == 0 && f.Sent > 0 {
			break
		}
		wait.Until(t, "the receiver to get on", func() bool { return len(r.taken()) > last || d.status().Outputs[0].Forward.Behind == 0 })
	}
	f := d.status().Outputs[0].Forward
	if f.Missed != 0 || f.GivenUp != 0 || f.Refused != 0 || f.Sent != f.Confirmed+f.Again {
		t.Errorf("%+v", f)
	}
	// The file may have lines twice, which were not acknowledged when syslogd was killed: the first of each counts.
	got, next := r.taken(), 0
	for _, n := range got {
		if n > next {
			t.Fatalf("after line %d comes line %d", next-1, n)
		}
		if n == next {
			next++
		}
	}
	r.mu.Lock()
	sessions := r.sessions
	r.mu.Unlock()
	if twice := len(got) - next; next != count || twice > sessions*batch+kills*(batch+client.window) {
		t.Errorf("%d of %d lines arrived, %d came twice", next, count, twice)
	}
	t.Logf("%d lines over %d sessions and %d kills, %d came twice", count, sessions, kills, len(got)-next)
}

// TestRELPWhenSyncsFail has the disk refuse to sync, the first times of each thread: with sync: always such lines are not acknowledged, and come again.
func TestRELPWhenSyncsFail(t *testing.T) {
	d := configure(t, "listen: [relp://127.0.0.1:PORT]\noutputs: [{file: DIR/lb.log, sync: always, rotate: never}]\n")
	strace := tape.Require(t, "strace")
	d.command = func() *exec.Cmd { // -D: what is started is syslogd, and not strace
		return exec.Command(strace, "-D", "-f", "-q", "-o", filepath.Join(d.dir, "trace"), "-e", "trace=fsync,fdatasync",
			"-e", "inject=fsync,fdatasync:error=EIO:when=1..3", binary(), "-f", d.config)
	}
	d.run()
	client := &relpClient{address: d.addr(), window: 10}
	const last = 100
	sessions := 0
	wait.Until(t, "all acknowledgements", func() bool {
		sessions++
		return client.run(t.Context(), last) == nil
	})
	wait.Until(t, "the last response to be counted, which its client may have before", func() bool { return d.status().Inputs[0].Acknowledged >= last })
	s := d.status()
	d.kill() // the sync of an orderly end may fail as well
	if in := s.Inputs[0]; in.Unacknowledged == 0 || in.Acknowledged != last || sessions < 2 || in.Received != in.Acknowledged+in.Unacknowledged {
		t.Errorf("%d sessions, %+v", sessions, in)
	}
	if l := account(t, d.dir, "lb", 0, last, 200); l.lost+l.torn > 0 || uint64(l.twice) > s.Inputs[0].Unacknowledged {
		t.Errorf("%+v; %d were not acknowledged", l, s.Inputs[0].Unacknowledged)
	}
}
