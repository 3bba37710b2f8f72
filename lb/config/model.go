package config

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/userlist"
)

// Config is one accepted configuration. Immutable after Load.
type Config struct {
	Global  Global
	Proxies []*Proxy // frontends, backends and listens in the order of the files
	Tables  []TableUse
	// PeerTables are the stick tables of peers sections, whose names begin with
	// the section's: "SECTION/TABLE".
	PeerTables []*stick.Spec
	Peers      []*Peers
	Rings      []*Ring
	Caches     []*Cache
	// Resolvers are the sections that servers and rules name.
	Resolvers []*Resolvers

	// Files are the map files and files of ACL patterns that rules look samples
	// up in.
	Files []*lookup.File

	// Gauges are the numbers that rules ask the engine for.
	Gauges []*sample.Gauge

	// Userlists are those that rules name and whose passwords take a while to
	// check.
	Userlists []*userlist.List

	// Environ is the environment as the configuration leaves it: what external
	// checks and `show env` see.
	Environ []string

	// Notes are what an operator should hear although the configuration is
	// accepted: keywords that are ignored (with the reason) or translated.
	Notes []cfgfile.Note

	// Digest is a hash over all that was read (files, certificates are not
	// part of it): equal digests mean an equal text.
	Digest [32]byte

	tls tlsDefaults // for servers that are added while the process serves
}

// Global is the global section.
type Global struct {
	Logs          []Log
	StatsSockets  []StatsSocket
	StatsTimeout  time.Duration
	MaxConn       int    // 0: derived from the file descriptor limit
	NbThread      int    // 0: one loop per CPU
	User, Group   string // "" keeps the current one
	UID, GID      int    // numeric uid/gid keywords; -1 when absent
	Daemon        bool
	MasterWorker  bool
	Pidfile       string
	HardStopAfter time.Duration // 0: no bound
	CloseSpread   time.Duration // close-spread-time; 0: idle connections are not closed by a reload
	Handover      string        // "move" (default), "drain" or "close": what a reload does with connections
	Chroot        string        // "" without root
	Dumpable      bool          // set-dumpable: core dumps although there is TLS
	LogTag        string        // default "haproxy"... the operator's log-tag; "" means the program's name
	LogSendHost   string        // log-send-hostname: "" off, else the name
	Node          string
	Description   string
	Rates         Rates
	MaxTLSConn    int
	TLSExtras     certs.Extras // ssl-load-extra-files, ssl-load-extra-del-ext
	IssuersChain  string       // issuers-chain-path
	// GeneratedCerts is tune.ssl.ssl-ctx-cache-size.
	GeneratedCerts int
	// HeaderCase is how names of header fields are written (h1-case-adjust), by the
	// names in lower case.
	HeaderCase map[string]string

	// No response begins to be compressed while the loops are idle for less than
	// CompressionIdle percent of the time, or more than CompressionRate bytes a
	// second are compressed; 0: no limit.
	CompressionIdle, CompressionRate int

	Transfer

	Vars *sample.ProcVars // set-var; nil: none
	TLSBases
	// SSLServerVerifyNone is ssl-server-verify none.
	SSLServerVerifyNone bool

	States ServerStates

	GlobalChecks
}

// Transfer is how messages are taken and passed on.
type Transfer struct {
	MaxHead, MaxFields int  // of a head: tune.bufsize and tune.http.maxhdr; 0: the default
	CaptureHello       int  // bytes of a TLS hello that are kept
	NoSplice           bool // long bodies go through a buffer, too
	NoH2WebSocket      bool // clients are not offered WebSockets over HTTP/2
}

// Buffer is how many bytes a reply of the configuration may have: tune.bufsize,
// in whole 16 bytes as with HAProxy.
func (t *Transfer) Buffer() int {
	return (cmp.Or(t.MaxHead, 16384) + 15) &^ 15
}

// TLSBases are ca-base and crt-base; "" for none.
type TLSBases struct {
	CABase, CrtBase string
}

// ServerStates are server-state-base and server-state-file; "" for none.
type ServerStates struct {
	Base, File string
}

// Path is where a server state file is.
func (s ServerStates) Path(file string) string {
	if s.Base == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(s.Base, file)
}

