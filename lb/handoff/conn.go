package handoff

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/secret"
)

// MaxFDs is the most descriptors one message carries (SCM_MAX_FD).
const MaxFDs = 253

// MaxMessage is the most bytes one message carries: well below the default
// send buffer, because a packet is sent whole or not at all.
const MaxMessage = 160 << 10

// Conn carries messages with descriptors between two processes of one
// machine. A message is one packet: it arrives whole, with its descriptors,
// or not at all, and a process that takes a connection over after another one
// died begins at a boundary. Send may be called from several goroutines, besides
// one that calls Receive.
type Conn struct {
	c    *net.UnixConn
	buf  []byte      // Receive's
	oob  []byte      // Receive's
	from *unix.Ucred // Receive's: who sent the last message; nil where that is not known
}

// Pair makes a connection. The file is the other end, for a child; the caller
// closes it after the child has been started.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "peer")
	ours, err := NewConn(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// NewConn makes a Conn of one end of a packet socket. It closes f.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("control connection: %w", err)
	}
	uc, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("control connection: not a unix socket")
	}
	return FromUnix(uc), nil
}

// FromUnix makes a Conn of a connected packet socket, which it then owns.
func FromUnix(c *net.UnixConn) *Conn {
	return &Conn{c: c, buf: make([]byte, MaxMessage), oob: make([]byte, unix.CmsgSpace(4*MaxFDs)+unix.CmsgSpace(unix.SizeofUcred))}
}

