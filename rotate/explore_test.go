package rotate_test

import (
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/queue"
)

// A log that is written, rotated, compressed and sent to a peer, as small as it can be: some lines, some rotations, and a process that is killed at
// any moment and comes back. TestExplore takes every order of the steps, over real files, and kills the process between any two of them and in the
// middle of those that change several files. A state is known by what is in the files and by where the process is; one that was met before is not
// gone on from. The steps:
//
//	write                   one line
//	rotate                  Writer.Rotate
//	move, reopen            logrotate's rename, to a name that is one of ours; Writer.Reopen
//	tidy                    the janitor goes on to the middle of its next compression, or to its end
//	send                    queue.Read: one line, to the peer
//	takes, confirm          the peer has everything that was sent; queue.Confirm
//	peer dies               with what it has not confirmed: queue.Rewind
//	killed, ... killed at   the process is, and the next one begins: Open, queue.Begin
//
// In each state:
//
//   - each line that was written is in one place, in order: the plain file and the compressed one of the same name are one place
//   - what the peer has not confirmed is there, whatever retention removes
//   - from here on, with no more trouble, the peer gets every line that it has not confirmed, in order, and no other; then each file is compressed

// errorPlanted is one that the exploration has to find.
type errorPlanted int

const (
	noError errorPlanted = iota
	confirmsWhatIsSent
	neverRewinds
	holdsNothing
	removesFirst
	storesNothing
	confirmsTooMuch
)

// small is what is explored.
type small struct {
	naming                  rotate.Naming
	keep                    int
	lines, rotations, kills int // rotations are moves, too
	planted                 errorPlanted
}

// run is one log and one process after the other.
type run struct {
	small
	path  string
	clock time.Time
	w     *rotate.Still
	q     *queue.Queue

	// What has happened.
	written, rotated, killed int
	fresh                    int  // lines in the current file
	moved                    bool // away from its path
	next                     int  // the line that is sent next
	confirmed                int
	taken                    int // lines that the peer has, if it has said so and that was not confirmed yet
	takenAt                  rotate.Position

	steps, fatal int // of a rotation: how many it has made, and at which the process is killed; 0: at none

	at   chan string // where the janitor is; "": it has ended
	goOn chan bool   // whether it lives on
	// Owned by the janitor while it goes on.
	tidying   string // where it stops; "": it is not at work
	stopAlive string // where it is killed
	source    uint64 // the inode of what it compresses
	tidied    error

	plain map[uint64]string // what compressed files hold
}

// killedHere is the panic that stands for SIGKILL.
type killedHere struct{}

func (r *run) step(name string) {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "rotate":
		if r.steps++; r.steps == r.fatal {
			panic(killedHere{})
		}
	case "compress":
		r.pause(name)
	}
}

// pause is where the janitor waits for its turn.
func (r *run) pause(name string) {
	if name == "compress: rename" && r.planted == removesFirst {
		places, _ := rotate.Places(r.path)
		for _, p := range places {
			if p.Inode == r.source {
				_ = os.Remove(filepath.Join(filepath.Dir(r.path), p.File))
			}
		}
	}
	r.at <- name
	if !<-r.goOn {
		runtime.Goexit()
	}
}

// compress is the Compressor. What is in a compressed file does not matter, so it costs little.
func (r *run) compress(_ context.Context, dst, src *os.File, _ rotate.Compression) error {
	info, err := src.Stat()
	if err != nil {
		return err
	}
	r.source = info.Sys().(*syscall.Stat_t).Ino
	r.pause("compress: copy")
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(dst)
	_, err = io.Copy(z, src)
	return errors.Join(err, z.Close())
}

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, flate.NoCompression) // the level is one
	return z
}}