// Rates limit what is new in a second, in all frontends together; 0: no limit.
type Rates struct {
	Conns, Sessions, TLS int // maxconnrate, maxsessrate, maxsslrate
}

// Log is one `log` line. Target "global" is resolved: the proxy's list holds
// copies of the global ones.
type Log struct {
	Network  string // "udp", "unixgram", "tcp", "unix" (a connection), "fd" or "ring"
	Address  string // "127.0.0.1:514", "/dev/log", "1", a ring's name
	Format   string // "" and "local", "rfc3164", "rfc5424", "raw", "short", "priority", "timed", "iso", "journal"
	Len      int    // 1024 by default
	Facility int
	Tag      string // the proxy's log-tag; "" the global one
	Level    int    // highest severity number sent (debug 7)
	MinLevel int    // lower numbers are raised to this one
	Sample   *Sample
	Pos      cfgfile.Pos
}

// Sample is `sample` of a log line: which lines of Size are sent.
type Sample struct {
	Ranges [][2]int // from 1, both ends belong to it
	Size   int
}

// StatsSocket is one `stats socket` line.
type StatsSocket struct {
	Bind   Bind
	Level  string // "user", "operator" (default), "admin"
	Expose bool   // expose-fd listeners

	Severity string // what stands before messages: "none" or "" (nothing), "number", "string"
}

// Mode is a proxy's mode.
type Mode uint8

// Modes.
const (
	TCP Mode = iota
	HTTP
)

// Proxy is a frontend, a backend or a listen (both).
type Proxy struct {
	Name     string
	Pos      cfgfile.Pos
	Frontend bool // has the client side: frontend or listen
	Backend  bool // has the server side: backend or listen
	Mode     Mode
	Disabled bool
	OwnID    bool // `id` gives ID
	ID       int  // numeric proxy id (iid); unique

	ClientSide
	ServerSide
	Logging

	Timeouts  Timeouts
	KeepAlive TCPKeepAlive // option clitcpka, srvtcpka
	ConnMode  ConnMode

	ForwardFor                *AddressField // nil: off
	OriginalTo                *AddressField // nil: off
	ErrorFiles                map[int]ErrorFile
	LaxRequests, LaxResponses bool               // option accept-invalid-http-*
	ClientCase, ServerCase    bool               // option h1-case-adjust-bogus-*
	RestrictNames             string             // option http-restrict-req-hdr-names; "" is preserve
	BufferRequest             bool               // option http-buffer-request
	Upgrades                  bool               // in mode tcp: connections may become those of requests
	Offloads                  []*Offload         // filter spoe
	Compression               *compress.Settings // nil: off
	Stats                     *StatsPage         // stats enable/uri/...: nil off

	Needs    sample.Needs // of all that rules evaluate
	LogNeeds sample.Needs // of what only log lines show

	InspectDelay  time.Duration // tcp-request inspect-delay
	ResponseDelay time.Duration // tcp-response inspect-delay
	Rules         rule.Sets     // by stage; reqadd, rspadd, block... among them
	Redirects     rule.Rules    // redirect lines: after the http-request rules and the statistics page
}

// ClientSide is what a proxy says about its clients.
type ClientSide struct {
	Binds       []Bind
	MaxConn     int // 0 means the global limit
	Backlog     int
	SessionRate int  // rate-limit sessions: new connections a second; 0: no limit
	NoH2Upgrade bool // option disable-h2-upgrade

	DefaultBackend string // "" none; checked to exist
	UseBackends    []UseBackend

	MonitorURI string
	// MonitorFails make the answer to MonitorURI a 503 when any holds.
	MonitorFails []*acl.Cond

	ReqCaptures   []Capture // capture request header NAME len N
	ResCaptures   []Capture
	CookieCapture Capture // Header begins the cookie's name; Len 0: none
}

