package write

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
)

// Set is many files that come and go: one for each name that messages ask for, within limits. Those that were not written to lately are parked
// when too many are open, and closed after a while.
type Set struct {
	// Failed is told of each file that cannot be opened, whose lines are lost; nil: nobody is. It is set before the first line.
	Failed func(file string, err error)

	// Immutable after NewSet.
	name   string
	limits Limits
	open   func(file string) (*Output, error)
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	// mu guards the fields below.
	mu       sync.Mutex
	closing  bool // nothing is opened any more
	members  map[string]*member
	opened   list.List        // of members whose file is open, or will be: the one that was used last in front
	known    map[string]*name // names of the last day
	forms    map[string]int   // how many of them have a form
	replaced int              // names that took the place of others of their form, in this hour
	hour     time.Time        // when it began
	past     Counts           // of the files that are closed
	refused  uint64           // lines of files that could not be opened
	renamed  uint64           // lines that went to Limits.Other, because there were too many names or for what the name was
	failed   map[string]trouble
	room     int // how many files the process has descriptors for; 0: as many as there may be
}

// A trouble is what went wrong with a file that is not open. It is over when that file can be opened, or after idleTime.
type trouble struct {
	err error
	at  time.Time
}

// Senders choose how many files there are: the troubles of mostKnown are known at a time, and mostTroubles of them are named in the counts.
const (
	mostKnown    = 1000
	mostTroubles = 10
)

// fail notes that something went wrong with a file. Called with mu held.
func (s *Set) fail(file string, err error, now time.Time) {
	if s.failed == nil {
		s.failed = make(map[string]trouble)
	}
	if _, known := s.failed[file]; !known && len(s.failed) == mostKnown {
		oldest := file
		for f, t := range s.failed {
			if oldest == file || t.at.Before(s.failed[oldest].at) {
				oldest = f
			}
		}
		delete(s.failed, oldest)
	}
	s.failed[file] = trouble{err, now}
}

// Limits bound what senders can make a Set do.
type Limits struct {
	Open  int    // files open at a time
	Names int    // different names in a day; those that differ in digits alone, such as a date, replace each other, as many in an hour
	Other string // the name for what goes beyond
}

// A name is one that was used in the last day.
type name struct {
	form string
	used time.Time
}

// formOf is a name without its digits, which may be those of a date.
func formOf(file string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '#'
		}
		return r
	}, file)
}

// member is a file of a Set. Its fields are guarded by the Set's mu.
type member struct {
	*Output
	users  int
	used   time.Time
	place  *list.Element // in opened; nil: parked
	ready  chan struct{} // closed when the file was opened, or could not be
	failed error         // it could not; valid when ready is closed
	closed chan struct{} // set when it is on its way out; closed when it is out
}

const (
	sweepPeriod = 30 * time.Second
	idleTime    = 5 * time.Minute
	forgetTime  = 24 * time.Hour
)

// NewSet starts an empty Set. open opens the file of a name.
func NewSet(called string, limits Limits, open func(file string) (*Output, error)) *Set {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Set{
		name: called, limits: limits, open: open, stop: cancel, members: make(map[string]*member), known: make(map[string]*name),
		forms: make(map[string]int),
	}
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
	m, err := s.acquire(file, uint64(n), false)
	if err != nil {
		return lines[:0]
	}
	defer s.release(m)
	return m.Give(lines, n)
}

// admit is the name that lines go to, which is known then. Called with mu held.
func (s *Set) admit(file string, n uint64, now time.Time) string {
	if k := s.known[file]; k != nil {
		k.used = now
		return file
	}
	if file != s.limits.Other {
		// A name that reads as another log's rotated file would be compressed and removed as such.
		base := path.Base(file)
		bad := rotate.LooksRotated(base) || len(base) > rotate.LongestName
		if bad || len(s.known) >= s.limits.Names && !s.replace(formOf(file), now) {
			s.renamed += n
			file = s.limits.Other
		}
	}
	if k := s.known[file]; k != nil {
		k.used = now
		return file
	}
	k := &name{form: formOf(file), used: now}
	s.known[file] = k
	s.forms[k.form]++
	return file
}

