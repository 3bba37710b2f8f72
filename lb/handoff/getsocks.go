package handoff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// The stats socket's _getsocks, as HAProxy speaks it:
//
//  1. the client sends "_getsocks\n"
//  2. the server answers with the number of descriptors, an int32 in the
//     machine's order
//  3. messages of at most 252 descriptors follow; the data holds for each one
//     a length byte and the namespace, a length byte and the interface, and
//     four bytes for options
//  4. the client answers each message with the count it has so far

const getsocksBatch = 252

// getsocksWait bounds each step: the other side has nothing to think about.
const getsocksWait = 5 * time.Second

// TakeSockets asks the stats socket at path for its listening sockets.
func TakeSockets(path string) (*Taken, error) {
	c, err := net.DialTimeout("unix", path, getsocksWait)
	if err != nil {
		return nil, fmt.Errorf("take sockets: %w", err)
	}
	defer c.Close()
	t, err := takeSockets(c.(*net.UnixConn))
	if err != nil {
		return nil, fmt.Errorf("take sockets from %s: %w", path, err)
	}
	return t, nil
}

func takeSockets(c *net.UnixConn) (*Taken, error) {
	if err := c.SetDeadline(time.Now().Add(getsocksWait)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, "_getsocks\n"); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, fmt.Errorf("no answer to _getsocks (does the stats socket have `expose-fd listeners`?): %w", err)
	}
	count := int(int32(binary.NativeEndian.Uint32(head[:])))
	// Where it is not allowed the answer is text: four letters are a huge number.
	if count < 0 || count > 1<<20 {
		return nil, errors.New("_getsocks was refused (does the stats socket have `expose-fd listeners`?)")
	}
	fds, data, err := receiveSockets(c, count)
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	t := new(Taken)
	for i, fd := range fds {
		var iface string
		if iface, data, err = nextSocket(data); err != nil {
			closeAll(fds[i:])
			t.Close()
			return nil, err
		}
		t.Add(fd, iface)
	}
	return t, nil
}

// receiveSockets gathers all messages. The descriptors are the caller's, with
// an error too.
func receiveSockets(c *net.UnixConn, count int) (fds []int, data []byte, err error) {
	buf, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(4*MaxFDs))
	for len(fds) < count {
		if err := c.SetDeadline(time.Now().Add(getsocksWait)); err != nil {
			return fds, nil, err
		}
		n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
		if err != nil {
			return fds, nil, fmt.Errorf("after %d of %d sockets: %w", len(fds), count, err)
		}
		got, _, err := rights(oob[:oobn])
		fds = append(fds, got...)
		switch {
		case err != nil:
			return fds, nil, err
		case flags&unix.MSG_CTRUNC != 0:
			return fds, nil, ErrDescriptors
		case n == 0:
			return fds, nil, fmt.Errorf("it sent %d of %d sockets: %w", len(fds), count, io.ErrUnexpectedEOF)
		}
		data = append(data, buf[:n]...)
		if len(got) == 0 {
			continue // the rest of a message's data
		}
		// HAProxy does not wait for the last acknowledgement: it may be gone.
		if err := sendCount(c, len(fds)); err != nil && len(fds) < count {
			return fds, nil, err
		}
	}
	return fds, data, nil
}

var errSocketData = errors.New("the list of sockets is cut off")

// nextSocket reads what is said about one socket: namespace, interface,
// options. The namespace is not ours to enter.
func nextSocket(data []byte) (iface string, rest []byte, err error) {
	for range 2 {
		if len(data) == 0 {
			return "", nil, errSocketData
		}
		n := 1 + int(data[0])
		if len(data) < n {
			return "", nil, errSocketData
		}
		iface, data = string(data[1:n]), data[n:]
	}
	if len(data) < 4 {
		return "", nil, errSocketData
	}
	return iface, data[4:], nil
}

func sendCount(c *net.UnixConn, n int) error {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	_, err := c.Write(b[:])
	return err
}

// SendSockets answers a _getsocks that was read from c with all sockets of
// the set. They stay open here too.
func SendSockets(c *net.UnixConn, set *Set) error {
	if err := sendSockets(c, set); err != nil {
		return fmt.Errorf("give sockets away: %w", err)
	}
	return nil
}

func sendSockets(c *net.UnixConn, set *Set) error {
	var fds []int
	var about [][]byte
	for _, fd := range set.All() {
		fds = append(fds, fd)
		iface, _ := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
		b := []byte{0, byte(len(iface))}
		b = append(b, iface...)
		about = append(about, append(b, 0, 0, 0, 0))
	}
	if err := c.SetDeadline(time.Now().Add(getsocksWait)); err != nil {
		return err
	}
	if err := sendCount(c, len(fds)); err != nil {
		return err
	}
	for sent := 0; sent < len(fds); {
		end := min(sent+getsocksBatch, len(fds))
		if err := c.SetDeadline(time.Now().Add(getsocksWait)); err != nil {
			return err
		}
		if _, _, err := c.WriteMsgUnix(bytes.Join(about[sent:end], nil), unix.UnixRights(fds[sent:end]...), nil); err != nil {
			return err
		}
		sent = end
		var ack [4]byte
		if _, err := io.ReadFull(c, ack[:]); err != nil {
			return fmt.Errorf("no acknowledgement for %d sockets: %w", sent, err)
		}
	}
	return nil
}
