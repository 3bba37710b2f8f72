package sample

import (
	"net/netip"
	"time"
)

// Record holds the facts of one session or transaction that log formats and
// sample fetches show (HAProxy configuration manual, section 8.4). Owned by the
// loop.
type Record struct {
	Parties
	TLSFacts
	BackTLS TLSFacts // of the connection to the server
	Timers
	Load
	Forwarding

	Status   int     // %ST; -1 when there was none
	Sent     uint64  // %B: bytes to the client
	Received uint64  // %U: bytes from the client
	Term     [4]byte // %ts %tsc: termination state; '-' where nothing is to be said

	Cookie      string   // %CC: captured request cookie, "" shows "-"
	SCookie     string   // %CS
	ReqCaptures []string // %hr
	ResCaptures []string // %hs

	Counter  uint32 // %rt: request counter
	LogCount uint32 // %lc: lines that this frontend logged before
	UniqueID []byte // %ID
	First    bool   // http_first_req

	// Fault is why lb refused the request or the answer, in its own words; "" it
	// did not.
	Fault string

	// Compressed is the algorithm by which the response is compressed; "" it is not.
	Compressed string

	// Cache is the name of the cache that the answer came from; "" another one has
	// answered.
	Cache string

	// BadReq is what was received of a request that could not be parsed: the
	// log shows <BADREQ> for %r and its parts.
	BadReq bool

	// Asap is option logasap: the line was written before the end, so %B and
	// the total times get a "+".
	Asap bool

	// Level is what set-log-level asked for: 0 nothing, LevelSilent no line at
	// all, else the severity plus one.
	Level int8

	Overrides

	// LastRule is the rule that gave the final word, nil when none did.
	LastRule *Place `json:"-"`

	// Lenient is strict-mode off: the rules that follow in the set leave out what
	// would make the head too large.
	Lenient bool `json:"-"`

	// Answered is set once a server is connected: from then on variables are
	// those of the response.
	Answered bool

	// Vars are the transaction's variables (set-var). Reset them when the
	// transaction ends.
	Vars Vars

	Pid      int    // %pid
	Hostname string // %H

	// Method, URI and Minor are copies (views of the session's buffer) that
	// outlive the parsed head: what %r, %HM, %HU, %HP, %HQ and %HV show.
	Method []byte
	URI    []byte
	Minor  int // HTTP/1.Minor
	HTTP2  bool
}

// LevelSilent in Record.Level suppresses the log line.
const LevelSilent = -1

// Parties are those that a connection or an exchange is between.
type Parties struct {
	Client     netip.AddrPort // %ci %cp, src; an invalid Addr is a unix client
	FrontAddr  netip.AddrPort // %fi %fp, dst
	BackAddr   netip.AddrPort // %bi %bp: our address towards the server
	ServerAddr netip.AddrPort // %si %sp
	Proxied    *Proxied       // what a PROXY header said besides; nil: none came
	Expect     Preface        // what tcp-request connection rules await

	Frontend string // %f; %ft adds "~" over TLS
	Backend  string // %b
	Server   string // %s, "<NOSRV>", "<STATS>"
	ServerID int    // 0 without one

	ServerHTTP2 bool // bc_http_major
}

// TLSFacts are what a handshake agreed on.
type TLSFacts struct {
	TLS     bool
	SNI     string
	TLSVer  string    // %sslv, "TLSv1.3"
	Cipher  string    // %sslc, OpenSSL's name
	ALPN    string    // the protocol that both sides chose
	Resumed bool      // ssl_fc_is_resumed
	Detail  TLSDetail `json:"-"` // what rules and logs that ask see besides; nil: nothing was kept
	NotMade *Fault    `json:"-"` // why the connection was not made; nil: it was, or is not tried yet
}

// Timers are in milliseconds, -1 where the step was not reached.
type Timers struct {
	Accept  time.Time // %t %T %Tl %ts: when the connection was accepted
	Request time.Time // %tr %trg %trl: when the first byte of the request came

	Th, Ti, TR, Tq, Tw, Tc, Tr, Td, Ta, Tt int32
}

// Load is how many there were besides it, and how hard it was to place.
type Load struct {
	ActConn, FeConn, BeConn, SrvConn int32 // %ac %fc %bc %sc
	Retries                          int32 // %rc
	Redispatched                     bool  // %rc has a "+" then
	SrvQueue, BeQueue                int32 // %sq %bq
}

// Forwarding is what rules asked of the request's path to a server: its place in
// queues, and that it is sent once.
type Forwarding struct {
	PriorityClass, PriorityOffset int32
	Once                          bool
}

// Overrides are what rules set for one exchange in place of the backend's
// settings.
type Overrides struct {
	ServerTimeout, TunnelTimeout int64 // set-timeout, ms; 0 nothing
	MaxRetries                   int   // set-retries, plus one; 0 nothing
}

// Place is where a rule stands in the configuration.
type Place struct {
	File string
	Line int
}

// Side is what rules may know of a proxy. Immutable.
type Side struct {
	ID      int
	Default string // the backend of default_backend

	ReqCaptures, ResCaptures []int // the lengths of its slots

	ClientTimeout, ConnectTimeout, QueueTimeout, ServerTimeout, TarpitTimeout, TunnelTimeout int64 // ms
}

// Listener is what rules may know of a bind line. Immutable.
type Listener struct {
	ID    int
	Name  string       // of its name option
	Conns func() int64 // how many connections it has
}

// Socket is a client's connection, for facts that are asked of the kernel.
type Socket interface {
	// TCP gives what the kernel knows of it; false for another kind of socket.
	TCP() (TCPFacts, bool)
	// Ends gives the addresses of its two ends: those of the connection itself, not
	// what a PROXY header or rules on requests say. Both are invalid for a unix socket.
	Ends() (peer, local netip.AddrPort)
	// SetTOS and SetMark set the DSCP field and the mark of its packets.
	SetTOS(tos int)
	SetMark(mark int)
	// Silence has it closed without the client being told.
	Silence()
}

// TCPFacts are those of TCP_INFO.
type TCPFacts struct {
	RTT, RTTVar                                         uint32 // µs
	Unacked, Sacked, Lost, Retrans, Fackets, Reordering uint32
}
