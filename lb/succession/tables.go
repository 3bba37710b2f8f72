package succession

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
// sent of them). They go as a memory file: a table may be far larger than a
// message.
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

// tablesEvery is how long a change that a leaving worker's last connections make
// may be unknown to the next worker.
const tablesEvery = 250 * time.Millisecond

// catchUpWait is how long the next worker may take for it.
const catchUpWait = 20 * time.Second

// beginTables begins to send the next worker the tables.
func (g *Generation) beginTables(s *successor) error {
	g.tablesMu.Lock()
	g.tablesTo = s
	for _, t := range g.Tables {
		t.BeginTelling()
	}
	g.tablesMu.Unlock()
	_, err := g.sendTables(s)
	return err
}

// endTables gives up when the next worker is gone.
func (g *Generation) endTables(s *successor) {
	g.tablesMu.Lock()
	defer g.tablesMu.Unlock()
	s.dropUnsent()
	if g.tablesTo != s {
		return
	}
	g.tablesTo = nil
	for _, t := range g.Tables {
		t.EndTelling()
	}
}

// dropUnsent forgets what has been sent by now, or never will be.
// Generation.tablesMu is held.
func (s *successor) dropUnsent() {
	if s.unsent != nil {
		s.unsent.Close()
		s.unsent = nil
	}
}

// catchUp sends the next worker what has changed since it began to start, and
// waits until it knows, as often as that is much: a connection that is moved is
// served by nobody while it waits for what is sent before it.
func (g *Generation) catchUp(s *successor) error {
	const rounds, little = 5, 16 << 10
	// One that never answers is given up: without it everything ends here.
	giveUp := time.AfterFunc(catchUpWait, s.giveUp)
	defer giveUp.Stop()
	for range rounds {
		sent, err := g.sendTables(s)
		if err != nil || sent == 0 {
			return err
		}
		if _, err := s.answer(message{Kind: kindMove}, nil); err != nil || sent < little {
			return err
		}
	}
	return nil
}

// sendTables sends the next worker what it does not know yet, and returns how
// many bytes that was. A table gives each change once, so what could not be sent is
// kept for the next time.
func (g *Generation) sendTables(s *successor) (sent int, err error) {
	g.tablesMu.Lock()
	defer g.tablesMu.Unlock()
	if g.tablesTo != s || len(g.Tables) == 0 {
		return 0, nil
	}
	if s.unsent == nil { // before anything is asked for that would have to be put into it
		fd, err := unix.MemfdCreate("lb-tables", unix.MFD_CLOEXEC)
		if err != nil {
			return 0, fmt.Errorf("make a memory file: %w", err)
		}
		s.unsent = os.NewFile(uintptr(fd), "tables")
	}
	var part []byte
	for _, t := range g.Tables {
		for more := true; more; {
			part, more = t.AppendChanges(part[:0])
			if _, err := s.unsent.Write(part); err != nil {
				s.dropUnsent() // half a section would spoil what comes after it
				return 0, fmt.Errorf("write a memory file: %w", err)
			}
		}
	}
	size, err := s.unsent.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, fmt.Errorf("measure a memory file: %w", err)
	}
	if size > 0 {
		if err := s.send(message{Kind: kindTables, More: true}, []int{int(s.unsent.Fd())}); err != nil {
			return 0, err
		}
	}
	s.dropUnsent()
	return int(size), nil
}

// keepSendingTables sends changes until one of the two workers ends.
func (g *Generation) keepSendingTables(s *successor) {
	tick := time.NewTicker(tablesEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// An error passes, or the receiver is gone: then s.gone says so.
			_, _ = g.sendTables(s)
		case <-s.gone:
			return
		case <-g.Running.Done():
			return
		}
	}
}

// carrier carries connections to s, each after what it is counted in and after
// the places that are taken.
func (g *Generation) carrier(s *successor) stream.Carrier {
	return func(parcels []*stream.Parcel) ([]bool, error) {
		if slices.ContainsFunc(parcels, (*stream.Parcel).Tracked) {
			if _, err := g.sendTables(s); err != nil {
				return nil, err
			}
		}
		if _, err := g.sendChangedLoad(s); err != nil {
			return nil, err
		}
		return s.carry(parcels)
	}
}

// receiveTables takes over what an earlier worker sent of its tables. It owns the
// descriptors.
func (g *Generation) receiveTables(fds []int) {
	for _, fd := range fds {
		if err := g.loadTables(fd); err != nil {
			g.Warn("take stick tables over: " + err.Error() + "; what is missing in them is counted anew")
		}
		unix.Close(fd)
	}
}

func (g *Generation) loadTables(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at a memory file: %w", err)
	}
	if st.Size == 0 {
		return nil
	}
	data, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a memory file: %w", err)
	}
	err = stick.Load(data, func(name string) *stick.Table { return g.Engine.Tables[name] }, stick.Now())
	if e := unix.Munmap(data); err == nil && e != nil {
		err = fmt.Errorf("unmap a memory file: %w", e)
	}
	return err
}
