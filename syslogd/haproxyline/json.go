package haproxyline

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// members are what the values of an object are, by name: those of HAProxy's manual, which option httplog json writes, and those that HAProxy's
// own examples of %{+json}o use.
var members = map[string]func(l *Line, v value){
	"client_ip":        func(l *Line, v value) { l.Client = v.text },
	"client_port":      func(l *Line, v value) { l.ClientPort = v.number() },
	"destination_ip":   func(l *Line, v value) { l.Destination = v.text },
	"destination_port": func(l *Line, v value) { l.DestinationPort = v.number() },

	"accept_date": setDate, "request_date": setDate, "date": setDate,
	"frontend_name": setFrontend, "frontend_name_transport": setFrontend, "fe_name": setFrontend, "fe_name_transport": setFrontend,
	"backend_name": setBackend, "be_name": setBackend,
	"server_name": func(l *Line, v value) { l.Server = v.text },

	"time_request":         func(l *Line, v value) { l.Timers.Request = v.number() },
	"time_to_receive":      func(l *Line, v value) { l.Timers.Request = v.number() },
	"time_wait":            func(l *Line, v value) { l.Timers.Wait = v.number() },
	"time_waiting":         func(l *Line, v value) { l.Timers.Wait = v.number() },
	"time_connect":         func(l *Line, v value) { l.Timers.Connect = v.number() },
	"time_to_connect":      func(l *Line, v value) { l.Timers.Connect = v.number() },
	"time_response":        func(l *Line, v value) { l.Timers.Response = v.number() },
	"time_server_response": func(l *Line, v value) { l.Timers.Response = v.number() },
	"time_active":          func(l *Line, v value) { l.Timers.Active = v.number(); l.Early = l.Early || v.plus() },
	"time_total":           func(l *Line, v value) { l.Timers.Total = v.number(); l.Early = l.Early || v.plus() },

	"status_code":              func(l *Line, v value) { l.Status = v.number() },
	"status":                   func(l *Line, v value) { l.Status = v.number() },
	"bytes_read":               func(l *Line, v value) { l.Bytes = v.number() },
	"captured_request_cookie":  func(l *Line, v value) { l.RequestCookie = present(v.text) },
	"request_cookies":          func(l *Line, v value) { l.RequestCookie = present(v.text) },
	"captured_response_cookie": func(l *Line, v value) { l.ResponseCookie = present(v.text) },
	"response_cookies":         func(l *Line, v value) { l.ResponseCookie = present(v.text) },
	"termination_state":        func(l *Line, v value) { l.Termination = v.text },
	"termination_state_cookie": func(l *Line, v value) { l.Termination = v.text },

	"actconn":                     func(l *Line, v value) { l.Connections.Process = v.number() },
	"process_active_connections":  func(l *Line, v value) { l.Connections.Process = v.number() },
	"feconn":                      func(l *Line, v value) { l.Connections.Frontend = v.number() },
	"frontend_active_connections": func(l *Line, v value) { l.Connections.Frontend = v.number() },
	"beconn":                      func(l *Line, v value) { l.Connections.Backend = v.number() },
	"backend_active_connections":  func(l *Line, v value) { l.Connections.Backend = v.number() },
	"srv_conn":                    func(l *Line, v value) { l.Connections.Server = v.number() },
	"server_active_connections":   func(l *Line, v value) { l.Connections.Server = v.number() },
	"retries":                     func(l *Line, v value) { l.Retries = v.number(); l.Redispatched = v.plus() },
	"srv_queue":                   func(l *Line, v value) { l.ServerQueue = v.number() },
	"server_queue":                func(l *Line, v value) { l.ServerQueue = v.number() },
	"backend_queue":               func(l *Line, v value) { l.BackendQueue = v.number() },

	"captured_request_headers":  func(l *Line, v value) { l.RequestHeaders = v.headers() },
	"request_headers":           func(l *Line, v value) { l.RequestHeaders = v.headers() },
	"captured_response_headers": func(l *Line, v value) { l.ResponseHeaders = v.headers() },
	"response_headers":          func(l *Line, v value) { l.ResponseHeaders = v.headers() },
	"http_request":              func(l *Line, v value) { l.request(v.text) },
	"request_line":              func(l *Line, v value) { l.request(v.text) },
	"http_method":               func(l *Line, v value) { l.Method = v.text },
	"http_uri":                  func(l *Line, v value) { l.URI = v.text },
	"http_version":              func(l *Line, v value) { l.Version = v.text },

	"ssl_version":       func(l *Line, v value) { l.SSL.Version = present(v.text) },
	"ssl_ciphers":       func(l *Line, v value) { l.SSL.Cipher = present(v.text) },
	"ssl_cipher":        func(l *Line, v value) { l.SSL.Cipher = present(v.text) },
	"ssl_fc_sni":        func(l *Line, v value) { l.SSL.SNI = present(v.text) },
	"fc_err":            func(l *Line, v value) { l.SSL.ConnectionError = v.number() },
	"ssl_fc_err":        func(l *Line, v value) { l.SSL.FrontendError = present(v.text) },
	"ssl_c_err":         func(l *Line, v value) { l.SSL.VerifyError = v.number() },
	"ssl_c_ca_err":      func(l *Line, v value) { l.SSL.AuthorityError = v.number() },
	"ssl_fc_is_resumed": func(l *Line, v value) { l.SSL.Resumed = v.number() },
	"traceparent": func(l *Line, v value) {
		if t, ok := parseTrace(v.text); ok {
			l.Trace = t
		}
	},
}

