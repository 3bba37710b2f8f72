package control

import (
	"errors"
	"net"
	"net/netip"

	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
)

// Runtime is what the commands act on: the engine. Its methods are called
// from many goroutines.
type Runtime interface {
	// Snapshot is the state of everything. The result belongs to the caller.
	Snapshot() *stats.Snapshot
	// Backends names all backends in the order of the configuration.
	Backends() []BackendID
	// Servers lists the servers of a backend, or of all for "". The error is
	// ErrNoBackend if there is no such backend.
	Servers(backend string) ([]ServerState, error)
	// Server is one of them, by its name or as "#ID". The error is ErrNoBackend
	// or ErrNoServer.
	Server(backend, server string) (ServerState, error)
	// SetAdmin changes the administrative state of a server.
	SetAdmin(backend, server string, a AdminChange) error
	// SetWeight gives a server another weight, 0 to 256.
	SetWeight(backend, server string, weight int) error
	// SetHealth overrides what the health checks found.
	SetHealth(backend, server string, h Health) error
	// SetMaxConn gives a server another maxconn; 0 is none.
	SetMaxConn(backend, server string, n int) error
	// SetAgent overrides what a server's agent said. The error is ErrNoAgent
	// if none is asked.
	SetAgent(backend, server string, up bool) error
	// EnableAgent begins to ask a server's agent, or stops.
	EnableAgent(backend, server string, on bool) error
	// AgentTarget changes where the agent is; "" and 0 keep what there is.
	AgentTarget(backend, server, addr string, port int) error
	// AgentSend changes what the agent is asked with.
	AgentSend(backend, server, text string) error
	// AddServer adds a server to a backend: the words are an address and options,
	// as on a server line. It is in maintenance, and its checks are off, until
	// they are enabled.
	AddServer(backend, server string, words []string) error
	// DelServer removes a server that is in maintenance and has no connections.
	DelServer(backend, server string) error
	// Removable says whether DelServer would work: nil, ErrBusy as long as the server
	// has connections, or why it never will.
	Removable(backend, server string) error
	// MoveServer gives a server another address, and another port unless it is
	// "": a number, or an offset to the client's port with its sign.
	MoveServer(backend, server string, to netip.Addr, port string) error
	// ServerPort is the present one, in that form.
	ServerPort(backend, server string) string
	// CheckTarget changes where a server is checked; "" and 0 keep what there is.
	// The error is ErrNotChecked if it has no check.
	CheckTarget(backend, server, addr string, port int) error
	// SetServerTLS stops speaking TLS to a server, or speaks it again.
	SetServerTLS(backend, server string, on bool) error
	// DynamicCookie makes the cookies of a backend's servers of their addresses, or
	// not, and DynamicCookieKey changes the key for that.
	DynamicCookie(backend string, on bool) error
	DynamicCookieKey(backend, key string) error
	// SetRateLimit bounds what begins in a second in all frontends:
	// "connections", "sessions" or "ssl-sessions"; or how many kB of a second are
	// compressed: "http-compression". 0 is no limit.
	SetRateLimit(what string, n int) error
	// SetVar gives a variable of the process the value of an expression, or of
	// a format string, and GetVar shows one.
	SetVar(name, text string, format bool) error
	GetVar(name string) (kind, value string, ok bool)
	// SetFrontend makes a frontend stop or go on accepting connections.
	SetFrontend(frontend string, on bool) error
	// MaxConn is the limit of client connections, of a frontend and of the
	// whole process.
	MaxConn(frontend string) (own, global int, err error)
	// SetFrontendMaxConn and SetGlobalMaxConn change it.
	SetFrontendMaxConn(frontend string, n int) error
	SetGlobalMaxConn(n int) error
	// ShutFrontend closes a frontend until the next reload. The error is
	// ErrNoChange if it is closed.
	ShutFrontend(frontend string) error
	// Sessions are the client connections.
	Sessions() []Session
	// ShutSession ends one; false when there is none of that ID.
	ShutSession(id uint64) bool
	// ShutServer ends all sessions on a server.
	ShutServer(backend, server string) error
	// EnableHealth begins to check a server, or stops. The error is ErrNoCheck
	// if the configuration has no check for it.
	EnableHealth(backend, server string, on bool) error
	// BadMessages are the messages that could not be read, and how many there
	// were so far.
	BadMessages() (list []BadMessage, total uint64)
	// Held is how many bytes are held for requests that wait, and the most that
	// may be.
	Held() (now, budget int64)
	// RuntimeChanges is what is other than the configuration and its files have
	// it, because an operator said so, and ClearRuntimeChanges undoes it.
	RuntimeChanges() []Change
	ClearRuntimeChanges() error
	// Loops are the event loops.
	Loops() []Loop
	// ClearCounters sets maxima to zero, or all counters.
	ClearCounters(all bool)
	// Tables are the stick tables in the order of the configuration.
	Tables() []*stick.Table
	// Files are the map files and files of ACL patterns, in the order of the
	// configuration.
	Files() []*lookup.File
	// SendSockets gives the listening sockets away over conn, as _getsocks
	// says, and returns when all are taken or the other side is gone.
	SendSockets(conn *net.UnixConn) error
}

