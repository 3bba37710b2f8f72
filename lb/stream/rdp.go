package stream

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"lbsyslogd/lb/sample"
)

// followRDP binds a connection to the server that its RDP cookie names:
// ADDRESS.PORT.REST, both numbers in the byte order of the network.
func (t *txn) followRDP(x *sample.Ctx) {
	if t.be.RDPCookie == "" || t.bound {
		return
	}
	value, ok := sample.RDPCookie(x, t.be.RDPCookie)
	parts := strings.SplitN(string(value), ".", 3)
	if !ok || len(parts) < 3 {
		return
	}
	addr, err := strconv.ParseUint(parts[0], 10, 32)
	port, err2 := strconv.ParseUint(parts[1], 10, 16)
	if err != nil || err2 != nil {
		return
	}
	var ip [4]byte
	binary.LittleEndian.PutUint32(ip[:], uint32(addr))
	at := netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port>>8|port<<8))
	for _, srv := range t.be.Servers {
		if srv.Addr().IP == at && (t.be.Persist || srv.Stats().Usable) {
			t.srv, t.bound = srv, true
			return
		}
	}
}
