package sample

import (
	"net/netip"
	"time"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/userlist"
)

// Ctx is what one evaluation sees: the request, the response if there is one
// yet, and the facts of the transaction so far. Owned by the loop that
// evaluates; views taken from it are valid during the call only.
type Ctx struct {
	Req *http1.Head // nil in TCP mode
	Res *http1.Head // nil before the response's head is there
	Rec *Record     // never nil

	// What is counted in stick tables: the exchange's entries and the session's,
	// nil where there is none; and the time on their clock (stick.Now).
	Txn, Session *Tracks
	Now          int64

	// Again says that the rules ran for this request before a reload, which it
	// met while it waited for a server: it is judged anew. What counts must not
	// count twice.
	Again bool

	// ID makes the exchange's unique id when something shows it first; nil when
	// there is none.
	ID Text

	// Doubt is what had to be computed of the client's password; nil nothing.
	Doubt *userlist.Doubt

	// Reply is filled by an action that answers in the server's place.
	Reply Reply

	scratch []byte // reused by fetches that must build a value
	key     []byte // reused for keys of stick tables
	Built   []byte // reused by actions: the value being set, before the head copies it
	Answer  []byte // backs Reply.Header and Reply.Body
	cur     cursor // where a fetch with several occurrences stands
	Dates   dates  // the texts of the last second asked for
}

// Text is what a compiled format shows: the unique id's.
type Text interface {
	// Render appends the text in the middle of an evaluation, whose values
	// stay.
	Render(dst []byte, x *Ctx) []byte
}

// Begin forgets the values of the evaluation before.
func (x *Ctx) Begin() { x.scratch = x.scratch[:0] }

// Reply is the answer an action gives instead of a server. The engine adds
// Content-Length and Connection, and sends it.
type Reply struct {
	Status int
	Header []byte // complete field lines, each ending in CRLF
	Body   []byte
	// ErrorFile is true when the proxy's errorfile for Status should be sent
	// if there is one (deny without a body of its own), with Header added.
	ErrorFile bool
	// Reason is the reason phrase when a rule sets one; nil is the standard one.
	Reason []byte
}

// Record holds the facts of one session or transaction that log formats and
// sample fetches show. Timers are in milliseconds, -1 where the step was not
// reached (HAProxy configuration manual, section 8.4). Owned by the loop.
type Record struct {
	Client     netip.AddrPort // %ci %cp, src; an invalid Addr is a unix client
	FrontAddr  netip.AddrPort // %fi %fp, dst
	BackAddr   netip.AddrPort // %bi %bp: our address towards the server
	ServerAddr netip.AddrPort // %si %sp

	Frontend string // %f; %ft adds "~" over TLS
	Backend  string // %b
	Server   string // %s, "<NOSRV>", "<STATS>"
	TLS      bool
	SNI      string
	TLSVer   string // %sslv, "TLSv1.3"
	Cipher   string // %sslc, OpenSSL's name
	ALPN     string // the protocol that both sides chose
	Resumed  bool   // ssl_fc_is_resumed

	Accept  time.Time // %t %T %Tl %ts: when the connection was accepted
	Request time.Time // %tr %trg %trl: when the first byte of the request came

	Th, Ti, TR, Tq, Tw, Tc, Tr, Td, Ta, Tt int32 // timers, ms

	Status   int    // %ST; -1 when there was none
	Sent     uint64 // %B: bytes to the client
	Received uint64 // %U: bytes from the client

	Term [4]byte // %ts %tsc: termination state; '-' where nothing is to be said

	ActConn, FeConn, BeConn, SrvConn int32 // %ac %fc %bc %sc
	Retries                          int32 // %rc
	Redispatched                     bool  // %rc has a "+" then
	SrvQueue, BeQueue                int32 // %sq %bq

	Cookie  string // %CC: captured request cookie, "" shows "-"
	SCookie string // %CS

	ReqCaptures []string // %hr
	ResCaptures []string // %hs

	Counter  uint32 // %rt: request counter
	UniqueID []byte // %ID

	// Fault is why lb refused the request or the answer, in its own words; "" it
	// did not.
	Fault string

	// BadReq is what was received of a request that could not be parsed: the
	// log shows <BADREQ> for %r and its parts.
	BadReq bool

	// Asap is option logasap: the line was written before the end, so %B and
	// the total times get a "+".
	Asap bool

	LogCount uint32 // %lc: lines that this frontend logged before

	// Level is what set-log-level asked for: 0 nothing, LevelSilent no line at
	// all, else the severity plus one.
	Level int8

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
