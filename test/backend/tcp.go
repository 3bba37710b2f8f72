package backend

import (
	"io"
	"net"
)

// Echo is a TCP server that sends back what it gets and ends its side when the peer has ended theirs.
type Echo struct {
	hub
	Counts Counts
}

// StartEcho listens on addr and echoes until Close.
func StartEcho(addr string) (*Echo, error) {
	e := &Echo{}
	if err := e.open(addr, e.serve); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Echo) serve(c net.Conn) {
	e.Counts.Connections.Add(1)
	if _, err := io.Copy(c, c); err != nil {
		e.Counts.Aborted.Add(1)
	}
}
