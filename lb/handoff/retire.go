package handoff

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A listening socket whose address the next configuration covers in another way (0.0.0.0:80 after 127.0.0.1:80) is still the one that the kernel
// chooses for a new connection, until it is closed; and what waits in its queue when it is closed is reset. So it is retired first: it lets no new
// connection begin, those that have begun end in its queue and are served, and only then is it closed. A client whose SYN was dropped meanwhile sends it
// again after a second, to the socket that is there by then.

// synOnly is a filter (classic BPF, over the TCP header) that drops a SYN without ACK and lets everything else pass. Accepted connections inherit it,
// and none of them gets such a packet.
var synOnly = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13}, // the flags
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// RetireWait is how long the handshakes that had begun have to end, before what waits in the queue is taken for the last time.
const RetireWait = 100 * time.Millisecond

// Retire has the socket let no new connection begin. False: it is no TCP socket.
func Retire(fd int) bool {
	if proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || proto != unix.IPPROTO_TCP {
		return false
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(synOnly)), Filter: &synOnly[0]}) == nil
}

// SharesPort reports whether one of wants listens at the port that the socket is bound to, at whatever address.
func SharesPort(fd int, wants []Want) bool {
	s, err := look(fd)
	if err != nil || !s.tcp.IsValid() {
		return false
	}
	for _, w := range wants {
		if !strings.HasPrefix(w.Network, "tcp") {
			continue
		}
		if ap, err := w.addrPort(); err == nil && ap.Port() == s.tcp.Port() {
			return true
		}
	}
	return false
}

// Unretire undoes Retire, for whoever else may have the socket.
func Unretire(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) }

// Holds reports whether the socket is one of the service manager's.
func (a *Activated) Holds(fd int) bool {
	var is, st unix.Stat_t
	if unix.Fstat(fd, &is) != nil {
		return false
	}
	for _, s := range a.sockets.list {
		if unix.Fstat(s.fd, &st) == nil && st.Dev == is.Dev && st.Ino == is.Ino {
			return true
		}
	}
	return false
}
