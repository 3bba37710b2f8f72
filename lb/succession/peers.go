package succession

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Peers are spoken to by one worker at a time. The old one ends its connections when
// it is told to drain, sends what its tables have learned until then, and at last how
// far each peer has come: as a memory file, since a peer that is away for long may
// not know much of a large table.

// maxPeers bounds what is read of it.
const maxPeers = 1 << 30

// sendPeers sends the next worker what package peers said at its end; nil is nothing.
func (g *Generation) sendPeers(s *successor, told []byte) error {
	if told == nil {
		return nil
	}
	fd, err := unix.MemfdCreate("lb-peers", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "peers")
	defer f.Close()
	if _, err := f.Write(told); err != nil {
		return fmt.Errorf("write a memory file: %w", err)
	}
	return s.send(message{Kind: kindPeers, More: true}, []int{fd})
}

// receivePeers goes on with the peers where an earlier worker has stopped. It owns
// the descriptors.
func (g *Generation) receivePeers(fds []int) {
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "peers")
		if i == 0 {
			told, err := io.ReadAll(io.NewSectionReader(f, 0, maxPeers))
			if err != nil {
				g.Warn("read what peers know: " + err.Error() + "; they are asked for everything")
				told = nil
			}
			g.beginPeers(told)
		}
		f.Close()
	}
}

// beginPeers begins to speak to peers, unless this has happened before.
func (g *Generation) beginPeers(told []byte) { g.Peers.Begin(told) }
