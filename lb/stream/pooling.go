package stream

import "sync/atomic"

// Pooling bounds the use of the connections to a server, where its line says so. Besides
// idle immutable.
type Pooling struct {
	MaxReuse int // requests after the first that a connection serves; -1: any number
	MaxIdle  int // connections that may be idle; -1: any number

	idle atomic.Int32 // on all loops
}

// spent reports whether a connection that has served some requests serves no more.
func (p *Pooling) spent(uses uint32) bool {
	return p != nil && p.MaxReuse >= 0 && int64(uses) > int64(p.MaxReuse)
}

// full reports whether no more connections may be idle.
func (p *Pooling) full() bool {
	return p != nil && p.MaxIdle >= 0 && int64(p.idle.Load()) >= int64(p.MaxIdle)
}

// rests counts idle connections.
func (p *Pooling) rests(n int32) {
	if p != nil {
		p.idle.Add(n)
	}
}