// ServerSide is what a proxy says about its servers.
type ServerSide struct {
	Balance      Balance
	Servers      []Server
	FullConn     int
	Retries      int // 3 by default
	RetryOn      RetryOn
	Redispatch   int // option redispatch [N]: 0 off, 1 each retry, -1 the last (default of the bare option), as HAProxy counts
	HTTPReuse    HTTPReuse
	Cookie       *Cookie // nil: none
	CookieKey    string  // dynamic-cookie-key
	Check        Check   // what `check` on a server line uses
	AllBackups   bool    // option allbackups
	AbortOnClose bool    // option abortonclose
	CheckCache   bool    // option checkcache
	RDPCookie    string  // persist rdp-cookie: its name; "" none
	HideClose    bool    // option http-pretend-keepalive
	Persist      bool    // option persist
	UseServers   []UseServer
	Persistence  []PersistRule
	Transparent  bool          // option transparent
	Source       ServerSocket  // source, for servers that say nothing of it
	NameHeader   string        // http-send-name-header: tells servers their names; "" none does
	StateFile    string        // where load-server-state-from-file finds the servers' states; "" nowhere
	Table        *stick.Spec   // nil: none
	Sticks       []*rule.Stick // stick on, match, store-...: in order
}

// Logging is what a proxy says about logs.
type Logging struct {
	Logs              []Log
	LogFormat         *logformat.Format // nil: no log-format; option httplog/tcplog set it
	LogFormatPos      cfgfile.Pos
	LogTag            string            // "" the global one; Logs have it
	LogData           *logformat.Format // log-format-sd; nil none
	ErrorLogFormat    *logformat.Format // of connections that end before they carry anything; nil: HAProxy's own words
	UniqueID          *logformat.Format // nil: requests have no id
	UniqueHeader      string            // tells servers the id; "" none does
	DontLogNull       bool
	DontLogNormal     bool
	LogAsap           bool
	LogHealthCheck    bool
	LogSeparateErrors bool
}

// TCPKeepAlive is how TCP connections that carry nothing are probed.
type TCPKeepAlive struct {
	Client, Server Probes
}

// Probes are TCP's keep-alive probes on one side; zero values are the kernel's.
type Probes struct {
	On          bool
	Idle, Intvl time.Duration // whole seconds
	Count       int
}

// UseServer is one use-server rule; Cond nil means always.
type UseServer struct {
	Server string
	Name   *logformat.Format // what makes the name; nil: Server is the name
	Cond   *acl.Cond
	Pos    cfgfile.Pos
}

// PersistRule is one force-persist or ignore-persist rule.
type PersistRule struct {
	Cond   *acl.Cond
	Ignore bool
}

// UseBackend is one use_backend rule; Cond nil means always.
type UseBackend struct {
	Backend string
	Name    *logformat.Format // what makes the name; nil: Backend is the name
	Cond    *acl.Cond
	Pos     cfgfile.Pos
}

// ConnMode says what becomes of connections after a response.
type ConnMode uint8

// Connection modes (options http-keep-alive, http-server-close, httpclose).
const (
	KeepAlive   ConnMode = iota // both sides are kept
	ServerClose                 // the server side closes, the client side is kept
	Close                       // both sides close
)

// HTTPReuse is the http-reuse policy.
type HTTPReuse uint8

// http-reuse policies; Safe is the default.
const (
	ReuseSafe HTTPReuse = iota
	ReuseNever
	ReuseAggressive
	ReuseAlways
)

// Timeouts of a proxy; 0 means none is set (infinite).
type Timeouts struct {
	Connect, Client, Server, HTTPRequest, HTTPKeepAlive, Queue, Check, Tunnel, ClientFin, ServerFin, Tarpit, ClientHandshake, ServerHandshake time.Duration
}

// Bind is one address to listen on (a port range gives several).
type Bind struct {
	Pos         cfgfile.Pos
	Network     string // "tcp", "tcp4", "tcp6" (v6only), "unix", "abns", "fd"
	Address     string // "0.0.0.0:80", "[::]:80", "/path", "name", "3"
	V4V6        bool
	V6Only      bool
	Name        string // name NAME
	Mode        uint32 // unix socket permissions; 0 means default
	User        string
	Group       string
	UID, GID    int // -1 when absent
	Backlog     int
	MaxConn     int // 0: the frontend's limit alone
	Interface   string
	Namespace   string
	MSS         int           // 0: the route's
	UserTimeout time.Duration // tcp-ut
	Probes      Probes        // option clitcpka of the proxy
	DeferAccept bool
	TFO         bool
	Transparent bool
	AcceptProxy bool
	AcceptCIP   bool
	CIPMagic    uint32
	ID          int
	TLS         *BindTLS // nil: plain
}