// start begins a process.
func (r *run) start() error {
	hold := int64(1 << 20)
	if r.planted == holdsNothing {
		hold = 1
	}
	w, err := rotate.OpenStill(r.path, rotate.Options{
		Naming: r.naming, Keep: r.keep, Hold: hold, Compress: rotate.Gzip, Compressor: r.compress,
		Now: func() time.Time { r.clock = r.clock.Add(time.Second); return r.clock },
	}, r.step)
	if err != nil {
		return err
	}
	r.w, r.q = w, &queue.Queue{File: w.Writer, Log: slog.New(slog.DiscardHandler), To: "peer"}
	if err := r.q.Begin(); err != nil {
		return err
	}
	r.q.Bound(1)
	r.next, r.taken = r.confirmed, r.confirmed
	return nil
}

// kill ends the process.
func (r *run) kill() {
	if r.tidying != "" {
		r.goOn <- false
		r.tidying = <-r.at
	}
	r.w.Kill()
	_ = r.q.Close() // has nothing to store
}

func (r *run) restart() error {
	r.kill()
	r.killed++
	r.moved = false
	if err := r.start(); err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	text, err := os.ReadFile(r.path)
	r.fresh = len(text)
	return err
}

// mostSteps bounds the steps of a rotation: three, and with numbers a stamp and a shift for each file, or for two of one number.
func (s small) mostSteps() int {
	if s.naming == rotate.Dated {
		return 3
	}
	return 4 + 2*s.rotations
}

// may are the steps that can come next. Some turn out to be none.
func (r *run) may() (list []string) {
	add := func(ok bool, step string) {
		if ok {
			list = append(list, step)
		}
	}
	add(r.written < r.lines, "write")
	add(r.rotated < r.rotations && r.fresh > 0, "rotate")
	add(r.rotated < r.rotations && r.fresh > 0 && !r.moved, "move")
	add(r.moved, "reopen")
	add(true, "tidy")
	add(true, "send")
	add(r.next > r.taken, "takes")
	add(r.taken > r.confirmed, "confirm")
	add(r.next > r.confirmed, "peer dies")
	if r.killed == r.kills {
		return list
	}
	add(true, "killed")
	add(r.written < r.lines, "write, killed at half")
	for i := range r.mostSteps() {
		add(r.rotated < r.rotations && r.fresh > 0, fmt.Sprintf("rotate, killed at %d", i+1))
	}
	add(r.tidying == "compress: rename", "tidy, killed at compress: remove")
	add(r.tidying == "compress: rename", "tidy, killed at compress: done")
	return list
}

// do does a step. ok is false if it turned out to be none.
func (r *run) do(step string) (ok bool, err error) {
	step, where, fatal := strings.Cut(step, ", killed at ")
	switch step {
	case "write":
		return true, r.write(fatal)
	case "rotate":
		return r.rotate(where)
	case "move":
		return true, r.move()
	case "reopen":
		_, err = r.w.Reopen()
		r.moved, r.fresh = false, 0
	case "tidy":
		r.stopAlive = where
		if err = r.tidy(); fatal && err == nil {
			err = r.restart()
		}
		return true, err
	case "send":
		return true, r.send()
	case "takes":
		r.taken, r.takenAt = r.next, r.q.Position()
	case "confirm":
		r.confirm()
	case "peer dies":
		if r.next, r.taken = r.confirmed, r.confirmed; r.planted != neverRewinds {
			err = r.q.Rewind()
		}
	case "killed":
		err = r.restart()
	}
	return true, err
}

// half is what a killed process leaves of a line.
const half = "x"

func (r *run) write(killed bool) error {
	if !killed {
		n, err := fmt.Fprintf(r.w, "%d\n", r.written)
		r.written, r.fresh = r.written+1, r.fresh+n
		return errors.Join(err, r.touch())
	}
	name, err := r.current()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(half)
	return errors.Join(err, f.Close(), r.touch(), r.restart())
}

// current is the path of the file that the process writes to.
func (r *run) current() (string, error) {
	places, err := rotate.Places(r.path)
	i := slices.IndexFunc(places, func(p rotate.Place) bool { return p.Inode == r.w.Current() })
	if err != nil || i < 0 {
		return "", fmt.Errorf("the current file has no name: %w", err)
	}
	return filepath.Join(filepath.Dir(r.path), places[i].File), nil
}

