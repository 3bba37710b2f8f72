package backend

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's socket addresses share their first two bytes; the rest is read
// by family.

func rawUnix(a *unix.RawSockaddrAny) *unix.RawSockaddrUnix {
	return (*unix.RawSockaddrUnix)(unsafe.Pointer(a))
}

func rawIP(ap netip.AddrPort) (a unix.RawSockaddrAny, size uint32) {
	port := ap.Port()<<8 | ap.Port()>>8 // network order
	if ip := ap.Addr().Unmap(); ip.Is4() {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a))
		in.Family, in.Port, in.Addr = unix.AF_INET, port, ip.As4()
		return a, unix.SizeofSockaddrInet4
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a))
	in.Family, in.Port, in.Addr = unix.AF_INET6, port, ap.Addr().As16()
	return a, unix.SizeofSockaddrInet6
}

// FromRaw reads an IP socket address; a unix peer gives the zero value. IPv4
// mapped into IPv6 comes out as IPv4.
func FromRaw(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), in.Port<<8|in.Port>>8)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), in.Port<<8|in.Port>>8)
	}
	return netip.AddrPort{}
}
