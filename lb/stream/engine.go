package stream

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/cache"
	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/spop"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/lb/userlist"
	"lbsyslogd/lb/wire"
)

// Engine is everything that one worker runs, in the form the data path reads.
// Immutable after Start but for its atomics.
type Engine struct {
	Frontends []*Frontend // by Frontend.Index
	Backends  []*Backend  // by Backend.Index
	Servers   []*backend.Server
	Targets   [][]syslog.Target // distinct sets of log targets; Frontend.Logs points here
	tlsLoad
	MaxConn   int32 // client connections of the whole worker; SetMaxConn changes it while it runs
	Rates     Rates
	Pid       int
	Hostname  string
	Formats   *accesslog.Formats
	Vars      *sample.ProcVars        // variables of scope proc; nil: none are set yet
	Names     map[string]*Backend     // backends by name
	Tables    map[string]*stick.Table // stick tables by name
	Metrics   *StatsPage              // http-request use-service prometheus-exporter
	Userlists []*userlist.List        // whose passwords take long to check: it is done before the rules ask
	// Report reports trouble that is nobody's request: one line, at most once
	// a second for the same text. Called from loops: must not block.
	Report func(text string)

	Shards []*Shard

	// Hold has the engine begin paused: it serves what it is given, and accepts
	// nothing until Pause(false). Set before Start.
	Hold bool
	// Roomy is loop.Loop's. Set before Start.
	Roomy bool
	// Alone says that no core is without a loop: the loops compute their clients' TLS handshakes themselves. Set before Start.
	Alone bool
	share atomic.Pointer[share] // nil: all new connections are served here

	// Leaving says what Drain does with idle connections that do not move to
	// another process. Set before Drain.
	Leaving Leaving

	// Flights is the memory file with the requests in flight, for ReadFlights
	// after this process was killed; nil if there is none.
	Flights *os.File

	// Estate is what else outlives the process: so many bytes, all zero, are given to
	// Keep before anything is served.
	Estate struct {
		Size int
		Keep func(mem []byte)
	}

	Messages

	bench     *userlist.Bench
	looks     bool          // some rule in mode tcp looks into content
	adopted   atomic.Uint32 // spreads adopted connections over the shards
	loops     sync.WaitGroup
	badEvents atomic.Uint64
	memory
	crowd
	stillness
}

// memory is what requests that wait hold, in bytes.
type memory struct {
	held     atomic.Int64
	heldPeak atomic.Int64
}

// crowd is how many clients are connected, and whether more may come.
type crowd struct {
	cur       atomic.Int32 // client connections
	max       atomic.Int32
	crowded   atomic.Bool // some shard does not accept for want of room
	accepting atomic.Bool
	closing   sync.Mutex // held while listeners' descriptors are used beside the loops; guards closed
	closed    bool       // they are another generation's alone
	empty     chan struct{}
	drained   atomic.Bool // every shard has stopped accepting; before that an empty engine may fill again
	emptied   atomic.Bool
}

// Messages is what holds for all messages that pass.
type Messages struct {
	Limits      Limits
	Compression Compression               // of responses
	Agents      []*spop.Agent             // of all Offloads; Stop closes them
	Resolvers   map[string]*resolve.Names // of do-resolve rules, by their section's name
	Caches      map[string]*cache.Cache   // by their section's name

	// Budget bounds what is held for requests that wait, in bytes (budget.go); 0 is
	// DefaultBudget.
	Budget int64
}

// Leaving is how idle client connections end when this process leaves. By
// default they stay until their next request, whose answer says close, or
// until their time is up: a client that sends its request just as an idle
// connection is closed loses it.
type Leaving struct {
	CloseIdle bool          // they are closed
	Spread    time.Duration // over that time, so that not all come back at once; > 0 closes them too
	Patience  time.Duration // how old an open stream of HTTP/2 may be for others to wait for its end; 0 is defaultPatience
}

func (l *Leaving) patience() int64 {
	if l.Patience > 0 {
		return l.Patience.Milliseconds()
	}
	return defaultPatience
}

