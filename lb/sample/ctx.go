package sample

import (
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

	// Buf is what a client in mode tcp has sent so far, or for rules about the
	// answer the server, and Partial says that more may come. HeadPartial: it may become the head of a request. Missing is set
	// by an evaluation that more bytes could change.
	Buf                           []byte
	Partial, HeadPartial, Missing bool

	// Front and Back are the proxies, Back the same as Front until a backend is
	// chosen, Listener where the client came, Client its connection. Any may be
	// nil.
	Front, Back *Side
	Listener    *Listener
	Client      Socket

	// Body is what is there of the request's body, as it came: Chunked says how.
	// BodySize is the length that the request announces, -1 if it does not. Await
	// is what a rule waits for.
	Body     []byte
	Chunked  bool
	BodySize int64
	Await    Await

	// Said is the same of the response's body, for rules of http-response and
	// http-after-response.
	Said Body

	// What is counted in stick tables: the exchange's entries and the session's,
	// nil where there is none; and the time on their clock (stick.Now).
	Txn, Session *Tracks
	Now          int64

	// Again says that the rules ran for this request before a reload, which it
	// met while it waited for a server: it is judged anew. What counts must not
	// count twice.
	Again bool

	// SessVars are the variables of scope sess, nil where there are none; Proc
	// those of scope proc.
	SessVars *Vars
	Proc     *ProcVars

	// ID makes the exchange's unique id when something shows it first; nil when
	// there is none.
	ID Text

	// Doubt is what had to be computed of the client's password; nil nothing.
	Doubt *userlist.Doubt

	Leniency

	// Thread is the number of the loop.
	Thread int

	// Place is where the rule stands that is evaluated.
	Place *Place

	// Hints are responses with early hints.
	Hints []byte

	// Reply is filled by an action that answers in the server's place.
	Reply Reply

	scratch []byte // reused by fetches that must build a value
	key     []byte // reused for keys of stick tables
	Built   []byte // reused by actions: the value being set, before the head copies it
	Answer  []byte // backs Reply.Header and Reply.Body
	cur     cursor // where a fetch with several occurrences stands
	Dates   dates  // the texts of the last second asked for
}

// Leniency is for rules that may be left out (strict-mode off).
type Leniency struct {
	Room int        // how large they may make a head; 0 is any size
	Undo http1.Head // what it was before such a rule, and the memory of that
}

// Text is what a compiled format shows: the unique id's.
type Text interface {
	// Render appends the text in the middle of an evaluation, whose values
	// stay.
	Render(dst []byte, x *Ctx) []byte
}

// Body is what is there of a body, as it came.
type Body struct {
	Bytes   []byte
	Chunked bool
	Size    int64 // the length that the head announces, -1 if it does not
}

// Await is what a rule waits for: how much of a body and how long, an agent, the
// address of a name, or a cache.
type Await struct {
	Time    int64 // ms
	AtLeast int   // bytes; 0: all of it

	Engine, Group string // of an agent's messages

	Var, Resolvers, Name string // the variable that gets a name's address, and the section to ask
	IPv4                 bool   // is preferred to IPv6

	Cache string // the section's name
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
	// About is the status that the answer is about, when that is another one: an
	// error file's own is what the client sees, and logs have this.
	About int
	// Reason is the reason phrase when a rule sets one; nil is the standard one.
	Reason []byte
}
