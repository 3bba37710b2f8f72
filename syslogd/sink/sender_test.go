package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/test/wait"
)

// A fake is a receiver that answers as decide says, and remembers what it has taken.
type fake struct {
	// decide looks at a delivery and answers. It says itself what is taken, with take.
	decide func(f *fake, records []Record) Answer

	// mu guards the field below.
	mu    sync.Mutex
	taken []string
}

func (f *fake) Deliver(ctx context.Context, records []Record) Answer {
	if err := ctx.Err(); err != nil {
		return Answer{Err: err}
	}
	return f.decide(f, records)
}

func (f *fake) Close() error { return nil }

// take remembers records, and answers that it has.
func (f *fake) take(records []Record) Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		f.taken = append(f.taken, string(r.Line))
	}
	return Answer{Verdict: Taken}
}

func (f *fake) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.taken)
}

func open(t *testing.T, path string) *rotate.Writer {
	t.Helper()
	w, err := rotate.Open(path, rotate.Options{Size: 20_000, Keep: 1, Compress: rotate.Gzip, Hold: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// line is a line with a number.
func line(n int) string { return fmt.Sprintf("<13>1 2026-11-21T03:04:05Z host app 1 - - n=%d", n) }

// write writes numbered lines; in the place of some there is something else.
func write(t *testing.T, w io.Writer, from, to int, others map[int]string) {
	t.Helper()
	for n := from; n < to; n++ {
		text := line(n)
		if o, ok := others[n]; ok {
			text = o
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func start(w *rotate.Writer, p Peer) *Sender {
	s := &Sender{
		Peer: p, Queue: &queue.Queue{File: w, Log: slog.New(slog.DiscardHandler), To: "the receiver"}, Limits: Limits{Size: 8 << 10, Age: time.Millisecond},
		Backoff: 4 * time.Millisecond, firstPause: time.Millisecond,
	}
	s.Start()
	return s
}

// inOrder checks that lines are those from 0 to n, but for skipped ones; each may come again, but none before one that is older was there.
func inOrder(t *testing.T, lines []string, n int, skipped map[int]string) {
	t.Helper()
	next := 0
	for skipped[next] != "" {
		next++
	}
	for _, l := range lines {
		number := 0
		if _, err := fmt.Sscanf(l[strings.LastIndex(l, "n="):], "n=%d", &number); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if number > next {
			t.Fatalf("%q came when line %d was missing", l, next)
		}
		if number == next {
			for next++; skipped[next] != ""; next++ {
			}
		}
	}
	if next != n {
		t.Fatalf("%d of %d lines came", next, n)
	}
}

var errWords = errors.New("so says the receiver")

// TestNothingIsMissing has a receiver that misbehaves by a plan, while the file rotates and the Sender is stopped and started.
func TestNothingIsMissing(t *testing.T) {
	const count = 6000
	random := rand.New(rand.NewPCG(1, 2))
	unseen := uint64(0) // records that were taken by answers that nobody has seen
	f := &fake{decide: func(f *fake, records []Record) Answer {
		switch n := random.IntN(12); {
		case n == 0:
			return Answer{Err: errWords}
		case n == 1:
			return Answer{Err: errWords, After: time.Microsecond}
		case n == 2:
			return Answer{Verdict: Faulty, Err: errWords}
		case n == 3: // the answer is lost
			f.take(records)
			unseen += uint64(len(records))
			return Answer{Err: io.ErrUnexpectedEOF}
		case n == 4 && len(records) > 3:
			return Answer{Verdict: Smaller, Err: errWords}
		}
		return f.take(records)
	}}
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	var total Counts
	for from := 0; from < count; from += count / 4 {
		s := start(w, f)
		write(t, w, from, from+count/4, nil)
		if from+count/4 == count {
			wait.Until(t, "the last line", func() bool { return s.Counts().Behind == 0 })
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c := s.Counts()
		if c.Sent != c.Confirmed+c.Again || c.Refused != 0 || c.Missed != 0 {
			t.Errorf("%+v", c)
		}
		total.Confirmed += c.Confirmed
	}
	lines := f.lines()
	inOrder(t, lines, count, nil)
	// What a stop interrupted after a part of its batch was confirmed may come again too: a batch for each stop.
	bound := 3 * (8 << 10) / len(line(1000))
	if twice := len(lines) - count; uint64(twice) > unseen+uint64(bound) || total.Confirmed+unseen != uint64(len(lines)) {
		t.Errorf("%d lines came twice, %d of them for lost answers; %d are confirmed", twice, unseen, total.Confirmed)
	}
}

// refusing answers as verdict says when a record of a delivery holds a word.
func refusing(word string, verdict Verdict) func(f *fake, records []Record) Answer {
	return func(f *fake, records []Record) Answer {
		for _, r := range records {
			if strings.Contains(string(r.Line), word) {
				return Answer{Verdict: verdict, Err: errWords}
			}
		}
		return f.take(records)
	}
}

// TestPoison has a receiver that refuses, or fails, whenever some lines are in what it is sent. Those are set aside, and no others.
func TestPoison(t *testing.T) {
	poison := map[int]string{0: "poison a", 300: "poison b", 301: "poison c", 777: "poison d"}
	for verdict, name := range map[Verdict]string{Refused: "refused", Faulty: "faulty", Smaller: "too large"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.log")
			w := open(t, path)
			f := &fake{decide: refusing("poison", verdict)}
			s := start(w, f)
			write(t, w, 0, 1000, poison)
			wait.Until(t, "all to be decided", func() bool { return s.Counts().Behind == 0 })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			inOrder(t, f.lines(), 1000, poison)
			c := s.Counts()
			again := 0
			if verdict == Faulty { // two in a row look like a receiver that fails: it is asked with a line that it has
				again = 1
			}
			if n := len(f.lines()); c.Refused != uint64(len(poison)) || c.Confirmed != uint64(n) || c.Error != "" || n < 1000-len(poison) || n > 1000-len(poison)+again {
				t.Errorf("%+v, %d lines", c, n)
			}
			text, err := os.ReadFile(path + Suffix)
			if err != nil || strings.Count(string(text), "\n") != len(poison) || !strings.HasPrefix(string(text), "poison a\npoison b\n") {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// TestPoisonInARow stops nothing, however many lines there are of it, and the others come again a few times at most.
func TestPoisonInARow(t *testing.T) {
	for _, row := range []struct {
		verdict  Verdict
		from, to int
		ordered  bool
	}{{Refused, 100, 900, true}, {Refused, 0, 200, true}, {Refused, 0, 400, false}, {Refused, 900, 1000, true}, {Faulty, 100, 104, true}, {Faulty, 996, 1000, true}, {Faulty, 0, 2, true}} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			poison := make(map[int]string)
			for n := row.from; n < row.to; n++ {
				poison[n] = fmt.Sprintf("poison %d", n)
			}
			path := filepath.Join(t.TempDir(), "a.log")
			w := open(t, path)
			f := &fake{decide: refusing("poison", row.verdict)}
			write(t, w, 0, 1, map[int]string{0: ""}) // so that there is a position before the first line
			s := start(w, f)
			write(t, w, 0, 1000, poison)
			wait.Until(t, "all to be decided", func() bool { return s.Counts().Behind == 0 })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			lines, good := f.lines(), 1000-len(poison)
			if c := s.Counts(); c.Refused != uint64(len(poison)) || c.Error != "" || len(lines) > good+10 {
				t.Errorf("%d lines of %d, %+v", len(lines), good, c)
			}
			if row.ordered {
				inOrder(t, lines, 1000, poison)
			}
		})
	}
}

// TestRefusedAtTheEnds of all that there is, by a receiver that names what it has not taken: nothing else comes to find out whether it is the line.
func TestRefusedAtTheEnds(t *testing.T) {
	poison := map[int]string{0: "poison a", 99: "poison b"}
	f := &fake{decide: func(f *fake, records []Record) Answer {
		a := Answer{Verdict: Taken}
		for i, r := range records {
			if strings.HasPrefix(string(r.Line), "poison") {
				a.Again, a.Err = append(a.Again, i), errWords
			} else {
				f.take(records[i : i+1])
			}
		}
		if len(a.Again) == len(records) {
			return Answer{Verdict: Refused, Err: errWords}
		}
		return a
	}}
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	s := start(w, f)
	defer s.Close()
	write(t, w, 0, 100, poison)
	wait.Until(t, "all to be decided", func() bool { return s.Counts().Behind == 0 })
	if c := s.Counts(); c.Refused != 2 || c.Error != "" {
		t.Errorf("%+v", c)
	}
	inOrder(t, f.lines(), 100, poison)
}

// TestEverythingIsRefused has a receiver that takes nothing for a while: a wrong address, say. No line is to blame.
func TestEverythingIsRefused(t *testing.T) {
	for _, verdict := range []Verdict{Refused, Faulty, Smaller} {
		var works atomic.Bool
		began := false
		f := &fake{decide: func(f *fake, records []Record) Answer {
			// It works again from an attempt's first line on. In the middle of one, some lines would look as if it were for them.
			if began = began || works.Load() && string(records[0].Line) == line(0); began {
				return f.take(records)
			}
			return Answer{Verdict: verdict, Err: errWords}
		}}
		path := filepath.Join(t.TempDir(), "a.log")
		w := open(t, path)
		s := start(w, f)
		write(t, w, 0, 500, nil)
		wait.Until(t, "the Sender to give up", func() bool { return strings.Contains(s.Counts().LastError, "the receiver ") })
		if c := s.Counts(); c.Refused != 0 || c.Confirmed != 0 || c.Error == "" {
			t.Errorf("%+v", c)
		}
		works.Store(true)
		wait.Until(t, "the lines", func() bool { return s.Counts().Behind == 0 })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		inOrder(t, f.lines(), 500, nil)
		if c := s.Counts(); c.Refused != 0 || c.Error != "" {
			t.Errorf("%+v", c)
		}
	}
}

// TestWellAmongSuspects has a receiver that refuses everything and gets well in the middle of the search for the line that is to blame. No line is: those
// that it has refused it takes when it is asked once more, and only the one that it still refuses is set aside.
func TestWellAmongSuspects(t *testing.T) {
	alone := 0
	f := &fake{decide: func(f *fake, records []Record) Answer {
		if alone < 9 || strings.Contains(string(records[0].Line), "poison") {
			if len(records) == 1 {
				alone++
			}
			return Answer{Verdict: Refused, Err: errWords}
		}
		return refusing("poison", Refused)(f, records)
	}}
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path)
	s := start(w, f)
	write(t, w, 0, 500, map[int]string{4: "poison"})
	wait.Until(t, "the lines", func() bool { return s.Counts().Behind == 0 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lines := f.lines()
	seen := make(map[string]bool)
	for _, l := range lines {
		seen[l] = true
	}
	for n := range 500 {
		if n != 4 && !seen[line(n)] {
			t.Errorf("line %d is missing", n)
		}
	}
	if c := s.Counts(); c.Refused != 1 || c.Error != "" || len(lines) != 499 {
		t.Errorf("%+v, %d lines", c, len(lines))
	}
	if text, err := os.ReadFile(path + Suffix); err != nil || string(text) != "poison\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestRecordsAreNamed has a receiver that says of which records it has not taken.
func TestRecordsAreNamed(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	poison := map[int]string{5: "poison", 6: "poison", 7: "poison"}
	f := &fake{decide: func(f *fake, records []Record) Answer {
		a := Answer{Verdict: Taken}
		for i, r := range records {
			switch {
			case strings.Contains(string(r.Line), "poison"):
				a.Refused, a.Err = append(a.Refused, i), errWords
			case random.IntN(10) == 0:
				a.Again, a.Err = append(a.Again, i), errWords
			default:
				f.take(records[i : i+1])
			}
		}
		return a
	}}
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path)
	s := start(w, f)
	write(t, w, 0, 2000, poison)
	wait.Until(t, "all to be decided", func() bool { return s.Counts().Behind == 0 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lines := f.lines()
	c := s.Counts()
	if len(lines) != 2000-len(poison) || c.Refused != 3 || c.Confirmed != uint64(len(lines)) || c.Sent != c.Confirmed+c.Again {
		t.Errorf("%d lines, %+v", len(lines), c)
	}
	slices.Sort(lines)
	if n := len(slices.Compact(lines)); n != len(lines) {
		t.Errorf("%d different lines of %d", n, len(lines))
	}
}

// TestDroppedLines are counted, and not sent again.
func TestDroppedLines(t *testing.T) {
	f := &fake{decide: func(f *fake, records []Record) Answer {
		f.take(records[1:])
		return Answer{Verdict: Taken, Dropped: 1, Err: errWords}
	}}
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	s := start(w, f)
	write(t, w, 0, 300, nil)
	wait.Until(t, "all to be decided", func() bool { return s.Counts().Behind == 0 })
	s.Close()
	if c := s.Counts(); c.Refused != c.Requests || c.Confirmed+c.Refused != 300 || c.Confirmed != uint64(len(f.lines())) {
		t.Errorf("%+v", c)
	}
}

// TestTheSamePlace: what a line is called stays the same over a rotation and a restart.
func TestTheSamePlace(t *testing.T) {
	places := make(map[string]Place)
	var mu sync.Mutex
	refuse := true
	f := &fake{decide: func(f *fake, records []Record) Answer {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range records {
			if p, again := places[string(r.Line)]; again && p != r.Place {
				t.Errorf("%q was at %v and is at %v", r.Line, p, r.Place)
			}
			places[string(r.Line)] = r.Place
		}
		if refuse {
			return Answer{Err: errWords}
		}
		return f.take(records)
	}}
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	s := start(w, f)
	write(t, w, 0, 100, nil)
	wait.Until(t, "a delivery", func() bool { return s.Counts().Requests > 0 })
	s.Close()
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	refuse = false
	mu.Unlock()
	s = start(w, f)
	defer s.Close()
	write(t, w, 100, 200, nil)
	wait.Until(t, "all lines", func() bool { return s.Counts().Behind == 0 })
	different := make(map[Place]bool)
	mu.Lock()
	defer mu.Unlock()
	for _, p := range places {
		different[p] = true
	}
	if len(places) != 200 || len(different) != 200 {
		t.Errorf("%d lines at %d places", len(places), len(different))
	}
}

// TestABrokenPosition: nothing in the place of the position keeps lines from being sent.
func TestABrokenPosition(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "torn": `{"inode": 12, "off`, "of another file": `{"inode":1,"offset":5,"check":1,"after":"2026-11-21T03:04:05Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.log")
			w := open(t, path)
			write(t, w, 0, 500, nil)
			if err := os.WriteFile(path+queue.Suffix, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f := &fake{decide: (*fake).take}
			s := start(w, f)
			defer s.Close()
			write(t, w, 500, 510, nil)
			wait.Until(t, "the lines", func() bool { return s.Counts().Behind == 0 })
			lines := f.lines()
			if name != "of another file" {
				inOrder(t, lines, 510, nil)
			}
			if len(lines) == 0 || lines[len(lines)-1] != line(509) {
				t.Errorf("%d lines", len(lines))
			}
			if c := s.Counts(); c.Error != "" || c.Confirmed != uint64(len(lines)) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestAFullFileOfRefusedLines stops nothing, and is reported.
func TestAFullFileOfRefusedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path)
	if err := os.WriteFile(path+Suffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path+Suffix, asideMost); err != nil {
		t.Fatal(err)
	}
	f := &fake{decide: refusing("poison", Refused)}
	s := start(w, f)
	defer s.Close()
	write(t, w, 0, 10, map[int]string{3: "poison"})
	wait.Until(t, "the lines", func() bool { return s.Counts().Behind == 0 })
	if c := s.Counts(); c.Refused != 1 || !strings.Contains(c.Error, "is full") {
		t.Errorf("%+v", c)
	}
}

// TestCloseEnds a delivery that would last for ever, and what it was about comes with the next Start.
func TestCloseEnds(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	begun := make(chan struct{})
	s := start(w, stuck{begun})
	write(t, w, 0, 10, nil)
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f := &fake{decide: (*fake).take}
	s = start(w, f)
	defer s.Close()
	wait.Until(t, "the lines", func() bool { return s.Counts().Behind == 0 })
	inOrder(t, f.lines(), 10, nil)
}

// stuck is a receiver that never answers.
type stuck struct{ begun chan struct{} }

func (s stuck) Deliver(ctx context.Context, _ []Record) Answer {
	close(s.begun)
	<-ctx.Done()
	return Answer{Err: ctx.Err()}
}

func (stuck) Close() error { return nil }