// Timeouts in milliseconds; 0 is none.
type Timeouts struct {
	Connect, Client, Server, Request, KeepAlive, Queue, Tunnel, ClientFin, ServerFin, Tarpit int64
	ClientHandshake, ServerHandshake                                                         int64 // 0: what the others say
}

// ConnMode says what becomes of connections after a response; a frontend's and
// a backend's combine to the larger.
type ConnMode uint8

// Connection modes.
const (
	KeepAlive ConnMode = iota
	ServerClose
	Close
)

// Reuse is the http-reuse policy.
type Reuse uint8

// http-reuse policies.
const (
	ReuseNever Reuse = iota
	ReuseSafe
	ReuseAggressive
	ReuseAlways
)

// Proxy is what frontends and backends have in common.
type Proxy struct {
	Name          string
	ID            int // the same for both halves of a listen section
	HTTP          bool
	Timeouts      Timeouts
	ConnMode      ConnMode
	Rules         rule.Sets
	Redirects     rule.Rules    // asked after http-request rules and the statistics page
	Inspect       int64         // tcp-request inspect-delay, ms
	InspectAnswer int64         // tcp-response inspect-delay, ms
	ForwardFor    *AddressField // the client's address
	OriginalTo    *AddressField // the address that it connected to
	Pages         Pages         // what stands in place of the built-in error answers
	Page          *StatsPage
	Restrict      Restrict           // of requests' fields
	BufferRequest bool               // rules run when all of a request is there, or as much as fits a buffer
	Offloads      []*Offload         // agents that are asked about requests
	Compress      *compress.Settings // nil: responses are sent as they come

	side sample.Side // what rules may know of it; Start fills it
}

// lengths are those of captures.
func lengths(list []Capture) (n []int) {
	for _, c := range list {
		n = append(n, c.Len)
	}
	return n
}

// about is the side of a proxy.
func (p *Proxy) about(def *Backend) sample.Side {
	s := sample.Side{ID: p.ID, ClientTimeout: p.Timeouts.Client, ServerTimeout: p.Timeouts.Server, TunnelTimeout: p.Timeouts.Tunnel,
		ConnectTimeout: p.Timeouts.Connect, QueueTimeout: p.Timeouts.Queue, TarpitTimeout: p.Timeouts.Tarpit}
	if def != nil {
		s.Default = def.Proxy.Name
	}
	return s
}

// Frontend is the client side of a proxy.
type Frontend struct {
	Proxy
	Index      int
	MaxConn    int32
	Rate       *Rate // rate-limit sessions; nil: no limit
	Paces      Paces
	Listeners  []*Listener
	Switches   []Switch
	choice     *acl.Choice // of the switches' conditions
	Default    *Backend    // nil: none
	MonitorURI string
	// NoH2Upgrade leaves HTTP/2 to those who agreed on it (ALPN).
	NoH2Upgrade bool
	Upgrades    bool // in mode tcp: rules may make a connection one of requests
	// MonitorFails make the answer to MonitorURI a 503 when any holds.
	MonitorFails []*acl.Cond

	Logs   int // index into Engine.Targets, -1 for none
	Access accesslog.Policy
	Needs  sample.Needs // of the format and of all rules a request may meet

	ReqCaptures []Capture
	ResCaptures []Capture

	CookieCapture Capture // Header begins the cookie's name; Len 0: none

	UniqueID *logformat.Format // nil: requests have no id
	// ClientNames are how names of fields are written for HTTP/1 clients, by the
	// names in lower case.
	ClientNames map[string]string
	Lax         bool // requests may have bytes that should not be in them

	UniqueHeader []byte // tells servers the id; nil none does

	cur    atomic.Int32
	max    atomic.Int32
	paused atomic.Bool
	bad    atomic.Pointer[BadMessage]
	shut   atomic.Bool   // by an operator, until the next reload
	lines  atomic.Uint32 // log lines, where %lc is shown
}

// id is UniqueID in the form that a context takes, nil when there is none.
func (fe *Frontend) id() sample.Text {
	if fe.UniqueID == nil {
		return nil
	}
	return fe.UniqueID
}