// touch sets the time of the current file by our clock, which is ahead of the kernel's, however long a step takes.
func (r *run) touch() error {
	name, err := r.current()
	if err != nil {
		return err
	}
	r.clock = r.clock.Add(time.Second)
	return os.Chtimes(name, r.clock, r.clock)
}

// move renames as logrotate does.
func (r *run) move() error {
	r.rotated, r.moved = r.rotated+1, true
	if err := r.touch(); err != nil {
		return err
	}
	if r.naming == rotate.Dated {
		r.clock = r.clock.Add(time.Second)
		return os.Rename(r.path, filepath.Join(filepath.Dir(r.path), "app-"+r.clock.UTC().Format("2006-01-02T15-04-05.000")+".log"))
	}
	for n := r.rotations; n > 0; n-- {
		for _, form := range []string{"", ".gz"} {
			if err := os.Rename(fmt.Sprintf("%s.%d%s", r.path, n, form), fmt.Sprintf("%s.%d%s", r.path, n+1, form)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Rename(r.path, r.path+".1")
}

func (r *run) rotate(killed string) (ok bool, err error) {
	r.steps, r.fatal = 0, 0
	if killed != "" {
		if _, err := fmt.Sscan(killed, &r.fatal); err != nil {
			return false, err
		}
	}
	defer func() {
		if p := recover(); p == nil {
			return
		} else if _, is := p.(killedHere); !is {
			panic(p)
		}
		r.rotated++ // or not; it counts as a try
		ok, err = true, r.restart()
	}()
	if err = r.w.Rotate(); err != nil || killed != "" {
		return false, err // it has fewer steps than that
	}
	r.rotated, r.fresh, r.moved = r.rotated+1, 0, false
	return true, nil
}

// tidy has the janitor go on to where it stops next.
func (r *run) tidy() error {
	if r.tidying == "" {
		go func() {
			defer func() { r.at <- "" }()
			r.tidied = r.w.Pass()
		}()
	} else {
		r.goOn <- true
	}
	for r.tidying = <-r.at; r.tidying != ""; r.tidying = <-r.at {
		if r.tidying == r.stopAlive || r.tidying == "compress: copy" || r.tidying == "compress: rename" {
			return nil
		}
		r.goOn <- true
	}
	return r.tidied
}

func (r *run) send() error {
	text, err := r.q.Read()
	switch line := string(text); {
	case err != nil:
		return err
	case line == half+"\n", line == half:
	case line == fmt.Sprintf("%d\n", r.next):
		r.next++
	case line != "":
		return fmt.Errorf("sent is %q, and line %d comes next", line, r.next)
	}
	if r.planted == confirmsWhatIsSent {
		r.q.Confirm(r.q.Position())
	}
	return nil
}

func (r *run) confirm() {
	stored := r.path + queue.Suffix
	before, err := os.ReadFile(stored)
	if r.planted == confirmsTooMuch {
		r.takenAt = r.q.Position()
	}
	r.q.Confirm(r.takenAt)
	r.confirmed = r.taken
	if err == nil && r.planted == storesNothing {
		_ = os.WriteFile(stored, before, 0o600)
	}
}

// content is what a place holds.
func (r *run) content(p rotate.Place) (string, error) {
	if text, ok := r.plain[p.Inode]; ok {
		return text, nil
	}
	f, err := os.Open(filepath.Join(filepath.Dir(r.path), p.File))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if p.Form == rotate.None {
		text, err := io.ReadAll(f)
		return string(text), err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	if err == nil {
		r.plain[p.Inode] = string(text)
	}
	return string(text), err
}

// look checks the files, and tells this state from others. While the janitor waits in the middle of a compression, retention goes on: where there is
// any, a file may go between two looks.
func (r *run) look() (print string, err error) {
	for {
		print, err = r.lookOnce()
		if r.keep == 0 || !errors.Is(err, fs.ErrNotExist) {
			return print, err
		}
	}
}

func (r *run) lookOnce() (print string, err error) {
	places, err := rotate.Places(r.path)
	if err != nil {
		return "", err
	}
	var b, all strings.Builder
	stored, err := queue.Load(r.path + queue.Suffix)
	if err != nil || stored == nil {
		return "", fmt.Errorf("no position is stored: %w", err)
	}
	now := r.q.Position()
	last := rotate.Place{}
	text := ""
	for i, p := range places {
		fmt.Fprintf(&b, "%s %v ", p.Form, p.Unfinished)
		if p.Inode == r.w.Current() {
			b.WriteString("current ")
		}
		if p.Inode == stored.Inode {
			fmt.Fprintf(&b, "stored %d ", stored.Offset)
		}
		if p.Inode == now.Inode {
			fmt.Fprintf(&b, "read %d ", now.Offset)
		}
		if p.Inode == r.takenAt.Inode && r.taken > r.confirmed {
			fmt.Fprintf(&b, "taken %d ", r.takenAt.Offset)
		}
		if r.tidying != "" && p.Inode == r.source {
			b.WriteString(r.tidying)
		}
		if p.Unfinished {
			continue
		}
		here, err := r.content(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.File, err)
		}
		if i > 0 && p.Name == last.Name {
			if here != text {
				return "", fmt.Errorf("%s holds %q, and %s %q", p.File, here, last.File, text)
			}
			continue
		}
		last, text = p, here
		all.WriteString(here)
		if here != "" && !strings.HasSuffix(here, "\n") {
			all.WriteByte('\n') // half a line in a file that was moved away: nobody ends it
		}
		fmt.Fprintf(&b, "%q\n", here)
	}
	fmt.Fprint(&b, r.written, r.rotated, r.killed, r.next, r.confirmed, r.taken, r.moved)
	return b.String(), r.whole(all.String())
}

// whole checks the lines of all files.
func (r *run) whole(text string) error {
	first, want := -1, -1
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == half || line == "" {
			continue
		}
		var n int
		if _, err := fmt.Sscan(line, &n); err != nil {
			return fmt.Errorf("a line reads %q", line)
		}
		if first < 0 {
			first, want = n, n
		}
		if n != want {
			return fmt.Errorf("line %d comes where line %d should, in %q", n, want, text)
		}
		want++
	}
	if first < 0 {
		first, want = r.written, r.written
	}
	switch {
	case want != r.written:
		return fmt.Errorf("%d lines were written, and the files hold %q", r.written, text)
	case first > 0 && (r.keep == 0 || first > r.confirmed):
		return fmt.Errorf("lines before %d are gone, and the peer has confirmed %d", first, r.confirmed)
	}
	return nil
}

// finish goes on without trouble.
func (r *run) finish() error {
	if r.moved {
		if _, err := r.do("reopen"); err != nil {
			return err
		}
	}
	for tries := 0; r.next < r.written; tries++ {
		if tries > 4*(r.lines+r.rotations+1) {
			return fmt.Errorf("line %d is never sent", r.next)
		}
		if err := r.send(); err != nil {
			return err
		}
	}
	for at := (rotate.Position{}); at != r.q.Position(); { // what is half, and on to the current file
		at = r.q.Position()
		if err := r.send(); err != nil {
			return err
		}
	}
	r.taken, r.takenAt = r.next, r.q.Position()
	r.confirm()
	r.stopAlive = ""
	for r.tidying != "" {
		if err := r.tidy(); err != nil {
			return err
		}
	}
	for again := true; again; again = r.tidying != "" { // a whole pass after the end of what was under way
		if err := r.tidy(); err != nil {
			return err
		}
	}
	places, err := rotate.Places(r.path)
	if err != nil {
		return err
	}
	for _, p := range places[:max(len(places)-1, 0)] {
		if p.Unfinished || p.Form == rotate.None {
			return fmt.Errorf("in the end %s is there", p.File)
		}
	}
	_, err = r.look()
	return err
}

// errNone is of a step that turned out to be none.
var errNone = errors.New("no step")

// play does the steps of a path in a directory of its own, looks at what the last leads to, and if that is news goes on without trouble.
func (s small) play(dir string, path []string, news func(print string) bool) (may []string, err error) {
	dir, err = os.MkdirTemp(dir, "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &run{small: s, path: filepath.Join(dir, "app.log"), clock: time.Now().Add(time.Hour), at: make(chan string), goOn: make(chan bool), plain: map[uint64]string{}}
	if err := r.start(); err != nil {
		return nil, err
	}
	defer func() { r.kill() }()
	for _, step := range path {
		ok, err := r.do(step)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errNone
		}
	}
	print, err := r.look()
	if err != nil || !news(print) {
		return nil, err
	}
	may = r.may()
	return may, r.finish()
}

// explore goes through all states, nearest first, so that an error comes with one of the shortest ways to it.
func (s small) explore(t *testing.T) (states int, err error) {
	dir := "/dev/shm" // thousands of logs
	if _, err := os.Stat(dir); err != nil {
		dir = t.TempDir()
	}
	var (
		mu   sync.Mutex // guards the fields below
		seen = map[string]bool{}
		next [][]string
	)
	news := func(print string) bool {
		mu.Lock()
		defer mu.Unlock()
		known := seen[print]
		seen[print] = true
		return !known
	}
	for level := [][]string{nil}; len(level) > 0 && err == nil; level, next = next, nil {
		var all sync.WaitGroup
		work := make(chan []string)
		for range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				for path := range work {
					may, e := s.play(dir, path, news)
					mu.Lock()
					if e != nil && e != errNone && err == nil {
						err = fmt.Errorf("%w, after\n  %s", e, strings.Join(path, "\n  "))
					}
					for _, step := range may {
						next = append(next, append(slices.Clone(path), step))
					}
					mu.Unlock()
				}
			})
		}
		for _, path := range level {
			work <- path
		}
		close(work)
		all.Wait()
	}
	return len(seen), err
}