// Errors a Runtime returns, which have answers of their own. Another error's
// text is the answer.
var (
	ErrNoBackend  = errors.New("no such backend")
	ErrNoServer   = errors.New("no such server")
	ErrNoFrontend = errors.New("no such frontend")
	// ErrNoChange says that a frontend is already as SetFrontend wants it.
	ErrNoChange = errors.New("no change")
)

// Answer is an error whose text is HAProxy's answer to the letter.
type Answer string

func (a Answer) Error() string { return string(a) }

const (
	// ErrBusy says that something is on the server still.
	ErrBusy Answer = "Server still has connections attached to it, cannot remove."
	// ErrTracking says that a server's health is that of another one.
	ErrTracking Answer = "cannot change health on a tracking server."
	// ErrNoAgent says that no agent of the server is asked.
	ErrNoAgent Answer = "agent checks are not enabled on this server."
	// ErrNoCheck says that the configuration has no health check.
	ErrNoCheck Answer = "Health check was not configured on this server, cannot enable."
	// ErrNotChecked says the same where a place is asked for.
	ErrNotChecked Answer = "health checks are not enabled on this server"
	// ErrNoAgentConfigured says that the configuration names none.
	ErrNoAgentConfigured Answer = "Agent was not configured on this server, cannot enable."
)

// BackendID names a backend.
type BackendID struct {
	Name string
	ID   int
}

// AdminChange is what `set server ... state` asks for.
type AdminChange uint8

// Administrative changes.
const (
	Ready AdminChange = iota // neither maintenance nor drain
	Drain                    // finish what there is, take no new sessions
	Maint                    // down until further notice, not checked; ends a drain
)

// Health is what `set server ... health` asks for.
type Health uint8

// Health overrides.
const (
	HealthUp Health = iota
	HealthStopping
	HealthDown
)

// ServerState is one line of `show servers state`.
type ServerState struct {
	BackendID     int
	Backend       string
	ID            int
	Name          string
	Addr          string // IP address, or the path of a unix socket; "" shows "-"
	Port          int
	State         stats.State
	Admin         stats.Admin
	Weight        int // as an operator set it
	InitialWeight int // as the configuration says
	LastChange    int // seconds since the last change of state
	CheckStatus   int // number of the last result, health.Status
	CheckResult   int // 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed
	CheckHealth   int
	CheckState    CheckState
	AgentState    CheckState
	AgentAddr     string
	AgentPort     int
	FQDN          string  // the name Addr came from; "" shows "-"
	Resolved      bool    // it is resolved while the process serves
	ForcedIDs     [2]bool // the backend's, the server's number is given by `id`
	TLS           bool
	CheckPort     int
	CheckAddr     string // "" shows "-"
}

// Change is one line of `show runtime-changes`.
type Change struct{ What, Now string }

// CheckState tells what the health checks of a server are doing: flags as they
// stand in `show servers state`.
type CheckState uint8

// CheckState flags.
const (
	CheckRunning    CheckState = 1 << iota // a check is in flight
	CheckConfigured                        // the line says check
	CheckEnabled                           // checks are on
	CheckPaused                            // checks are paused, in maintenance
	CheckAgent                             // it is the agent that is spoken of
)
