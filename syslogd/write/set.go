package write

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"lbsyslogd/rotate"
)

// Set is many files that come and go: one for each name that messages ask for, within limits. A file that nothing was written to for a
// while is closed, and the one that waited longest when there are too many.
type Set struct {
	// Immutable after NewSet.
	name   string
	limits Limits
	open   func(file string) (*Output, error)
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	// mu guards the fields below.
	mu      sync.Mutex
	members map[string]*member
	known   map[string]time.Time // names, and when they were last written to
	past    Counts               // of the files that are closed
	refused uint64               // lines of files that could not be opened
	renamed uint64               // lines that went to Limits.Other, because there were too many names or for what the name was
	failed  string               // what went wrong last, empty when it went well since
}

// Limits bound what senders can make a Set do.
type Limits struct {
	Open  int    // files open at a time
	Names int    // different names in a day
	Other string // the name for what goes beyond
}

// member is an open file of a Set. Its fields are guarded by the Set's mu.
type member struct {
	*Output
	users  int
	used   time.Time
	closed chan struct{} // set when it is on its way out; closed when it is out
}

const (
	sweepPeriod = 30 * time.Second
	idleTime    = 5 * time.Minute
	forgetTime  = 24 * time.Hour
)

// NewSet starts an empty Set. open opens the file of a name.
func NewSet(name string, limits Limits, open func(file string) (*Output, error)) *Set {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Set{name: name, limits: limits, open: open, stop: cancel, members: make(map[string]*member), known: make(map[string]time.Time)}
	s.tasks.Go(func() {
		ticker := time.NewTicker(sweepPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				s.sweep(now)
			}
		}
	})
	return s
}

// Name is what the configuration calls the output.
func (s *Set) Name() string { return s.name }

// Give is Output.Give for the file of a name. Lines for a file that cannot be opened are dropped and counted.
func (s *Set) Give(file string, lines []byte, n int) []byte {
	if n == 0 {
		return lines[:0]
	}
	m, err := s.acquire(file, uint64(n))
	if err != nil {
		return lines[:0]
	}
	defer s.release(m)
	return m.Give(lines, n)
}

// acquire opens the file if need be. The caller must call release exactly once. n lines are refused when it cannot be opened.
func (s *Set) acquire(file string, n uint64) (*member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[file]
	// A name that reads as another log's rotated file would be compressed and removed as such.
	if !known && file != s.limits.Other && (len(s.known) >= s.limits.Names || rotate.LooksRotated(path.Base(file))) {
		file = s.limits.Other
		s.renamed += n
	}
	for {
		m := s.members[file]
		if m == nil {
			break
		}
		if m.closed == nil {
			m.users++
			m.used = time.Now()
			return m, nil
		}
		closed := m.closed
		s.mu.Unlock()
		<-closed
		s.mu.Lock()
	}
	if s.limits.Open > 0 && s.opened() >= s.limits.Open {
		s.evictOldest()
	}
	out, err := s.open(file)
	if err != nil {
		s.refused += n
		s.failed = err.Error()
		return nil, err
	}
	s.failed = ""
	m := &member{Output: out, users: 1, used: time.Now()}
	s.members[file] = m
	s.known[file] = m.used
	return m, nil
}

func (s *Set) release(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.users--
}

// opened is how many files are open and stay so. Called with mu held.
func (s *Set) opened() (n int) {
	for _, m := range s.members {
		if m.closed == nil {
			n++
		}
	}
	return n
}

// evictOldest closes the file that waited longest. When all are in use there is one too many for a moment. Called with mu held.
func (s *Set) evictOldest() {
	var oldest *member
	name := ""
	for file, m := range s.members {
		if m.users == 0 && m.closed == nil && (oldest == nil || m.used.Before(oldest.used)) {
			oldest, name = m, file
		}
	}
	if oldest != nil {
		s.evict(name, oldest)
	}
}

// evict closes a file beside the readers. Called with mu held; m has no users.
func (s *Set) evict(file string, m *member) {
	m.closed = make(chan struct{})
	s.known[file] = m.used
	s.tasks.Go(func() {
		err := m.Close()
		counts := m.Counts()
		counts.File = plusStats(rotate.Stats{}, counts.File)
		f := &counts.File // of the past
		f.WriteError, f.RotateError, f.ReopenError, f.CleanError, f.SyncError = "", "", "", "", ""
		counts.File.Size = 0
		s.mu.Lock()
		defer s.mu.Unlock()
		s.past = s.past.plus(counts)
		if err != nil {
			s.failed = err.Error()
		}
		delete(s.members, file)
		close(m.closed)
	})
}

