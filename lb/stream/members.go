package stream

import (
	"errors"
	"slices"
	"sync"

	"lbsyslogd/lb/backend"
)

// Servers that come and go while the engine runs. What the data path reads of
// them is not locked, so that it changes only while every loop rests.

// stillness is when all loops rest.
type stillness struct {
	stilling sync.Mutex // held while they do, and while they are told to end
	ended    bool       // Stop was called. stilling guards it.
}

// Still runs do while no loop runs anything: it may change what loops own. It
// is false, and do is not run, when the engine has ended. do must not wait for
// a loop.
func (e *Engine) Still(do func()) bool {
	e.stilling.Lock()
	defer e.stilling.Unlock()
	if e.ended {
		return false
	}
	var resting sync.WaitGroup
	goOn := make(chan struct{})
	defer close(goOn)
	for _, sh := range e.Shards {
		resting.Add(1)
		sh.Loop.Post(func() {
			resting.Done()
			<-goOn
		})
	}
	resting.Wait()
	do()
	return true
}

// ServerUse is how a backend uses one of its servers. The zero value is the
// usual way.
type ServerUse struct {
	NonStick bool
	Redir    string
	Outbound *Outbound
	TLS      *ServerTLS
	HTTP2    *ServerHTTP2
	Pooling  *Pooling
}

// Use says how be uses s; before Start, or within Still.
func (be *Backend) Use(s *backend.Server, u ServerUse) {
	put(&be.NonStick, s, u.NonStick)
	put(&be.Redirs, s, u.Redir)
	put(&be.Outbound, s, u.Outbound)
	put(&be.TLS, s, u.TLS)
	put(&be.HTTP2, s, u.HTTP2)
	put(&be.Pooling, s, u.Pooling)
}

// put notes what is not the zero value; a map that has nothing stays nil.
func put[V comparable](m *map[*backend.Server]V, s *backend.Server, v V) {
	var zero V
	switch {
	case v == zero:
		delete(*m, s)
	case *m == nil:
		*m = map[*backend.Server]V{s: v}
	default:
		(*m)[s] = v
	}
}

// AddServer makes s, which is new, one of be's servers. It gets its Index here.
func (e *Engine) AddServer(be *Backend, s *backend.Server, u ServerUse) bool {
	return e.Still(func() {
		s.Index = len(e.Servers)
		e.Servers = append(e.Servers, s)
		for _, sh := range e.Shards {
			sh.Server = append(sh.Server, ServerCounters{})
			sh.pools = append(sh.pools, idlePool{})
		}
		be.Use(s, u)
		for _, sh := range e.Shards {
			sh.prepareLinks()
		}
		be.Backend.Add(s)
	})
}

// ErrBusy says that something is on the server.
var ErrBusy = errors.New("the server has connections")

// RemoveServer takes s out of be. Its idle connections are closed; ErrBusy when
// it has others. Its Index is not used again.
func (e *Engine) RemoveServer(be *Backend, s *backend.Server) (err error) {
	e.Still(func() {
		if be.Busy(s) {
			err = ErrBusy
			return
		}
		e.closeIdle(s)
		be.Use(s, ServerUse{})
		be.Backend.Remove(s)
	})
	return err
}

// SetServerTLS says how s is spoken to from now on; nil is plainly. Idle
// connections to it are closed.
func (e *Engine) SetServerTLS(be *Backend, s *backend.Server, how *ServerTLS) {
	e.Still(func() {
		put(&be.TLS, s, how)
		e.closeIdle(s)
	})
}

// RenewTLS says that a file has changed that servers are spoken to with over TLS:
// idle connections to them are closed, and those in use are not used again.
func (e *Engine) RenewTLS(file string) {
	e.Still(func() {
		for _, be := range e.Backends {
			for s, how := range be.TLS {
				if slices.Contains(how.Files, file) {
					renewed := *how
					be.TLS[s] = &renewed
					e.closeIdle(s)
				}
			}
		}
	})
}

// SetFollow says what of s's address is the client's destination.
func (e *Engine) SetFollow(s *backend.Server, f backend.Follow, a backend.Addr) {
	e.Still(func() {
		s.Follow = f
		s.SetAddr(a)
	})
}

// closeIdle closes the connections to s that nothing is on; within Still.
func (e *Engine) closeIdle(s *backend.Server) {
	for _, sh := range e.Shards {
		sh.closeIdle(s)
	}
}

func (sh *Shard) closeIdle(s *backend.Server) {
	for c := sh.pools[s.Index].head; c != nil; c = sh.pools[s.Index].head {
		c.drop()
	}
	sh.closeLinks(s)
	for one := sh.sessions.head.next; one != &sh.sessions.head; one = one.next {
		if own := one.own; own != nil && own.srv == s {
			own.drop()
		}
	}
}

// Maintain says that s goes into maintenance, or comes out of it: meanwhile no
// idle connection to it is kept, so that whoever works on it is not kept waiting
// by one. It returns before they are closed.
func (e *Engine) Maintain(s *backend.Server, on bool) {
	for _, sh := range e.Shards {
		sh.Loop.Post(func() {
			if sh.pools[s.Index].shut = on; on {
				sh.closeIdle(s)
			}
		})
	}
}
