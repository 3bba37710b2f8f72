package backend

import (
	"slices"
	"time"
)

// Servers that come and go while the process serves. Loops read
// Backend.Servers without a lock, so both Add and Remove are called while none
// of them runs. Each makes a new list: one that All gave stays as it was.

// All gives the servers, to whoever is not a loop.
func (b *Backend) All() []*Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Servers
}

// Prepare makes s, which belongs to no other backend, one that Add can take.
func (b *Backend) Prepare(s *Server) { s.b, s.change, s.warm.percent = b, time.Now(), 100 }

// Add takes a server in that was prepared.
func (b *Backend) Add(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setServers(append(slices.Clip(slices.Clone(b.Servers)), s))
	b.grantAll()
}

// Busy reports whether anything is on s, or waits for it.
func (b *Backend) Busy(s *Server) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.cur > 0 || s.queue.len > 0
}

// Remove takes s out. Nothing may be on it.
func (b *Backend) Remove(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.warm.timer != nil {
		s.warm.timer.Stop()
	}
	b.wheel(s).weigh(s, 0)
	b.setServers(slices.DeleteFunc(slices.Clone(b.Servers), func(o *Server) bool { return o == s }))
}

// setServers replaces the list, and what is derived from it. mu is held.
func (b *Backend) setServers(list []*Server) {
	b.Servers, b.unit = list, commonUnit(list)
	b.scale, b.grows = 1, false
	for _, s := range list {
		b.grows = b.grows || s.MinConn > 0
		if s.SlowStart > 0 {
			b.scale = steps
		}
	}
	for i := range b.wheels {
		b.wheels[i].reserve(len(list))
	}
	b.rebuild()
}
