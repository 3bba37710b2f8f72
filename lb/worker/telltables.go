package worker

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/stream"
)

// Stick tables on their way to the next worker (package stick says what is
// told, succession.go when). A telling is a memory file: a table may be far
// larger than a letter.
//
//	new worker, before it accepts          old worker, serving
//	ask                                 ->
//	                                    <- tables: all entries
//	                                    <- state
//	new worker, serving                    old worker, told to drain
//	                                    <- tables: what has changed since
//	                                    <- move, of nothing
//	taken                               ->
//	                                    <- tables, move: a connection that is tracked never comes before its entry
//	                                    <- tables: what its last connections change, now and then
//	                                    <- tables, counts: when nothing is left

// tellEvery is how long a change that a leaving worker's last connections make
// may be unknown to the next worker.
const tellEvery = 250 * time.Millisecond

// catchUpWait is how long the next worker may take for it.
const catchUpWait = 20 * time.Second

// beginTelling begins to tell the next worker of the tables.
func (rt *Runtime) beginTelling(s *successor) error {
	rt.telling.Lock()
	rt.listener = s
	for _, t := range rt.tables {
		t.BeginTelling()
	}
	rt.telling.Unlock()
	_, err := rt.tellTables(s)
	return err
}

// endTelling gives up when the next worker is gone.
func (rt *Runtime) endTelling(s *successor) {
	rt.telling.Lock()
	defer rt.telling.Unlock()
	s.dropUntold()
	if rt.listener != s {
		return
	}
	rt.listener = nil
	for _, t := range rt.tables {
		t.EndTelling()
	}
}

// dropUntold forgets what has been told by now, or never will be.
// Runtime.telling is held.
func (s *successor) dropUntold() {
	if s.untold != nil {
		s.untold.Close()
		s.untold = nil
	}
}

// catchUp tells the next worker what has changed since it began to start, and
// waits until it knows, as often as that is much: a connection that is moved is
// served by nobody while it waits for what is told before it.
func (rt *Runtime) catchUp(s *successor) error {
	const rounds, little = 5, 16 << 10
	// One that never answers is given up: without it everything ends here.
	giveUp := time.AfterFunc(catchUpWait, func() { s.link.Close() })
	defer giveUp.Stop()
	for range rounds {
		told, err := rt.tellTables(s)
		if err != nil || told == 0 {
			return err
		}
		if _, err := s.answer(letter{Kind: kindMove}, nil); err != nil || told < little {
			return err
		}
	}
	return nil
}

// tellTables tells the next worker what it does not know yet, and how many
// bytes that was. A table tells each change once, so what could not be sent is
// kept for the next time.
func (rt *Runtime) tellTables(s *successor) (told int, err error) {
	rt.telling.Lock()
	defer rt.telling.Unlock()
	if rt.listener != s || len(rt.tables) == 0 {
		return 0, nil
	}
	if s.untold == nil { // before anything is asked for that would have to be put into it
		fd, err := unix.MemfdCreate("lb-tables", unix.MFD_CLOEXEC)
		if err != nil {
			return 0, fmt.Errorf("make a memory file: %w", err)
		}
		s.untold = os.NewFile(uintptr(fd), "tables")
	}
	var part []byte
	for _, t := range rt.tables {
		for more := true; more; {
			part, more = t.AppendChanges(part[:0])
			if _, err := s.untold.Write(part); err != nil {
				s.dropUntold() // half a section would spoil what comes behind it
				return 0, fmt.Errorf("write a memory file: %w", err)
			}
		}
	}
	size, err := s.untold.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, fmt.Errorf("measure a memory file: %w", err)
	}
	if size > 0 {
		if err := s.send(letter{Kind: kindTables, More: true}, []int{int(s.untold.Fd())}); err != nil {
			return 0, err
		}
	}
	s.dropUntold()
	return int(size), nil
}

// keepTelling tells until one of the two workers ends.
func (rt *Runtime) keepTelling(s *successor) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// An error passes, or the receiver is gone: then s.gone says so.
			_, _ = rt.tellTables(s)
		case <-s.gone:
			return
		case <-rt.ctx.Done():
			return
		}
	}
}

// carrier carries connections to s, each behind what it is counted in.
func (rt *Runtime) carrier(s *successor) stream.Carrier {
	return func(parcels []*stream.Parcel) ([]bool, error) {
		if slices.ContainsFunc(parcels, (*stream.Parcel).Tracked) {
			if _, err := rt.tellTables(s); err != nil {
				return nil, err
			}
		}
		return s.carry(parcels)
	}
}

// hearTables takes over what an earlier worker tells of its tables. It owns the
// descriptors.
func (rt *Runtime) hearTables(fds []int) {
	for _, fd := range fds {
		if err := rt.loadTables(fd); err != nil {
			rt.note("take stick tables over: " + err.Error() + "; what is missing in them is counted anew")
		}
		unix.Close(fd)
	}
}

func (rt *Runtime) loadTables(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at a memory file: %w", err)
	}
	if st.Size == 0 {
		return nil
	}
	told, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a memory file: %w", err)
	}
	err = stick.Load(told, func(name string) *stick.Table { return rt.eng.Tables[name] }, stick.Now())
	if e := unix.Munmap(told); err == nil && e != nil {
		err = fmt.Errorf("unmap a memory file: %w", e)
	}
	return err
}
