// Package notify speaks to the service manager: readiness, the watchdog, and
// the store in which it keeps descriptors from one start of a service to the
// next (sd_notify(3), "File Descriptor Store" in systemd.service(5)).
package notify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Manager is the service manager that started this process. Immutable.
type Manager struct {
	path string // "@" begins an abstract one
}

// Find returns the service manager, or nil when nobody wants to be notified.
func Find() *Manager {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	return &Manager{path: path}
}

// Send sends assignments, one in a line: "READY=1\nSTATUS=Serving".
func (m *Manager) Send(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// Store gives a descriptor to keep under name. One that was kept under that
// name before is dropped: the manager would hand out both.
func (m *Manager) Store(name string, fd int) error {
	if err := m.Remove(name); err != nil {
		return err
	}
	// A listener never hangs up, and a worker's connection that does is
	// dropped by the manager itself (FDPOLL is on unless said otherwise).
	return m.send("FDSTORE=1\nFDNAME="+encode(name), fd)
}

// send sends assignments with a descriptor.
func (m *Manager) send(state string, fd int) error {
	// Not a net.UnixConn: a connected one refuses to send descriptors along.
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	return unix.Sendmsg(sock, []byte(state), unix.UnixRights(fd), &unix.SockaddrUnix{Name: m.path}, 0)
}

// Remove drops what is kept under name.
func (m *Manager) Remove(name string) error {
	return m.Send("FDSTOREREMOVE=1\nFDNAME=" + encode(name))
}

// Barrier returns when the manager has done all that it was asked to before
// (sd_notify_barrier(3)), or after limit with an error.
func (m *Manager) Barrier(limit time.Duration) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	// The manager closes its copy when it comes to this message.
	err = errors.Join(m.send("BARRIER=1", int(w.Fd())), w.Close())
	if err == nil {
		err = r.SetReadDeadline(time.Now().Add(limit))
	}
	if err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("the service manager does not answer: %w", err)
	}
	return nil
}

// Kept is one descriptor that the manager kept, or a socket of a socket unit.
// It belongs to whoever asked.
type Kept struct {
	Name string
	File *os.File
}

// Take returns what the manager kept. The environment variables that describe
// it are removed, so that a child does not take them for its own.
func Take() []Kept {
	var kept []Kept
	for _, f := range activation.Files(true) {
		kept = append(kept, Kept{decode(f.Name()), f})
	}
	return kept
}

// Watchdog is how often the manager wants to hear from this process; 0 is
// never. The environment goes on saying so: a program that this process turns
// into has to know it too.
func Watchdog() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	return d, nil
}

// encode makes a name of what the manager accepts: printable ASCII without
// colons, which separate the names in LISTEN_FDNAMES. A longer name than it
// accepts (255) is cut; then two may be one, and the socket is opened again.
func encode(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == ':' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	s := b.String()
	return s[:min(len(s), 255)]
}

// decode undoes encode. What encode did not make stays as it is.
func decode(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if c, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
