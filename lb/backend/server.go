package backend

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Admin is a server's administrative state. Bits have HAProxy's values, which
// `show servers state` prints.
type Admin uint8

// Administrative states.
const (
	ForcedMaint Admin = 0x01 // disable server, set server state maint, disabled in the configuration
	ConfigMaint Admin = 0x04 // it began with `disabled` on its line; says nothing of now
	ForcedDrain Admin = 0x08 // set server state drain

	TrackedMaint Admin = 0x02 // the server it tracks is in maintenance
	TrackedDrain Admin = 0x10 // the server it tracks drains

	NoAddress Admin = 0x20 // its name has no address (HAProxy's RMAINT)

	Maint   = ForcedMaint | TrackedMaint | NoAddress
	Drain   = ForcedDrain | TrackedDrain
	Tracked = TrackedMaint | TrackedDrain
)

// Server is one server of a backend.
type Server struct {
	Place

	// Immutable after New.

	Name     string
	ID       int // HAProxy's sid
	Index    int // among all servers of all backends: where loops keep what is theirs
	Backup   bool
	Unnamed  bool // it is an address, and no server for logs and tables
	MaxConn  int  // Unlimited when there is no limit; SetMaxConn may change it
	MinConn  int  // the limit while the backend is idle, which grows to MaxConn as it fills; 0: always MaxConn
	MaxQueue int  // Unlimited when there is no limit
	Cookie   string
	Checked  bool // has active health checks
	Initial  int  // the configuration's weight

	SlowStart time.Duration // over which a server that comes up gets its whole share; 0: at once
	Watch     *Watch        // hears of errors of the traffic; nil: nobody asks

	InitialAdmin Admin // and its administrative state

	b *Backend
	// Backend.mu guards the fields below.
	weight int
	share  int // what the algorithms see of it, see warm.go
	limit  int // what took MaxConn's place; 0 nothing
	warm   warmth
	admin  Admin
	health bool // as the checks see it; true without checks
	stop   bool // an operator lets it take bound clients only
	active bool // in Backend.active
	turns
	cur    int
	max    int
	others Others
	picked uint64
	queue  queue
	change time.Time
	downAt time.Time
	down   time.Duration
	downs  uint64
	fails  uint64 // failed checks while up
}

// turns is what the algorithms go by. Backend.mu guards it.
type turns struct {
	turn     turn
	restored []int  // what told said in the process before, until the wheel has it
	stirred  uint64 // leastconn: when it was last given or gave back a connection
	pressure int    // and how much it has to carry
	before   int    // what the servers before it weigh, see Backend.bounded
}

// SetInitial sets the state a server begins with, before New.
func (s *Server) SetInitial(weight int, admin Admin, up bool) {
	s.Initial, s.InitialAdmin = weight, admin&^NoAddress // which is nobody's decision
	s.weight, s.admin, s.health = weight, admin, up
}

// usable: requests may be sent there. mu is held.
func (s *Server) usable() bool { return s.health && s.admin&Maint == 0 }

// balanced: takes part in balancing. mu is held.
func (s *Server) balanced() bool {
	return s.usable() && !s.stop && s.admin&Drain == 0 && s.weight > 0
}

// full reports whether whoever comes now has to wait. mu is held.
func (s *Server) full() bool { return s.load()+s.others.Awaited >= s.room() }

// load is what the server has to carry, wherever it comes from. mu is held.
func (s *Server) load() int { return s.cur + s.others.Taken }

// weighed reckons what leastconn goes by: an idle server is the best whatever its
// weight. Fractions are cut off as HAProxy cuts them: who comes close is as good.
// mu is held.
func (s *Server) weighed() {
	s.pressure = 0
	if n := s.load(); n > 0 && s.b.Algo == LeastConn {
		s.pressure = (n + 1) * heaviest / max(s.weight*s.step(), 1)
	}
}

// SetHealth tells what the checks found; true when that changed anything.
func (s *Server) SetHealth(up bool) (changed bool) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.health == up {
		return false
	}
	s.transition(func() { s.health = up })
	return true
}

// CheckFailed counts one failed check of a server that is up.
func (s *Server) CheckFailed() {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.fails++
}

// SetStopping leaves a server to the clients that are bound to it, or ends
// that.
func (s *Server) SetStopping(on bool) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.transition(func() { s.stop = on })
}

// SetTracked makes the server follow another one: its health, whether it takes
// new clients, and its administrative state (bits of Tracked).
func (s *Server) SetTracked(up, stopping bool, a Admin) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.transition(func() { s.health, s.stop, s.admin = up, stopping, s.admin&^Tracked|a&Tracked })
}

// SetAdmin replaces the administrative state.
func (s *Server) SetAdmin(a Admin) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.transition(func() { s.admin = a })
}

// SetMaxConn gives the server another limit.
func (s *Server) SetMaxConn(n int) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.limit = n
	s.b.grant(s)
}

// SetWeight sets the weight, 0 to 256; 0 drains.
func (s *Server) SetWeight(w int) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.transition(func() { s.weight = w })
}

// transition changes the state and lets the backend follow. mu is held.
func (s *Server) transition(change func()) {
	was, up := s.usable(), len(s.b.active) > 0
	change()
	is := s.usable()
	s.heat(was, is)
	if was != is {
		now := time.Now()
		s.change = now
		if is {
			if !s.downAt.IsZero() {
				s.down += now.Sub(s.downAt)
			}
			s.downAt = time.Time{}
		} else {
			s.downAt = now
			s.downs++
		}
	}
	s.b.rebuild()
	if up && len(s.b.active) == 0 {
		s.b.lost = s
	}
	if is {
		s.b.grant(s)
	} else {
		s.b.queue.merge(&s.queue) // they may wait for any server now
	}
	// Not only s may have become free to serve: when the last server leaves,
	// the backups take over.
	s.b.grantAll()
}

