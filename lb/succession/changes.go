package succession

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What operators changed at run time goes before the state of the servers, as a
// memory file: a map may be far larger than a message.

// maxChanges bounds what is read of them.
const maxChanges = 256 << 20

func (g *Generation) sendChanges(s *successor) error { return g.sendChangesOf(s, g.Changes) }

// sendChangesOf sends what changes returns.
func (g *Generation) sendChangesOf(s *successor, changes func() []byte) error {
	if changes == nil {
		return nil
	}
	g.changing.Lock() // what was gathered later is sent later
	defer g.changing.Unlock()
	text := changes()
	if len(text) == 0 {
		return nil
	}
	defer clear(text) // certificates' keys may be among it
	fd, err := unix.MemfdCreate("lb-changes", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "changes")
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	// More: for whoever does not know the kind this is not the last of the state.
	return s.send(message{Kind: kindChanges, More: true}, []int{fd})
}

// receiveChanges takes them over. fds are this function's.
func (g *Generation) receiveChanges(fds []int) {
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "changes")
		if i == 0 && g.Apply != nil {
			if text, err := readChanges(f); err == nil {
				g.Apply(text)
				clear(text)
			} else {
				g.Warn("take over what was changed at run time: " + err.Error())
			}
		}
		f.Close()
	}
}

// readChanges reads them into memory of their size, and into no other, as certificates' keys may be among them.
func readChanges(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text := make([]byte, min(info.Size(), maxChanges))
	_, err = f.ReadAt(text, 0)
	return text, err
}
