package master

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Loaded is the first line of the answer to `configuration`. The second is what
// the worker has left of its configuration (worker.Loader.Snapshot).
type Loaded struct {
	Generation int      `json:"generation"`
	Pid        int      `json:"pid"`  // of the worker
	Args       []string `json:"args"` // the operator's: which files a reload reads, and how
	Dir        string   `json:"dir"`  // where relative paths begin
}

// showConfiguration answers with what a reload would be compared with. There are
// passwords in it, so it is for nobody but root and the master's user, whatever
// the socket's mode lets others do.
func (s *session) showConfiguration([]string) {
	if s.stranger {
		s.say("Refused: 'configuration' is for root and for the user of the master (%d), over a unix socket.", os.Geteuid())
		return
	}
	var about Loaded
	var text *os.File
	var why string
	asked := make(chan struct{})
	ask := func() {
		defer close(asked)
		w := s.current
		switch {
		case w == nil:
			why = "no worker serves"
		case w.snapshot == nil:
			why = "what the serving worker was loaded from is not known, as a release before this one has started it: it is after the next reload"
		default:
			about = Loaded{Generation: w.facts.Generation, Pid: w.pid, Args: s.Args}
			fd, err := unix.FcntlInt(w.snapshot.Fd(), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				why = err.Error()
				return
			}
			text = os.NewFile(uintptr(fd), "configuration")
		}
	}
	if !s.post(ask) {
		return
	}
	select {
	case <-asked:
	case <-s.over:
		return
	}
	if why != "" {
		s.say("Refused: %s.", why)
		return
	}
	defer text.Close()
	var err error
	if about.Dir, err = os.Getwd(); err != nil {
		s.say("Refused: %v.", err)
		return
	}
	st, err := text.Stat()
	if err != nil {
		s.say("Refused: %v.", err)
		return
	}
	if err := json.NewEncoder(s.w).Encode(about); err != nil {
		return // it has hung up
	}
	_, _ = io.Copy(s.w, io.NewSectionReader(text, 0, st.Size())) // the same
	s.say("")
}
