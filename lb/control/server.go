package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Level is what a socket's clients may do.
type Level uint8

// Levels, each with the rights of those before it.
const (
	User     Level = iota // look at figures
	Operator              // look at everything, clear maxima
	Admin                 // change anything
)

// ParseLevel reads the word after `level` on a stats socket line.
func ParseLevel(s string) (Level, error) {
	for l := User; l <= Admin; l++ {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("level %q is not known; it is user, operator or admin", s)
}

func (l Level) String() string { return [...]string{"user", "operator", "admin"}[l] }

// Server answers on one stats socket. Its fields are set before Serve and not
// changed after.
type Server struct {
	// Listener is closed by Serve. One made of a descriptor leaves the socket
	// itself to whoever else holds it.
	Listener net.Listener
	Runtime  Runtime
	// Certificates is for commands about TLS; nil: there are none.
	Certificates Certificates
	Level        Level
	Severity     string // what stands before messages, until a client says otherwise: "none" or "", "number", "string"
	// ExposeFD lets _getsocks take the listening sockets (expose-fd listeners).
	ExposeFD bool
	// Timeout ends a connection that is silent for so long (stats timeout);
	// 10s when 0.
	Timeout time.Duration
	// MaxConn is how many connections are served at once (stats maxconn); 10
	// when 0. More wait in the accept queue.
	MaxConn int
	Version string // for `show version`
	// StartupLogs is what was said when the configuration was read.
	StartupLogs string
	// Sockets are all the stats sockets, for `show cli sockets`.
	Sockets []Socket
}

// Socket is one line of `show cli sockets`.
type Socket struct {
	Address string // "unix@/run/lb/admin.sock"
	Level   Level
}

// Serve accepts connections until ctx ends, and returns when the last of them
// is done: those that wait at a prompt end at once, others have their command
// answered first.
func (s *Server) Serve(ctx context.Context) error {
	l := s.Listener
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	limit := s.MaxConn
	if limit <= 0 {
		limit = 10
	}
	places := make(chan struct{}, limit)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		switch {
		case err == nil: // one that came just before the end is answered too
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on stats socket %s: %w", l.Addr(), err)
		default:
			// Out of descriptors, or the client is gone already. The next try
			// may do better, but not at once.
			<-places
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		sessions.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			s.Converse(ctx, conn)
		})
	}
}