// sweep closes what is idle and forgets names of yesterday.
func (s *Set) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for file, m := range s.members {
		if m.users == 0 && m.closed == nil && now.Sub(m.used) > idleTime {
			s.evict(file, m)
		}
	}
	for file, used := range s.known {
		if s.members[file] == nil && now.Sub(used) > forgetTime {
			delete(s.known, file)
		}
	}
}

// hold is the open files, by name, which stay open until release is called once for each, and what is closed when those on their way out
// are. No file is neither.
func (s *Set) hold() (open []*member, leaving []chan struct{}) {
	s.mu.Lock()
	for _, m := range s.members {
		if m.closed != nil {
			leaving = append(leaving, m.closed)
			continue
		}
		m.users++
		open = append(open, m)
	}
	s.mu.Unlock()
	slices.SortFunc(open, func(a, b *member) int { return strings.Compare(a.file.Path(), b.file.Path()) })
	return open, leaving
}

// Each does something with each open file, by name. They stay open meanwhile, and those on their way out are closed when it returns.
func (s *Set) Each(do func(o *Output) error) error {
	open, leaving := s.hold()
	var problems []error
	for _, m := range open {
		if err := do(m.Output); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.file.Path(), err))
		}
		s.release(m)
	}
	for _, closed := range leaving {
		<-closed
	}
	return errors.Join(problems...)
}

// Drain is Output.Drain for all files. Those on their way out have written everything when it returns.
func (s *Set) Drain(ctx context.Context) error {
	open, leaving := s.hold()
	var problems []error
	for _, m := range open {
		if err := m.Drain(ctx); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.file.Path(), err))
		}
		s.release(m)
	}
	for _, closed := range leaving {
		select {
		case <-closed:
		case <-ctx.Done():
			return errors.Join(append(problems, fmt.Errorf("output %s: %w", s.name, ctx.Err()))...)
		}
	}
	return errors.Join(problems...)
}

// Busy says whether a write is under way.
func (s *Set) Busy() (busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		busy = busy || m.Busy()
	}
	return busy
}

// Close closes all files. Nobody may call Give any more.
func (s *Set) Close() error {
	s.stop()
	s.mu.Lock()
	for file, m := range s.members {
		if m.closed == nil {
			s.evict(file, m)
		}
	}
	s.mu.Unlock()
	s.tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != "" {
		return errors.New(s.failed)
	}
	return nil
}

// SetCounts are the counts of all the files a Set ever had.
type SetCounts struct {
	Counts
	Open    int    // files now
	Names   int    // known
	Renamed uint64 // lines that went to the other name
	Error   string // what did not work last
}

// Counts adds up the counters.
func (s *Set) Counts() SetCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := SetCounts{Counts: s.past, Names: len(s.known), Renamed: s.renamed, Error: s.failed}
	for _, m := range s.members {
		c.Counts = c.plus(m.Counts())
		c.Open++
	}
	c.Given += s.refused
	c.Lost += s.refused
	return c
}

// plus adds counters, and of the states those that mean something for several files.
func (c Counts) plus(o Counts) Counts {
	c.Given += o.Given
	c.Written += o.Written
	c.Overflow += o.Overflow
	c.Lost += o.Lost
	c.Waiting += o.Waiting
	c.File = plusStats(c.File, o.File)
	return c
}

func plusStats(a, b rotate.Stats) rotate.Stats {
	a.Rotations += b.Rotations
	a.Reopens += b.Reopens
	a.Followed += b.Followed
	a.Truncations += b.Truncations
	a.Compressed += b.Compressed
	a.Removed += b.Removed
	a.Failures += b.Failures
	a.Stalls += b.Stalls
	a.Size += b.Size
	for _, e := range [][2]*string{
		{&a.WriteError, &b.WriteError}, {&a.RotateError, &b.RotateError}, {&a.ReopenError, &b.ReopenError}, {&a.CleanError, &b.CleanError},
		{&a.SyncError, &b.SyncError},
	} {
		if *e[0] == "" {
			*e[0] = *e[1]
		}
	}
	return a
}
