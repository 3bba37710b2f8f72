package health

import (
	"encoding/binary"
	"fmt"
	"net"
)

// proxyHeader is the PROXY header of a check: in version 1 with the addresses
// of the connection itself, in version 2 LOCAL, which says that the balancer
// speaks for itself, unless never forbids it.
func proxyHeader(version int, never bool, conn net.Conn) []byte {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	from, ok1 := conn.LocalAddr().(*net.TCPAddr)
	to, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	known := ok1 && ok2
	switch {
	case version == 2 && !(never && known):
		return []byte(signature + "\x20\x00\x00\x00")
	case version == 2:
		family, a, b := byte(0x11), from.IP.To4(), to.IP.To4()
		if a == nil || b == nil {
			family, a, b = 0x21, from.IP.To16(), to.IP.To16()
		}
		dst := append([]byte(signature), 0x21, family, 0, byte(len(a)+len(b)+4))
		dst = append(append(dst, a...), b...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(from.Port))
		return binary.BigEndian.AppendUint16(dst, uint16(to.Port))
	case !known:
		return []byte("PROXY UNKNOWN\r\n")
	}
	family := "TCP4"
	if from.IP.To4() == nil {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, from.IP, to.IP, from.Port, to.Port)
}