func setDate(l *Line, v value)     { l.Date = v.text }
func setFrontend(l *Line, v value) { l.frontend(v.text) }
func setBackend(l *Line, v value)  { l.Backend = v.text }

// A value is a string without its escapes, or a number or a word as it stands; nil for null, a list or an object.
type value struct{ text []byte }

// number reads a number, or a string with one: %(name:str) makes those.
func (v value) number() int64 {
	switch string(v.text) {
	case "true":
		return 1
	case "false":
		return 0
	}
	n, ok := number(v.text)
	if !ok {
		return Absent
	}
	return n
}

func (v value) plus() bool { return len(v.text) > 0 && v.text[0] == '+' }

// headers are captures without the braces around them.
func (v value) headers() []byte {
	if n := len(v.text); n >= 2 && v.text[0] == '{' && v.text[n-1] == '}' {
		return v.text[1 : n-1]
	}
	return present(v.text)
}

// object reads one JSON object. It is HAProxy's if it says which client came to which frontend.
func (l *Line) object(text []byte) bool {
	s := scanner{rest: text[1:], buffer: l.unescaped[:0], size: len(text)}
	defer func() { l.unescaped = s.buffer[:0] }()
	for first := true; ; first = false {
		if s.next('}') {
			break
		}
		if !first && !s.next(',') {
			return false
		}
		name, ok := s.string()
		if !ok || !s.next(':') {
			return false
		}
		v, ok := s.value()
		if !ok {
			return false
		}
		if set, known := members[string(name)]; known && v.text != nil {
			set(l, v)
		}
	}
	if len(s.rest) > 0 || len(l.Client) == 0 || len(l.Frontend) == 0 {
		return false
	}
	l.Kind = TCP
	if l.Status != Absent || l.Method != nil || l.Request != nil || l.Timers.Active != Absent {
		l.Kind = HTTP
	}
	return true
}

// A scanner reads JSON.
type scanner struct {
	rest   []byte
	buffer []byte // strings that had escapes
	size   int    // of the whole text: the buffer never needs more
}

func (s *scanner) blanks() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// next takes a mark, if it is what comes next.
func (s *scanner) next(mark byte) bool {
	s.blanks()
	if len(s.rest) == 0 || s.rest[0] != mark {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// value takes a value of any kind.
func (s *scanner) value() (v value, ok bool) {
	s.blanks()
	if len(s.rest) == 0 {
		return v, false
	}
	switch s.rest[0] {
	case '"':
		v.text, ok = s.string()
		if ok && v.text == nil {
			v.text = s.rest[:0]
		}
		return v, ok
	case '{', '[':
		return v, s.skip()
	}
	end := bytes.IndexAny(s.rest, ",}] \t")
	if end <= 0 {
		return v, false
	}
	v.text, s.rest = s.rest[:end], s.rest[end:]
	if string(v.text) == "null" {
		v.text = nil
	}
	return v, true
}

// skip passes over a list or an object, whose marks need only be as many at the end as at the beginning.
func (s *scanner) skip() bool {
	for depth := 0; len(s.rest) > 0; {
		switch s.rest[0] {
		case '"':
			if _, ok := s.string(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.rest = s.rest[1:]
		if depth == 0 {
			return true
		}
	}
	return false
}

// string takes a string.
func (s *scanner) string() (text []byte, ok bool) {
	if !s.next('"') {
		return nil, false
	}
	end := bytes.IndexAny(s.rest, "\"\\")
	if end < 0 {
		return nil, false
	}
	if s.rest[end] == '"' {
		text, s.rest = s.rest[:end], s.rest[end+1:]
		return text, true
	}
	if cap(s.buffer)-len(s.buffer) < s.size {
		s.buffer = make([]byte, 0, 2*s.size)
	}
	from := len(s.buffer)
	for {
		s.buffer, s.rest = append(s.buffer, s.rest[:end]...), s.rest[end:]
		if s.rest[0] == '"' {
			s.rest = s.rest[1:]
			return s.buffer[from:len(s.buffer):len(s.buffer)], true
		}
		if !s.escape() {
			return nil, false
		}
		if end = bytes.IndexAny(s.rest, "\"\\"); end < 0 {
			return nil, false
		}
	}
}

// escape takes one escape sequence.
func (s *scanner) escape() bool {
	if len(s.rest) < 2 {
		return false
	}
	c := s.rest[1]
	if c == 'u' {
		r, ok := unit(s.rest)
		if !ok {
			return false
		}
		s.rest = s.rest[6:]
		if utf16.IsSurrogate(r) {
			second, ok := unit(s.rest)
			if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
				s.rest = s.rest[6:]
			}
		}
		s.buffer = utf8.AppendRune(s.buffer, r)
		return true
	}
	i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
	if i < 0 {
		return false
	}
	s.buffer = append(s.buffer, "\"\\/\b\f\n\r\t"[i])
	s.rest = s.rest[2:]
	return true
}

// unit is the UTF-16 code unit of "\uXXXX" at the beginning of b.
func unit(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
