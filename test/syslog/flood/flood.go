// Package flood sends numbered syslog messages as fast as sendmmsg can, or at a rate, so that a test can say of each one what
// became of it.
package flood

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flood is what to send. Messages are numbered from First on.
type Flood struct {
	To    string // host:port, UDP
	From  string // an address of this host to send from; empty: any
	First int
	Count int // 0: until ctx is done
	Rate  int // messages per second; 0: as fast as it goes
	Size  int // bytes of a message, at least 60; 0: 200
}

// batch is how many messages go with one system call.
const batch = 256

type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
	_    [4]byte
}

// Line is the text of message n after its header: padded, so that a torn line shows.
func Line(dst []byte, n, size int) []byte {
	start := len(dst)
	dst = append(dst, "n="...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, ' ')
	for len(dst)-start < size-4 {
		dst = append(dst, 'x')
	}
	return append(dst, " end"...)
}

// header comes before the text: host-less, as HAProxy sends it.
const header = "<134>Nov 21 03:04:05 flood[42]: "

// TextSize is how long the text of a message of the given size is.
func TextSize(size int) int { return size - len(header) }

// Send sends and returns how many messages the kernel took.
func (f Flood) Send(ctx context.Context) (sent int, err error) {
	if f.Size == 0 {
		f.Size = 200
	}
	var d net.Dialer
	if f.From != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(f.From)}
	}
	conn, err := d.DialContext(ctx, "udp", f.To)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	file, err := conn.(*net.UDPConn).File()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		return 0, err
	}
	buf := make([]byte, 0, batch*f.Size)
	msgs := make([]mmsghdr, batch)
	iovs := make([]unix.Iovec, batch)
	start := time.Now()
	for (f.Count == 0 || sent < f.Count) && ctx.Err() == nil {
		n := batch
		if f.Rate > 0 {
			// At most a fifth of a millisecond's worth at a time, so that the rate is a rate and not bursts.
			n = min(n, max(1, f.Rate/5000))
			if ahead := time.Duration(sent)*time.Second/time.Duration(f.Rate) - time.Since(start); ahead > 0 {
				ts := unix.NsecToTimespec(int64(ahead))
				unix.Nanosleep(&ts, nil)
			}
		}
		if f.Count > 0 {
			n = min(n, f.Count-sent)
		}
		buf = buf[:0]
		for i := range n {
			from := len(buf)
			buf = append(buf, header...)
			buf = Line(buf, f.First+sent+i, TextSize(f.Size))
			iovs[i].Base = &buf[from]
			iovs[i].SetLen(len(buf) - from)
			msgs[i].hdr.Iov, msgs[i].hdr.Iovlen = &iovs[i], 1
		}
		for done := 0; done < n; {
			k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[done])), uintptr(n-done), 0, 0, 0)
			if errno == unix.EINTR {
				continue
			}
			if errno != 0 {
				return sent, fmt.Errorf("sendmmsg to %s: %w", f.To, errno)
			}
			done += int(k)
			sent += int(k)
		}
	}
	return sent, nil
}
