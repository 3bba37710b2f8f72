package receive

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func dupFile(s *Socket) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	return os.NewFile(uintptr(fd), "lb"), err
}

// inet4 is an IPv4 address as the kernel writes it into a slot.
func inet4(a, b, c, d byte) unix.RawSockaddrInet6 {
	var name unix.RawSockaddrInet6
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&name))
	v4.Family, v4.Addr = unix.AF_INET, [4]byte{a, b, c, d}
	return name
}
