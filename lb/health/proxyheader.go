package health

import (
	"fmt"
	"net"
)

// proxyHeader is the PROXY header of a check: in version 1 with the addresses
// of the connection itself, in version 2 LOCAL, which says that the balancer
// speaks for itself.
func proxyHeader(version int, conn net.Conn) []byte {
	if version == 2 {
		return []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
	}
	from, ok1 := conn.LocalAddr().(*net.TCPAddr)
	to, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return []byte("PROXY UNKNOWN\r\n")
	}
	family := "TCP4"
	if from.IP.To4() == nil {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, from.IP, to.IP, from.Port, to.Port)
}