// Switch is one use_backend rule.
type Switch struct {
	Cond *acl.Cond // nil: always
	To   *Backend
	Name *logformat.Format // makes the backend's name in place of To; nil does not
}

// ServerRule is one use-server rule.
type ServerRule struct {
	Cond *acl.Cond // nil: always
	To   *backend.Server
	Name *logformat.Format // makes the server's name in place of To; nil does not
}

// PersistRule is one force-persist or ignore-persist rule.
type PersistRule struct {
	Cond   *acl.Cond
	Ignore bool
}

// Backend is the server side of a proxy.
type Backend struct {
	Proxy
	*backend.Backend
	Index        int
	Paces        Paces
	Retries      int
	RetryOn      RetryOn
	CheckCache   bool   // option checkcache
	RDPCookie    string // persist rdp-cookie: its name; "" none
	Redispatch   int    // 0 never, n: at every n-th retry, -1: at the last one
	Reuse        Reuse
	Cookie       *Cookie
	AbortOnClose bool
	HideClose    bool                    // option http-pretend-keepalive: servers do not hear that we close
	Persist      bool                    // a client that is bound to a server tries it though it is down
	HashURI      func(uri []byte) uint32 // balance uri's part of the URI
	HashAddr     func(netip.Addr) uint32 // of balance source
	HashKey      *rule.HashKey           // of balance hdr and its kin; nil for none
	HashBytes    func([]byte) uint32     // of HashKey's key
	Sticks       []*rule.Stick
	NonStick     map[*backend.Server]bool // nil when all may be stored
	ServerRules  []ServerRule
	// ServerNames are how names of fields are written for servers, by the names in
	// lower case.
	ServerNames map[string]string
	Lax         bool   // responses may have bytes that should not be in them
	NameHeader  string // tells servers their names; "" none does
	Persistence []PersistRule
	TLS         map[*backend.Server]*ServerTLS   // servers that are spoken to over TLS
	Redirs      map[*backend.Server]string       // where servers with `redir` send GET and HEAD instead
	Outbound    map[*backend.Server]*Outbound    // servers that are not connected to in the usual way
	HTTP2       map[*backend.Server]*ServerHTTP2 // servers that are spoken to in HTTP/2
	Pooling     map[*backend.Server]*Pooling     // servers whose lines bound the use of connections

	bad atomic.Pointer[BadMessage]
}

// AddressField is option forwardfor or option originalto.
type AddressField struct {
	Except netip.Prefix // addresses that are not sent
	Name   []byte       // "X-Forwarded-For"
	IfNone bool
}

// Capture is one captured header.
type Capture struct {
	Header string
	Len    int
}

// Listener is one listening socket of a frontend.
type Listener struct {
	Frontend *Frontend
	Name     string // for messages: the bind line's address
	Label    string // for logs: the bind line's name, or its number
	FD       int    // a descriptor of our own; closed by Drain
	TLS      *TLS   // nil: plain
	Unix     bool
	MaxConn  int32 // bind maxconn; 0: the frontend's limit alone
	Backlog  int   // 0: as many as the kernel allows
	ID       int
	Bind     string         // its name option
	Preface  sample.Preface // accept-proxy, accept-netscaler-cip
	CIPMagic uint32

	facts sample.Listener // for rules; Start fills it
	cur   atomic.Int32
}

// clockPast is how long before the start of the engine the clock of its loops
// begins: connections of earlier generations bring times from then, and 0 and
// less mean never.
const clockPast = 365 * 24 * time.Hour