// TookLast reports, once, that a change of s has left its backend no server, and
// that there has been none since.
func (s *Server) TookLast() bool {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	took := s.b.lost == s
	if took {
		s.b.lost = nil
	}
	return took
}

// ServerStats is a snapshot of a server's state and counts.
type ServerStats struct {
	Weight    int // as it is now
	Effective int // 0 while it takes no part in balancing
	Share     int // the weight, less of it while Starting
	Admin     Admin
	Health    bool
	Usable    bool
	Stopping  bool
	Starting  bool // slowly
	Throttle  int  // percent of its share, while Starting
	MaxConn   int
	Cur, Max  int
	Queued    int
	QueueMax  int
	Picked    uint64
	Change    time.Time
	Down      time.Duration
	Downs     uint64
	Fails     uint64
}

// Stats gives a consistent snapshot.
func (s *Server) Stats() ServerStats {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	st := ServerStats{
		Weight: s.weight, Admin: s.admin, Health: s.health, Usable: s.usable(), Stopping: s.stop, Cur: s.cur, Max: s.max,
		Queued: s.queue.len, QueueMax: s.queue.max, Picked: s.picked, Change: s.change,
		Downs: s.downs, Fails: s.fails,
	}
	if s.balanced() {
		st.Effective = s.shown()
	}
	st.MaxConn, st.Share = s.most(), s.shown()
	st.Starting, st.Throttle = s.usable() && s.warm.percent < 100, s.throttle()
	st.Down = s.downtime(time.Now())
	return st
}

// downtime is how long it has been down by now. mu is held.
func (s *Server) downtime(now time.Time) time.Duration {
	if s.downAt.IsZero() {
		return s.down
	}
	return s.down + now.Sub(s.downAt)
}

// Running reports whether its health is good and it is not left to the clients that are bound to it.
func (s *Server) Running() bool {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return s.health && !s.stop
}

// Load is the number of places taken now.
func (s *Server) Load() int32 {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return int32(s.cur)
}

// Follow says which part of a server's address is the client's own
// destination.
type Follow struct {
	Host, Port bool
	Offset     int // added to the client's port
}

// Place is where a server is.
type Place struct {
	Address Addr // at first
	Follow  Follow

	moved atomic.Pointer[Addr]  // what SetAddr gave; nil: Address
	where atomic.Pointer[where] // what Where said last
}

// where is an address and its text.
type where struct {
	addr *Addr
	text string
}

// Where is Addr as text, which is made once.
func (p *Place) Where() string {
	a := p.Addr()
	if w := p.where.Load(); w != nil && w.addr == a {
		return w.text
	}
	w := &where{a, a.String()}
	p.where.Store(w)
	return w.text
}

// Addr is where the server is reached now.
func (p *Place) Addr() *Addr {
	if a := p.moved.Load(); a != nil {
		return a
	}
	return &p.Address
}

// SetAddr has new connections go elsewhere.
func (p *Place) SetAddr(a Addr) { p.moved.Store(&a) }

// For gives the address for a client that wanted to; only Follow makes one of
// the server's own and the client's. It is false when the client's is not
// known.
func (f Follow) For(a *Addr, to netip.AddrPort) (Addr, bool) {
	if !to.IsValid() {
		return Addr{}, false
	}
	ip, port := a.IP.Addr(), int(a.IP.Port())
	if f.Host {
		ip = to.Addr()
	}
	if f.Port {
		port = int(to.Port()) + f.Offset
	}
	if !ip.IsValid() || port <= 0 || port > 65535 {
		return Addr{}, false
	}
	return TCPAddr(netip.AddrPortFrom(ip, uint16(port))), true
}

// Addr is where a server is reached: an IP address and port, or a unix path.
type Addr struct {
	IP   netip.AddrPort // invalid for a unix socket
	Path string

	raw  unix.RawSockaddrAny
	size uint32
}

// TCPAddr is the address of a server reached by TCP.
func TCPAddr(ap netip.AddrPort) Addr {
	a := Addr{IP: ap}
	a.raw, a.size = rawIP(ap)
	return a
}

// maxPath is what sun_path holds with its final NUL.
const maxPath = 107

// UnixAddr is the address of a server behind a unix stream socket; "@name" is
// the abstract name.
func UnixAddr(path string) (Addr, error) {
	if len(path) == 0 || len(path) > maxPath {
		return Addr{}, fmt.Errorf("unix path %q is empty or longer than %d bytes", path, maxPath)
	}
	a := Addr{Path: path}
	sa := rawUnix(&a.raw)
	sa.Family = unix.AF_UNIX
	for i := range len(path) {
		sa.Path[i] = int8(path[i])
	}
	a.size = 2 + uint32(len(path)) + 1
	if path[0] == '@' {
		sa.Path[0] = 0
		a.size--
	}
	return a, nil
}

// AbstractAddr is the address of a server behind an abstract unix socket whose
// name is padded with NULs to the full length, as HAProxy's abns@ is.
func AbstractAddr(name string) (Addr, error) {
	a, err := UnixAddr("@" + name)
	a.size = uint32(unsafe.Sizeof(unix.RawSockaddrUnix{}))
	return a, err
}

// Family is the socket family to connect with.
func (a *Addr) Family() int { return int(a.raw.Addr.Family) }

// Raw is the kernel's form of the address.
func (a *Addr) Raw() (*unix.RawSockaddrAny, uint32) { return &a.raw, a.size }

func (a *Addr) String() string {
	switch {
	case a.Path != "":
		return a.Path
	case !a.IP.Addr().IsValid():
		return "" // a name without an address
	}
	return a.IP.String()
}
