package stats

// Snapshot is the balancer at one instant. Rows stand in the order HAProxy
// shows them: proxies in the order of the configuration, each with its
// frontend, its listeners, its servers and its backend.
type Snapshot struct {
	Info Info
	Rows []Row
}

// Kind says what a row describes. The numbers are HAProxy's `type` column.
type Kind uint8

// Kinds of rows.
const (
	Frontend Kind = iota
	Backend
	Server
	Listener
)

// Row is one line of `show stat`. Which fields are shown depends on Kind (and
// on HTTP for the request columns); fields of other kinds are ignored. Fields
// that can be empty for their own kind say so.
type Row struct {
	Kind    Kind
	HTTP    bool   // mode http, else tcp
	Proxy   string // pxname
	Name    string // svname of servers and listeners; Frontend and Backend show FRONTEND and BACKEND
	ProxyID int    // iid
	ID      int    // sid of servers and listeners

	Counters

	QueueCur, QueueMax int
	SessCur, SessMax   int
	SessLimit          int    // frontend, listener: maxconn; backend: fullconn; server: maxconn, 0 shows empty
	Status             string // frontend, listener: OPEN, FULL, PAUSED, STOP; backend: UP, DOWN. Servers: see StatusText
	Rates

	Weight     int // effective weight; a backend's is the sum over its usable servers
	UserWeight int // weight as an operator set it; a backend's is the sum
	Active     int // backend: usable active servers; server: 1 when it is one
	Backup     int // backend: usable backup servers; server: 1 when it is one
	ServersUp  int // backend: servers that are up, shown when down ones are hidden
	Servers    int // backend: all its servers

	LastChange int    // seconds since the last change of state
	Downtime   int    // seconds of downtime, the current one included
	LastSess   int    // seconds since the last session; -1 never
	Cookie     string // backend: the cookie's name; server: its value
	Algo       string // backend: balance algorithm
	Addr       string // server, listener: address:port

	Durations

	// The fields below are for servers only.

	State    State
	Admin    Admin
	QLimit   int    // maxqueue; 0 shows empty
	Throttle int    // slow start, percent; shown while State is Starting
	Tracked  string // "backend/server" it tracks, "" shows empty

	Checks
	AgentChecks
	Pool
}

// Rates are what came in the last second, and most in one.
type Rates struct {
	SessRate      int
	SessRateMax   int
	SessRateLimit int // frontend: rate-limit sessions
	ReqRate       int // frontend
	ReqRateMax    int
	ConnRate      int // frontend
	ConnRateMax   int
}

// Durations are how long exchanges took.
type Durations struct {
	QueueTime, ConnectTime, ResponseTime, TotalTime             int // ms, average over the last 1024
	QueueTimeMax, ConnectTimeMax, ResponseTimeMax, TotalTimeMax int // ms

	// Times is what the eight figures above are of. SetTimes sets them.
	Times [4]Average
	// Latency is how the times of all exchanges are distributed; a frontend has
	// response and total times.
	Latency Latency
}

// Checks are what a server's health checks found, and its traffic.
type Checks struct {
	CheckConfigured bool   // the line says check; false hides chkfail, chkdown and downtime
	CheckStatus     string // L7OK, L4CON...; "" or a server in maintenance shows empty
	CheckRunning    bool   // a check is in flight: `* ` stands before the status
	CheckCode       int    // last status code; 0 shows empty unless CheckHasCode
	CheckHasCode    bool   // the last check's status has a code, be it 0
	CheckDuration   int    // ms; -1 (no check has ended yet) shows empty
	CheckDesc       string // "Layer7 check passed"
	CheckInfo       string // last_chk: detail of the last check, "Connection refused"
	CheckRise       int
	CheckFall       int
	CheckHealth     int    // 0..rise+fall-1; up from rise on
	TrackedChecked  bool   // the server it tracks is checked, and CheckHealth is that one's
	TrackedAgent    bool   // it has an agent that is asked, and AgentHealth is that one's
	Observed        bool   // observe: HanaFail is shown
	HanaFail        uint64 // rows of errors of the traffic (observe)
}

// AgentChecks are what a server's agent said.
type AgentChecks struct {
	AgentConfigured bool   // the line says agent-check
	AgentStatus     string // as CheckStatus; "" (disabled) hides all of the agent's
	AgentCode       int
	AgentHasCode    bool
	AgentDuration   int // ms; -1 shows empty
	AgentDesc       string
	AgentInfo       string // last_agt: what it said, or why it did not
	AgentRise       int
	AgentFall       int
	AgentHealth     int
}

// Pool is a server's connections, and what a frontend or a backend has open.
type Pool struct {
	Open OpenHTTP // frontend, backend; the other fields are a server's

	IdleConns   int   // kept idle connections, all
	IdleEach    []int // of these, those of each loop
	UnsafeConns int   // idle connections that may only be reused by a safe request
	SafeConns   int   // idle connections any request may reuse
	UsedConns   int   // connections with a request on them
	NeedConns   int   // estimated need
	IdleLimit   int   // pool-max-conn; -1 (unlimited) shows empty
}

// Admin is the administrative state of a server: flags as they stand in `show
// servers state`.
type Admin uint8

// Admin flags.
const (
	ForcedMaint    Admin = 1 << iota // set server ... state maint
	InheritedMaint                   // the tracked server is in maintenance
	ConfigMaint                      // it began with `disabled` on its line; says nothing of now
	ForcedDrain                      // set server ... state drain
	InheritedDrain                   // the tracked server drains
	ResolvedMaint                    // its name does not resolve
	RenamedHost                      // its name was changed at run time; says nothing of now
)

// Maint tells whether any reason for maintenance holds.
func (a Admin) Maint() bool {
	return a&(ForcedMaint|InheritedMaint|ResolvedMaint) != 0
}

// Drain tells whether the server drains.
func (a Admin) Drain() bool { return a&(ForcedDrain|InheritedDrain) != 0 }

// State is the operational state of a server: numbers as they stand in `show
// servers state`.
type State uint8

// States.
const (
	Stopped  State = iota // down
	Starting              // up, with slow start running
	Running
	Stopping // up, takes persistent sessions only
)

// SetTimes sets the figures of queue, connect, response and total times.
func (r *Row) SetTimes(t [4]Average) {
	r.Times = t
	r.QueueTime, r.ConnectTime, r.ResponseTime, r.TotalTime = t[0].Value(), t[1].Value(), t[2].Value(), t[3].Value()
	r.QueueTimeMax, r.ConnectTimeMax, r.ResponseTimeMax, r.TotalTimeMax = int(t[0].Max), int(t[1].Max), int(t[2].Max), int(t[3].Max)
}