// replace forgets the name of a form that waited longest, for another of the form. Called with mu held.
func (s *Set) replace(form string, now time.Time) bool {
	if now.Sub(s.hour) >= time.Hour || now.Before(s.hour) {
		s.hour, s.replaced = now, 0
	}
	if s.forms[form] == 0 || s.replaced >= s.limits.Names {
		return false
	}
	oldest, found := "", (*name)(nil)
	for file, k := range s.known {
		if k.form == form && file != s.limits.Other && (found == nil || k.used.Before(found.used)) {
			oldest, found = file, k
		}
	}
	if found == nil {
		return false
	}
	s.forget(oldest)
	s.replaced++
	if m := s.members[oldest]; m != nil && m.users == 0 && m.closed == nil {
		s.evict(oldest, m)
	}
	return true
}

// forget makes a name unknown. Called with mu held.
func (s *Set) forget(file string) {
	k := s.known[file]
	if s.forms[k.form]--; s.forms[k.form] == 0 {
		delete(s.forms, k.form)
	}
	delete(s.known, file)
}

// acquire opens the file if need be. The caller must call release exactly once. n lines are refused when it cannot be opened, unless their sender
// keeps them.
func (s *Set) acquire(file string, n uint64, kept bool) (*member, error) {
	now := time.Now()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil, errEnded
	}
	file = s.admit(file, n, now)
	if kept {
		n = 0
	}
	for {
		m := s.members[file]
		if m == nil {
			break
		}
		if m.closed == nil {
			m.users++
			m.used = now
			s.touch(m)
			ready := m.ready
			s.parkSurplus()
			s.mu.Unlock()
			<-ready
			if m.failed != nil {
				s.refuse(m, n)
				return nil, m.failed
			}
			return m, nil
		}
		closed := m.closed
		s.mu.Unlock()
		<-closed
		s.mu.Lock()
	}
	m := &member{users: 1, used: now, ready: make(chan struct{})}
	s.members[file] = m
	s.touch(m)
	s.parkSurplus()
	s.mu.Unlock()
	// Not with mu held: only those that want this file wait for it.
	out, err := s.open(file)
	for range parkTries {
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) || !s.makeRoom() {
			break
		}
		out, err = s.open(file)
	}
	s.mu.Lock()
	m.Output, m.failed = out, err
	close(m.ready)
	if err == nil {
		delete(s.failed, file)
		s.mu.Unlock()
		return m, nil
	}
	s.fail(file, err, now)
	delete(s.members, file)
	s.opened.Remove(m.place)
	m.place = nil
	s.mu.Unlock()
	if s.Failed != nil {
		s.Failed(file, err)
	}
	s.refuse(m, n)
	return nil, err
}

// refuse is release for lines that have nowhere to go.
func (s *Set) refuse(m *member, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.users--
	s.refused += n
}

func (s *Set) release(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.users--
}

// touch notes that a member is used. Called with mu held.
func (s *Set) touch(m *member) {
	if m.place == nil {
		m.place = s.opened.PushFront(m)
		return
	}
	s.opened.MoveToFront(m.place)
}

// parkSurplus parks members while too many are open. Called with mu held, which it gives up meanwhile.
func (s *Set) parkSurplus() {
	for range parkTries {
		m := s.surplus()
		if m == nil {
			return
		}
		s.mu.Unlock()
		s.park(m)
		s.mu.Lock()
	}
}

// parkTries is how many files a new one may have parked: one that is at something stays open, and is made up for by the next.
const parkTries = 4

// makeRoom parks a file because the process, or the system, has no descriptor left for another: clients may have them. It says whether there was one to
// park. Fewer are open at a time from then on.
func (s *Set) makeRoom() bool {
	s.mu.Lock()
	s.room = max(1, s.opened.Len()-2)
	m := s.surplus()
	s.mu.Unlock()
	s.park(m)
	return m != nil
}

// surplus is a member to park, because too many are open; it is in use until park is done with it. When all are in use there are some too many
// for a moment. Called with mu held.
func (s *Set) surplus() *member {
	most := s.limits.Open
	if s.room > 0 && (most <= 0 || s.room < most) {
		most = s.room
	}
	if most <= 0 || s.opened.Len() <= most {
		return nil
	}
	for e := s.opened.Back(); e != nil; e = e.Prev() {
		if m := e.Value.(*member); m.users == 0 && m.closed == nil {
			s.opened.Remove(e)
			m.place = nil
			m.users++
			return m
		}
	}
	return nil
}

// park closes the file of a member until it is used again. One that is in the middle of something stays open.
func (s *Set) park(m *member) {
	if m == nil {
		return
	}
	parked := m.Park()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.users--
	if !parked && m.place == nil && m.closed == nil {
		m.place = s.opened.PushFront(m) // another's turn is next
	}
}