// Identify has the kernel add to each message which process sent it, and as
// which user: what a process says about itself it may have invented.
func (c *Conn) Identify() error {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return err
	}
	var oerr error
	if err := raw.Control(func(fd uintptr) { oerr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil {
		return err
	}
	return oerr
}

// From is who sent the message that the last Receive returned, as the kernel
// says since Identify; nil before. It belongs to the goroutine that calls
// Receive.
func (c *Conn) From() *unix.Ucred { return c.from }

// Secretive is a message that has secrets. They are no part of its JSON, but
// travel after it: the encoder and the decoder would keep copies of them.
type Secretive interface {
	// Secrets is where they are, as many at both ends and in the same order.
	Secrets() []*[]byte
}

// Send sends v as JSON together with fds, which stay the caller's. It waits
// up to timeout for a receiver that is slow or that holds too many
// descriptors in flight.
func (c *Conn) Send(v any, fds []int, timeout time.Duration) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if s, ok := v.(Secretive); ok {
		data = appendSecrets(data, s.Secrets())
	}
	defer clear(data)
	switch {
	case len(data) > MaxMessage:
		return fmt.Errorf("a message of %d bytes is over the limit of %d", len(data), MaxMessage)
	case len(fds) > MaxFDs:
		return fmt.Errorf("a message with %d descriptors is over the limit of %d", len(fds), MaxFDs)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	step()
	end := time.Now().Add(timeout)
	if err := c.c.SetWriteDeadline(end); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for {
		_, _, err = c.c.WriteMsgUnix(data, oob, nil)
		// Too many descriptors in flight for an unprivileged user: they are
		// counted until the receiver takes them out, so this passes.
		if !errors.Is(err, unix.ETOOMANYREFS) || time.Now().After(end) {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	step()
	return nil
}

// ErrDescriptors means that this process could not take all the descriptors
// of a message, because of its limit of open files.
var ErrDescriptors = errors.New("the limit of open files is too low for the sockets that were sent (raise LimitNOFILE or ulimit -n)")

// Receive waits for a message, decodes it into v and returns the descriptors
// that came with it: close-on-exec, and the caller's. io.EOF means that the
// other process is gone. With ErrDescriptors v holds what the message says, and
// none of its descriptors is left.
func (c *Conn) Receive(v any) ([]int, error) {
	n, oobn, flags, _, err := c.c.ReadMsgUnix(c.buf, c.oob)
	if errors.Is(err, unix.ECONNRESET) {
		// It ended with something unread. The kernel says so once, and before what it had sent.
		n, oobn, flags, _, err = c.c.ReadMsgUnix(c.buf, c.oob)
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("receive: %w", err)
	}
	if n == 0 && oobn == 0 {
		return nil, io.EOF
	}
	fds, from, err := rights(c.oob[:oobn])
	c.from = from
	if err == nil && flags&unix.MSG_TRUNC != 0 {
		err = errors.New("receive: a message is larger than the limit")
	}
	if err == nil {
		text, secrets, _ := bytes.Cut(c.buf[:n], []byte{0})
		err = json.Unmarshal(text, v)
		if s, ok := v.(Secretive); ok && err == nil {
			err = takeSecrets(secrets, s.Secrets())
		}
		clear(c.buf[:n])
	}
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = ErrDescriptors
	}
	step()
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

// appendSecrets appends secrets to a message in memory that has room for all of
// them: nothing is left of them elsewhere. There is no NUL in JSON, which says
// where they begin.
func appendSecrets(data []byte, secrets []*[]byte) []byte {
	size := 1
	for _, s := range secrets {
		size += binary.MaxVarintLen32 + len(*s)
	}
	if size == 1 {
		return data
	}
	data = append(slices.Grow(data, size), 0)
	for _, s := range secrets {
		data = append(binary.AppendUvarint(data, uint64(len(*s))), *s...)
	}
	secret.Registers()
	return data
}

// takeSecrets puts the secrets where they belong.
func takeSecrets(b []byte, secrets []*[]byte) error {
	for _, s := range secrets {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return errors.New("receive: secrets are missing")
		}
		if *s = nil; size > 0 {
			*s = bytes.Clone(b[n : n+int(size)])
		}
		b = b[n+int(size):]
	}
	secret.Registers()
	return nil
}

// ReceiveWithin is Receive with a limit: os.ErrDeadlineExceeded is its error
// when nothing came by then.
func (c *Conn) ReceiveWithin(v any, limit time.Duration) ([]int, error) {
	if err := c.c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	fds, err := c.Receive(v)
	if err == nil {
		err = c.c.SetReadDeadline(time.Time{})
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.c.SetReadDeadline(time.Time{}) // it worked before
	}
	return fds, err
}

// Interrupt makes Receive return os.ErrDeadlineExceeded, now and from now on.
// What was not received stays in the socket: another process can go on there.
func (c *Conn) Interrupt() error { return c.c.SetReadDeadline(time.Unix(1, 0)) }

// Peer returns who made the other end of a connection that was accepted or
// dialled.
func (c *Conn) Peer() (*unix.Ucred, error) { return Peer(c.c) }

// Peer returns the credentials of the process at the other end.
func Peer(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, cerr
}

// Ended says that the other process is gone, which Receive comes to when it has
// given all that was sent.
func (c *Conn) Ended() bool {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		ended = err == nil && n == 1 && p[0].Revents&unix.POLLHUP != 0
	})
	return ended || err != nil
}

// Dup duplicates the connection's descriptor, for the fd store or a process
// that takes over. (An os.File would not do: to ask one for its descriptor makes
// the connection a blocking one, for all who share it.)
func (c *Conn) Dup() (int, error) {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup := -1
	if cerr := raw.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); cerr != nil {
		return -1, cerr
	}
	return dup, err
}

// SyscallConn is the connection as the kernel knows it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.c.SyscallConn() }

// Close ends the connection.
func (c *Conn) Close() error { return c.c.Close() }

// rights takes the descriptors, and the sender where it is known, out of a
// control message.
func rights(oob []byte) (fds []int, from *unix.Ucred, err error) {
	if len(oob) == 0 {
		return nil, nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, nil, fmt.Errorf("receive descriptors: %w", err)
	}
	for i := range messages {
		if got, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		} else if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil && cred.Pid != 0 {
			from = cred
		}
	}
	return fds, from, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