// Start makes the shards and runs their loops on goroutines of their own.
func (e *Engine) Start(threads int) error {
	e.empty = make(chan struct{})
	if e.Vars == nil {
		e.Vars = &sample.ProcVars{}
	}
	for _, fe := range e.Frontends {
		fe.side = fe.about(fe.Default)
		conds := make([]*acl.Cond, len(fe.Switches))
		for i := range conds {
			conds[i] = fe.Switches[i].Cond
		}
		fe.choice = acl.NewChoice(conds)
		fe.side.ReqCaptures, fe.side.ResCaptures = lengths(fe.ReqCaptures), lengths(fe.ResCaptures)
		if be := e.Names[fe.Name]; be == nil || be.ID != fe.ID { // no listen section
			fe.side.ServerTimeout, fe.side.TunnelTimeout, fe.side.ConnectTimeout, fe.side.QueueTimeout = 0, 0, 0, 0 // those are a backend's
		}
		for _, ln := range fe.Listeners {
			ln.facts = sample.Listener{ID: ln.ID, Name: ln.Bind, Conns: func() int64 { return int64(ln.cur.Load()) }}
		}
	}
	for _, fe := range e.Frontends {
		e.looks = e.looks || !fe.HTTP && len(fe.Rules[rule.Content]) > 0
	}
	for _, be := range e.Backends {
		e.looks = e.looks || !be.HTTP && len(be.Rules[rule.Content]) > 0
		be.side = be.Proxy.about(nil)
	}
	e.bench, e.gate = userlist.NewBench(), wire.NewGate()
	var parts [][]flight
	var err error
	if e.Flights, parts, err = e.openFlights(threads); err != nil {
		e.Report("record requests in flight: " + err.Error() + "; what a killed worker loses will not be logged")
	}
	base := time.Now().Add(-clockPast)
	for i := range threads {
		l, err := loop.New(i, base)
		if err != nil {
			return err
		}
		l.Roomy = e.Roomy
		sh, err := newShard(e, l)
		if err != nil {
			return err
		}
		if parts != nil {
			sh.flights = parts[i]
			for j := range sh.flights {
				sh.freeFlights = append(sh.freeFlights, int32(flightsPerShard-1-j))
			}
		}
		sh.counter, sh.ctx.Thread = uint32(i), i
		if e.Alone {
			sh.turns = &wire.Turns{Loop: l, Gate: e.gate}
		}
		e.Shards = append(e.Shards, sh)
	}
	e.accepting.Store(true)
	for _, sh := range e.Shards {
		e.loops.Go(func() {
			sh.Loop.Run()
			sh.lastLogs()
		})
		sh.Loop.Post(sh.listen)
	}
	return nil
}

// Drain stops accepting for good and lets what is there end politely: every
// response from now on says Connection: close. Empty is closed when all are gone.
func (e *Engine) Drain() {
	if !e.accepting.CompareAndSwap(true, false) {
		return
	}
	e.closing.Lock()
	e.closed = true
	e.closing.Unlock()
	e.share.Store(nil)
	for _, sh := range e.Shards {
		sh.Loop.Call(sh.drain)
	}
	for _, fe := range e.Frontends {
		for _, ln := range fe.Listeners {
			loop.CloseRaw(ln.FD)
		}
	}
	e.drained.Store(true)
	e.checkEmpty()
}

// Empty is closed when the last client connection has left after Drain.
func (e *Engine) Empty() <-chan struct{} { return e.empty }

// Stop ends all loops now, whatever they carry. Each exchange that is cut off
// has its log line.
func (e *Engine) Stop() {
	e.stilling.Lock()
	e.ended = true
	for _, sh := range e.Shards {
		sh.Loop.Post(sh.cut)
		sh.Loop.Stop()
	}
	e.stilling.Unlock()
	e.loops.Wait()
	for _, a := range e.Agents {
		a.Close()
	}
}

// Pause stops accepting, or resumes, without giving the listeners up.
func (e *Engine) Pause(pause bool) {
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			sh.paused = pause
			if pause {
				sh.unlisten()
			} else {
				sh.listen()
			}
		})
	}
}

// PauseFrontend stops one frontend, or resumes it: whoever connects meanwhile is refused. Who waits in the queue is accepted before.
func (e *Engine) PauseFrontend(fe *Frontend, pause bool) error {
	if pause {
		for _, sh := range e.Shards {
			sh.Loop.Call(func() {
				for _, a := range sh.acceptors {
					if a.ln.Frontend == fe {
						a.lastAccept()
					}
				}
			})
		}
	} else if err := e.sockets(fe, func(ln *Listener) error { return unix.Listen(ln.FD, ln.backlog()) }); err != nil {
		return err
	}
	fe.paused.Store(pause)
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			sh.unlisten()
			sh.listen()
		})
	}
	if pause {
		_ = e.sockets(fe, (*Listener).unlisten) // an error says that it does not listen any more
	}
	return nil
}

