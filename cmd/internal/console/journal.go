package console

import (
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// Priorities of syslog(3), as the journal has them. 0 would be shown on every
// terminal of the machine.
const (
	priAlert   = 1
	priCrit    = 2
	priErr     = 3
	priWarning = 4
	priNotice  = 5
	priInfo    = 6
	priDebug   = 7
)

// entry is one message for the journal.
type entry struct {
	priority int
	message  string
	fields   []field
}

type field struct{ name, value string }

// has says whether a field is there.
func (e *entry) has(name string) bool {
	for _, f := range e.fields {
		if f.name == name {
			return true
		}
	}
	return false
}

func (e *entry) add(name, value string) {
	if value != "" && validName(name) && !e.has(name) {
		e.fields = append(e.fields, field{name, value})
	}
}

// validName says whether journald takes a field of this name: upper case,
// digits, underscores, not at the beginning, 64 at most. It drops others.
func validName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '_' || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for _, c := range name {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// maxMessage keeps an entry well within what a socket's buffer takes in one
// datagram.
const maxMessage = 48 << 10

// encode writes the entry in the journal's native protocol: KEY=VALUE lines, or
// KEY, a little-endian 64-bit length and the value where it has line ends.
func (e *entry) encode(identifier string) []byte {
	var out []byte
	put := func(name, value string) {
		out = append(out, name...)
		if strings.Contains(value, "\n") {
			out = binary.LittleEndian.AppendUint64(append(out, '\n'), uint64(len(value)))
		} else {
			out = append(out, '=')
		}
		out = append(append(out, value...), '\n')
	}
	put("PRIORITY", strconv.Itoa(e.priority))
	put("SYSLOG_IDENTIFIER", identifier)
	put("MESSAGE", shown(e.message))
	for _, f := range e.fields {
		put(f.name, shown(f.value))
	}
	return out
}

// shown is text as journalctl shows it. Of a text with one byte that cannot be
// printed it would only say how long it is.
func shown(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, text[:min(len(text), maxMessage)])
}

// journal is the way to journald. go-systemd's Send has no bound on how long it
// waits, opens its socket when it may be too late, and cannot tell whether an
// entry has arrived; here each of these matters.
type journal struct {
	conn *net.UnixConn
	addr net.UnixAddr
	sent bool // since the last flush
}

// open makes the socket, once.
func (j *journal) open() error {
	if j.conn != nil {
		return nil
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err == nil {
		j.conn = conn
	}
	return err
}

// sendWait bounds one send: nothing that serves may wait for a journal that is
// stuck.
const sendWait = 200 * time.Millisecond

// send sends one datagram. The address is looked up every time, so that a
// journald that was restarted is found.
func (j *journal) send(socket string, datagram []byte) error {
	if err := j.open(); err != nil {
		return err
	}
	j.addr = net.UnixAddr{Name: socket, Net: "unixgram"}
	if err := j.conn.SetWriteDeadline(time.Now().Add(sendWait)); err != nil {
		return err
	}
	_, err := j.conn.WriteToUnix(datagram, &j.addr)
	j.sent = j.sent || err == nil
	return err
}

// flushWait bounds flush.
const flushWait = time.Second

// flush sends an empty datagram, which journald ignores, and waits until it was
// received: by then all that came before has been worked on, and journald has
// looked up whose it is.
func (j *journal) flush() {
	if !j.sent {
		return
	}
	j.sent = false
	_ = j.conn.SetWriteDeadline(time.Now().Add(sendWait))
	if _, err := j.conn.WriteToUnix(nil, &j.addr); err != nil {
		return
	}
	raw, err := j.conn.SyscallConn()
	if err != nil {
		return
	}
	waiting := func() (n int) {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return n
	}
	for end := time.Now().Add(flushWait); waiting() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