// BindTLS is `ssl` on a bind line, with ssl-default-bind-* applied.
type BindTLS struct {
	certs.Settings
	Sources    []certs.Source // crt and crt-list, crt-base applied, in order
	StrictSNI  bool
	NoTickets  bool
	TicketKeys string // tls-ticket-keys
	Signing    certs.Signing
	Without    Versions
}

// Server is one server line (server-template gives several), with
// default-server applied.
type Server struct {
	Name string
	Pos  cfgfile.Pos
	// Unnamed is the address of dispatch or of option transparent: it is no server
	// for logs, tables and commands.
	Unnamed bool
	// Host and Port as written: an IP address or a name; Port 0 means the
	// client's own destination port. Unix sockets have Network "unix".
	Network string // "tcp", "unix" or "abns"
	Host    string
	Port    int
	Addr    netip.Addr // set when Host is an IP address; unspecified means the client's destination
	// PortOffset is added to the client's port when Port is 0.
	PortOffset int

	Weight      int // 0..256, default 1
	MaxConn     int // 0: unlimited
	MaxQueue    int
	Cookie      string
	SlowStart   time.Duration
	Redir       string
	PoolMaxConn int    // -1 unlimited
	MaxReuse    int    // -1 unlimited
	Observe     string // "" no, "layer4" or "layer7"
	ErrorLimit  int    // 10

	// The small ones stand together: there may be thousands of servers.
	OnError              health.OnError
	Backup               bool
	Disabled             bool
	NonStick             bool // stick rules do not store it
	OwnID                bool // `id` gives its ID
	OnMarkedDownShutdown bool // on-marked-down shutdown-sessions
	OnMarkedUpShutdown   bool // on-marked-up shutdown-backup-sessions

	Track     string // "[proxy/]server"; "" none
	MinConn   int
	InitAddr  string // "" is last,libc
	Resolve   Resolve
	TLS       ServerTLS
	Proto     string // "h1" or "h2"; "" is h1, or what alpn agrees on
	WebSocket string // ws: "h1", "h2", or "auto", which "" is
	ID        int    // numeric server id (sid)

	ServerCheck
	ServerSocket
}

// ServerCheck is what a server line says about checks and agents.
type ServerCheck struct {
	Check                       bool
	CheckTLS                    bool // check-ssl
	NoCheckTLS                  bool // no-check-ssl
	CheckProxy                  bool // check-send-proxy
	CheckViaSOCKS4              bool // check-via-socks4
	Agent                       bool
	CheckPort                   int
	CheckAddr                   string
	Inter, FastInter, DownInter time.Duration // default 2s; 0 of the latter two means Inter
	Rise, Fall                  int           // 2, 3
	CheckProto                  string        // check-proto: "h1", "h2"; "" is as proto says
	AgentAddr                   string        // "": CheckAddr
	AgentPort                   int
	AgentInter                  time.Duration // 2s
	AgentSend                   string
}

// ServerSocket is what a server line says about the connections to it.
type ServerSocket struct {
	Source           netip.AddrPort // where they come from; port 0 is any
	SourceLast       uint16         // of a range of ports, whose first one Source has; 0: that port alone
	proxyV1, proxyV2 bool           // send-proxy, send-proxy-v2: what Proxy.Version is made of
	tlsFault         uint16         // what is wrong with a word about TLS; 0: nothing
	UseSource        UseSource
	Interface        string
	Namespace        string        // network namespace; "" our own
	UserTimeout      time.Duration // tcp-ut
	Proxy            SendProxy
	SOCKS4           netip.AddrPort // of the proxy that connects to it; invalid: none does
}

// UseSource is usesrc: whose address connections to a server come from.
type UseSource struct {
	Whose  string         // "client", "clientip", "address", "field" or ""
	Addr   netip.AddrPort // the address
	Expr   string         // of the field: an expression that gives the address
	Format *logformat.Format
}