// unlisten has the socket refuse. One that does not listen is left alone: it would note that nothing is to be read, and what it accepts later
// would begin with that.
func (ln *Listener) unlisten() error {
	if on, err := unix.GetsockoptInt(ln.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
		return err
	}
	return unix.Shutdown(ln.FD, unix.SHUT_RD)
}

// KeepPaused stops the listeners of paused frontends once more: a reload that failed has had them listen again.
func (e *Engine) KeepPaused() {
	for _, fe := range e.Frontends {
		if fe.Paused() {
			_ = e.sockets(fe, (*Listener).unlisten)
		}
	}
}

// sockets calls do with each listener of a frontend that can be stopped and go on: of TCP. They are shared by all generations: those of one that does not
// accept any more are left alone.
func (e *Engine) sockets(fe *Frontend, do func(*Listener) error) error {
	e.closing.Lock()
	defer e.closing.Unlock()
	if e.closed {
		return nil
	}
	var errs []error
	for _, ln := range fe.Listeners {
		if domain, err := unix.GetsockoptInt(ln.FD, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain != unix.AF_UNIX {
			errs = append(errs, do(ln))
		}
	}
	return errors.Join(errs...)
}

// backlog is how many may wait.
func (ln *Listener) backlog() int {
	if ln.Backlog > 0 {
		return ln.Backlog
	}
	return 1 << 16 // the kernel lowers it to net.core.somaxconn
}

// Paused reports whether the frontend was asked not to accept.
func (fe *Frontend) Paused() bool { return fe.paused.Load() }

// ClearMax forgets the highest number of connections.
func (fe *Frontend) ClearMax() { fe.max.Store(fe.cur.Load()) }

// Draining reports whether Drain was called.
func (e *Engine) Draining() bool { return !e.accepting.Load() }

// Conns is the number of client connections now.
func (e *Engine) Conns() int { return int(e.cur.Load()) }

// MaxConns is the highest number of client connections so far.
func (e *Engine) MaxConns() int { return int(e.max.Load()) }

func (e *Engine) checkEmpty() {
	if e.drained.Load() && e.cur.Load() == 0 && e.emptied.CompareAndSwap(false, true) {
		close(e.empty)
	}
}

// enter reserves room for one client connection; false when there is none.
func (e *Engine) enter(fe *Frontend) bool {
	if n := e.cur.Add(1); n > atomic.LoadInt32(&e.MaxConn) {
		e.cur.Add(-1)
		return false
	} else if n > e.max.Load() {
		e.max.Store(n)
	}
	n := fe.cur.Add(1)
	if n > atomic.LoadInt32(&fe.MaxConn) {
		fe.cur.Add(-1)
		e.cur.Add(-1)
		return false
	}
	if n > fe.max.Load() {
		fe.max.Store(n)
	}
	return true
}

// admit counts a client connection that is there already, limits or not.
func (e *Engine) admit(fe *Frontend) {
	if n := e.cur.Add(1); n > e.max.Load() {
		e.max.Store(n)
	}
	if n := fe.cur.Add(1); n > fe.max.Load() {
		fe.max.Store(n)
	}
}

// leave gives the room back and lets shards accept again that could not.
func (e *Engine) leave(fe *Frontend) {
	fe.cur.Add(-1)
	e.cur.Add(-1)
	if e.crowded.Load() && e.crowded.CompareAndSwap(true, false) {
		for _, sh := range e.Shards {
			sh.Loop.Post(sh.listen)
		}
	}
	e.checkEmpty()
}

// Load is what a frontend counts across all shards: now, and at most so far.
func (fe *Frontend) Load() (cur, highest int) { return int(fe.cur.Load()), int(fe.max.Load()) }

// trimInterval is how often a shard gives unused memory back.
const trimInterval = 5 * time.Second
