package haproxyline

import (
	"bytes"
	"time"
)

// Kind is what kind of line it is.
type Kind uint8

// The kinds.
const (
	None    Kind = iota
	HTTP         // option httplog, or option httpslog if there are fields of TLS
	TCP          // option tcplog
	Failed       // a connection that ended before it carried anything: "1.2.3.4:5 [date] frontend/bind: reason"
	Connect      // "Connect from 1.2.3.4:5 to 6.7.8.9:80 (frontend/HTTP)", of a proxy without a log format
)

// String is the word for a kind.
func (k Kind) String() string {
	return [...]string{None: "none", HTTP: "http", TCP: "tcp", Failed: "failed", Connect: "connect"}[k]
}

// Absent is the value of a number that a line does not have, or that has no meaning: timers of what a request did not get to.
const Absent = -1

// A Line is what one line says. The zero value is ready. Texts are views of what was parsed, or of the Line itself, until the next Parse;
// those that are missing are nil, numbers are Absent.
type Line struct {
	Kind         Kind
	TLS          bool // the client spoke TLS: the frontend's name had a "~"
	Early        bool // option logasap: Bytes and the last timer are those at the time of the line, not at the end
	Redispatched bool // the last attempt went to another server
	Cut          bool // the end of the line is missing

	Client          []byte // address, or "unix"
	ClientPort      int64
	Destination     []byte // of Connect
	DestinationPort int64
	Date            []byte // of the request, or of the connection for TCP: 06/Feb/2009:12:14:14.655, local time
	Frontend        []byte // without the "~"
	Backend, Server []byte // Server may be <NOSRV>, <STATS> and the like
	Bind, Reason    []byte // of Failed: the bind line's name or number, and what happened

	Timers                          Timers // ms
	Status, Bytes                   int64
	RequestCookie, ResponseCookie   []byte
	Termination                     []byte // two letters for TCP, four for HTTP
	Connections                     Connections
	Retries                         int64
	ServerQueue, BackendQueue       int64
	RequestHeaders, ResponseHeaders []byte // captures, separated by "|"; if only one list is there, it is taken for the request's
	Request                         []byte // request line, as logged: #XX stands for a byte that could confuse
	Method, URI, Version            []byte // parts of Request, if it can be read
	SSL                             SSL
	Trace                           Trace

	// Owned by Parse: texts of an object that had escapes.
	unescaped []byte
}

// Timers are those of HAProxy, in milliseconds.
type Timers struct {
	Request  int64 // TR
	Wait     int64 // Tw
	Connect  int64 // Tc
	Response int64 // Tr
	Active   int64 // Ta
	Total    int64 // Tt, of TCP
}

// Connections are how many there were when the line was written.
type Connections struct{ Process, Frontend, Backend, Server int64 }

// SSL are the fields of option httpslog.
type SSL struct {
	Version, Cipher, SNI []byte
	FrontendError        []byte // ssl_fc_err, hexadecimal
	ConnectionError      int64  // fc_err
	VerifyError          int64  // ssl_c_err
	AuthorityError       int64  // ssl_c_ca_err
	Resumed              int64  // 0 or 1
}

// Trace is a W3C trace context, from a captured traceparent header.
type Trace struct {
	ID, Span []byte // 32 and 16 hexadecimal digits, lower case
	Flags    []byte // 2 hexadecimal digits
}

var (
	blank = Line{
		ClientPort: Absent, DestinationPort: Absent, Status: Absent, Bytes: Absent, Retries: Absent, ServerQueue: Absent, BackendQueue: Absent,
		Timers:      Timers{Absent, Absent, Absent, Absent, Absent, Absent},
		Connections: Connections{Absent, Absent, Absent, Absent},
		SSL:         SSL{ConnectionError: Absent, VerifyError: Absent, AuthorityError: Absent, Resumed: Absent},
	}
	connectFrom = []byte("Connect from ")
	tilde       = []byte("~")
)

// Parse reads the text of a message, without the header of syslog, and says whether HAProxy has written it, as far as one can see.
func (l *Line) Parse(text []byte) bool {
	buffer := l.unescaped
	*l = blank
	l.unescaped = buffer
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && text[len(text)-1] <= ' ' {
		text = text[:len(text)-1]
	}
	if len(text) == 0 {
		return false
	}
	known := false
	switch c := text[0]; {
	case c == '{':
		known = l.object(text)
	case c == 'C' && bytes.HasPrefix(text, connectFrom):
		known = l.connect(text[len(connectFrom):])
	default:
		known = l.text(text)
	}
	if !known {
		*l = blank
		l.unescaped = buffer
		return false
	}
	l.trace()
	return true
}

// frontend takes a name with the mark of TLS.
func (l *Line) frontend(name []byte) {
	l.Frontend, l.TLS = bytes.CutSuffix(name, tilde)
}

const dateLayout = "02/Jan/2006:15:04:05.000"

// Time is Date in a zone, the one of the host that wrote the line.
func (l *Line) Time(zone *time.Location) (t time.Time, ok bool) {
	if !isDate(l.Date) {
		return t, false
	}
	t, err := time.ParseInLocation(dateLayout, string(l.Date), zone)
	return t, err == nil
}

// isDate looks at the marks of a date only.
func isDate(b []byte) bool {
	return len(b) == len(dateLayout) && b[2] == '/' && b[6] == '/' && b[11] == ':' && b[14] == ':' && b[17] == ':' && b[20] == '.' && digit(b[0])
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