// SendProxy is the PROXY header that connections to a server begin with.
type SendProxy struct {
	Version                     int // 1 or 2; 0: none
	SSL, Cipher                 bool
	CN, KeyAlg, SigAlg          bool // of certificates; SSL too then
	UniqueID, Authority, CRC32C bool
}

// ServerTLS is what a server line says about TLS.
type ServerTLS struct {
	Ask                    string // sni: an expression; "" asks for no name
	AskFormat              *logformat.Format
	Offer                  []string // alpn
	Ciphers                []uint16
	CRLFile                string
	Verify                 string // "none" or "required"; "" is required
	VerifyHost             string
	CAFile                 string
	Cert                   string   // client's certificate and key
	SNI                    string   // check-sni
	ALPN                   []string // check-alpn
	MinVersion, MaxVersion uint16
	Without                Versions
	On                     bool // ssl
	NoReuse, NoTickets     bool
}

// Balance is the balance algorithm.
type Balance struct {
	Algo           string // "roundrobin", "static-rr", "leastconn", "source", "uri", "random", "first", "hdr", "url_param"
	Arg            string // hdr(NAME), random(N)
	URILen         int
	URIDepth       int
	URIWhole       bool
	URIPathOnly    bool
	Unsaid         bool          // no balance line: it is the default
	Key            *rule.HashKey // of hdr, url_param, rdp-cookie and hash
	DomainOnly     bool          // of the key only the domain without its last label, as in balance hdr(host) use_domain_only
	HashConsistent bool          // hash-type consistent
	HashFunc       string        // sdbm when ""
	Avalanche      bool          // the hash is spread over all bits
	Factor         int           // hash-balance-factor; 0 none
}

// RetryOn is retry-on: after which failures a request is sent again.
type RetryOn struct {
	NoConnFailure        bool // not even after a failure to connect
	Empty, Junk, Timeout bool
	Statuses             []int
}

// Cookie is `cookie NAME ...`. Without insert, rewrite and prefix servers name
// themselves.
type Cookie struct {
	Name                                                    string
	Insert, Rewrite, Prefix                                 bool
	Dynamic                                                 bool
	Indirect, NoCache, PostOnly, Preserve, HTTPOnly, Secure bool
	Domain                                                  string
	MaxIdle, MaxLife                                        time.Duration
	Attrs                                                   []string
}

// Check is how servers of a backend are checked.
type Check struct {
	Script       health.Script // without steps a connection is enough
	DisableOn404 bool
	SendState    bool

	External bool   // option external-check: Command is run in place of Script
	Command  string // a path, or a name to look for in Path
	Path     string
}

// GlobalChecks is what the global section says of all checks.
type GlobalChecks struct {
	SpreadChecks int
	MaxSpread    time.Duration // max-spread-checks; 0: the first checks are spread over their whole intervals
	NeverLocal   bool          // pp2-never-send-local
	Programs     Programs      // what option external-check may do
}

// Programs says what checks may run.
type Programs struct {
	Allowed bool // external-check
	Environ bool // preserve-env: they get the worker's environment
	Fork    bool // insecure-fork-wanted
	SetUID  bool // insecure-setuid-wanted
}

// AddressField is option forwardfor or option originalto.
type AddressField struct {
	Except netip.Prefix
	Header string // "X-Forwarded-For"
	IfNone bool
}

// ErrorFile is what replaces the built-in answer for a status.
type ErrorFile struct {
	Path string
	Data []byte // the whole response as on the wire; empty for /dev/null

	Rule *rule.Rule // makes the response for each request; nil: it is Data
}

// Capture is one `capture request|response header`.
type Capture struct {
	Header string
	Len    int
}

// StatsPage is the `stats ...` lines of a proxy.
type StatsPage struct {
	URI         string // "/haproxy?stats" by default
	Realm       string
	Auths       []string // user:password
	Rules       rule.Rules
	Refresh     time.Duration
	HideVersion bool
	ShowLegends bool
	ShowNode    string
	ShowDesc    string
	NodeShown   bool      // stats show-node, be it without a name
	DescShown   bool      // stats show-desc, be it without a text
	Scope       []string  // names of proxies; "." is the page's own
	Admin       *acl.Cond // stats admin if ...: nil off
}