// TestExplore explores rotation, compression and forwarding whole.
func TestExplore(t *testing.T) {
	long := os.Getenv("LB_LONG") != ""
	row := func(naming rotate.Naming, keep, lines, rotations, kills int) {
		t.Run(fmt.Sprintf("%s keep %d lines %d rotations %d kills %d", naming, keep, lines, rotations, kills), func(t *testing.T) {
			begun := time.Now()
			n, err := small{naming, keep, lines, rotations, kills, noError}.explore(t)
			t.Logf("%d states, %v", n, time.Since(begun))
			if err != nil {
				t.Error(err)
			}
		})
	}
	if rotate.Rare > 1 { // under the race detector, which has the processes of the other tests to look at
		row(rotate.Numbered, 0, 1, 1, 1)
		return
	}
	for _, n := range []rotate.Naming{rotate.Dated, rotate.Numbered} {
		row(n, 0, 2, 1, 1)
		if long {
			row(n, 0, 2, 1, 2)
			row(n, 1, 2, 2, 1)
			row(n, 0, 3, 2, 1)
		}
	}
}

// TestExplorePlanted: an exploration that finds nothing would find these.
func TestExplorePlanted(t *testing.T) {
	if rotate.Rare > 1 {
		return // nothing here is about races
	}
	row := func(planted errorPlanted, what string, naming rotate.Naming, want string) {
		t.Run(what, func(t *testing.T) {
			n, err := small{naming, 0, 2, 2, 1, planted}.explore(t)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%d states, and found is %v; want %q", n, err, want)
			}
			t.Logf("state %d: %v", n, err)
		})
	}
	row(confirmsWhatIsSent, "a position ahead of what the peer has", rotate.Dated, "is never sent")
	row(neverRewinds, "lines that a dead peer had are not sent again", rotate.Dated, "is never sent")
	row(holdsNothing, "files are compressed before they were sent", rotate.Dated, "is never sent")
	row(removesFirst, "a plain file that is removed before the compressed one has its name", rotate.Numbered, "are gone")
	row(storesNothing, "a confirmed position that is not stored", rotate.Numbered, "comes next")
	row(confirmsTooMuch, "a position that counts what was sent since the peer has answered", rotate.Numbered, "is never sent")
}