// evict closes a file while the readers go on. Called with mu held; m has no users.
func (s *Set) evict(file string, m *member) {
	m.closed = make(chan struct{})
	if m.place != nil {
		s.opened.Remove(m.place)
		m.place = nil
	}
	s.tasks.Go(func() {
		err := m.Close()
		counts := m.Counts()
		counts.File = plusStats(rotate.Stats{}, counts.File)
		counts.File.Size = 0
		s.mu.Lock()
		defer s.mu.Unlock()
		s.past = s.past.plus(counts)
		if err != nil {
			s.fail(file, err, time.Now())
		}
		delete(s.members, file)
		close(m.closed)
	})
}

// sweep closes what is idle and forgets names of yesterday.
func (s *Set) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room *= 2; s.room > s.limits.Open {
		s.room = 0
	}
	for file, t := range s.failed {
		if now.Sub(t.at) > idleTime {
			delete(s.failed, file)
		}
	}
	for file, m := range s.members {
		if m.users == 0 && m.closed == nil && now.Sub(m.used) > idleTime {
			s.evict(file, m)
		}
	}
	for file, k := range s.known {
		if s.members[file] == nil && now.Sub(k.used) > forgetTime {
			s.forget(file)
		}
	}
}

// hold is the files, by name, which stay open until release is called once for each, and what is closed when those on their way out
// are. No file is neither.
func (s *Set) hold() (open []*member, leaving []chan struct{}) {
	s.mu.Lock()
	for _, m := range s.members {
		if m.closed != nil {
			leaving = append(leaving, m.closed)
			continue
		}
		if m.Output == nil {
			continue // it has no line yet
		}
		m.users++
		open = append(open, m)
	}
	s.mu.Unlock()
	slices.SortFunc(open, func(a, b *member) int { return strings.Compare(a.file.Path(), b.file.Path()) })
	return open, leaving
}

// settle is release after something may have opened a parked file.
func (s *Set) settle(m *member) {
	s.mu.Lock()
	if m.place != nil {
		m.users--
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.park(m)
}

// Each does something with each file, by name. They stay open meanwhile, and those on their way out are closed when it returns.
func (s *Set) Each(do func(o *Output) error) error {
	open, leaving := s.hold()
	var problems []error
	for _, m := range open {
		if err := do(m.Output); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.file.Path(), err))
		}
		s.settle(m)
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
		busy = busy || m.Output != nil && m.Busy()
	}
	return busy
}

// Close closes all files. Nobody may call Give any more.
func (s *Set) Close() error {
	s.stop()
	s.mu.Lock()
	s.closing = true
	clear(s.failed) // of files that could not be opened; those of closing are to come
	for file, m := range s.members {
		if m.closed == nil && m.Output != nil {
			s.evict(file, m)
		}
	}
	s.mu.Unlock()
	s.tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	for _, file := range slices.Sorted(maps.Keys(s.failed)) {
		problems = append(problems, s.failed[file].err)
	}
	return errors.Join(problems...)
}

// SetCounts are the counts of all the files a Set ever had.
type SetCounts struct {
	Counts
	Open    int      // files now, without those that are parked
	Names   int      // known
	Renamed uint64   // lines that went to the other name
	Errors  []string // what does not work, by file, mostTroubles at most and how many there are besides; File has none
}

// CountOther counts lines whose names have Limits.Other in them already, for what a field would have brought.
func (s *Set) CountOther(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renamed += n
}

// Counts adds up the counters.
func (s *Set) Counts() SetCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := SetCounts{Counts: s.past, Names: len(s.known), Renamed: s.renamed}
	problems := make(map[string]bool)
	for _, t := range s.failed {
		problems[t.err.Error()] = true
	}
	for _, m := range s.members {
		if m.Output != nil {
			counts := m.Counts()
			f := &counts.File
			for _, e := range []*string{&f.WriteError, &f.RotateError, &f.ReopenError, &f.CleanError, &f.SyncError, &f.ChainError} {
				switch path := m.file.Path(); {
				case *e == "":
				case strings.Contains(*e, path):
					problems[*e] = true
				default:
					problems[path+": "+*e] = true
				}
				*e = ""
			}
			c.Counts = c.plus(counts)
		}
		if m.place != nil || m.closed != nil {
			c.Open++
		}
	}
	c.Errors = slices.Sorted(maps.Keys(problems))
	if n := len(c.Errors) - mostTroubles; n > 0 {
		c.Errors = append(c.Errors[:mostTroubles], fmt.Sprintf("and %d more", n))
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

// plusStats adds up counters alone: of what does not work, each file has its own.
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
	return a
}
