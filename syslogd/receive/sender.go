package receive

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender is where a message came from. Immutable.
type Sender struct {
	Addr  netip.Addr // invalid for unix sockets
	Name  string     // the address as text; empty for unix sockets and loopback, whose messages are this host's own
	Local bool
}

// NewSender describes a peer by its address.
func NewSender(addr netip.Addr) *Sender {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsLoopback() {
		return &Sender{Addr: addr, Local: true}
	}
	return &Sender{Addr: addr, Name: addr.WithZone("").String()}
}

// senders remembers peers, so that a message from a known one allocates nothing. Owned by one Reader.
type senders struct {
	last4   *Sender // the last one with an IPv4 address, which is addr4: most messages come from one of them after the other
	addr4   [4]byte
	lastKey senderKey
	last    *Sender
	known   map[senderKey]*Sender
}

type senderKey struct {
	family uint16
	addr   [16]byte
}

// maxSenders bounds the memory that forged addresses can take.
const maxSenders = 4096

func (s *senders) find(name *unix.RawSockaddrInet6, length uint32) *Sender {
	if length != unix.SizeofSockaddrInet4 || name.Family != unix.AF_INET {
		return s.search(name, length)
	}
	addr := (*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr
	if s.last4 == nil || addr != s.addr4 {
		s.last4, s.addr4 = s.search(name, length), addr
	}
	return s.last4
}

func (s *senders) search(name *unix.RawSockaddrInet6, length uint32) *Sender {
	key := senderKey{}
	if length >= unix.SizeofSockaddrInet4 {
		key.family = name.Family
	}
	switch key.family {
	case unix.AF_INET:
		copy(key.addr[:4], (*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr[:])
	case unix.AF_INET6:
		key.addr = name.Addr
	default:
		key.family = unix.AF_UNIX
	}
	if s.last != nil && key == s.lastKey {
		return s.last
	}
	who := s.known[key]
	if who == nil {
		if len(s.known) >= maxSenders || s.known == nil {
			s.known = make(map[senderKey]*Sender)
		}
		var addr netip.Addr
		switch key.family {
		case unix.AF_INET:
			addr = netip.AddrFrom4([4]byte(key.addr[:4]))
		case unix.AF_INET6:
			addr = netip.AddrFrom16(key.addr)
		}
		who = NewSender(addr)
		s.known[key] = who
	}
	s.lastKey, s.last = key, who
	return who
}
