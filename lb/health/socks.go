package health

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"lbsyslogd/lb/socks4"
)

// throughSOCKS4 asks a proxy for a connection to a server.
func throughSOCKS4(conn net.Conn, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("SOCKS4 needs the server's IP address, '" + address + "' is none")
	}
	request, ok := socks4.Request(to)
	if !ok {
		return errors.New("SOCKS4 knows IPv4 addresses alone")
	}
	if _, err := conn.Write(request[:]); err != nil {
		return err
	}
	var reply [socks4.ReplySize]byte
	switch _, err := io.ReadFull(conn, reply[:]); {
	case isTimeout(err):
		return err
	case err != nil:
		return errors.New("SOCKS4 Proxy read error during handshake")
	case !socks4.Granted(reply):
		return errors.New("SOCKS4 Proxy deny the request")
	}
	return nil
}
