package haproxyline

import "bytes"

// longestClient bounds where the first blank of a line must be: an IPv6 address with a zone, and a port.
const longestClient = 80

// word takes text up to the next blank.
func word(text []byte) (w, rest []byte) {
	if i := bytes.IndexByte(text, ' '); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}

// text reads what begins with "CLIENT:PORT [DATE] ".
func (l *Line) text(text []byte) bool {
	end := bytes.IndexByte(text[:min(len(text), longestClient)], ' ')
	if end < 0 || len(text) < end+len(dateLayout)+3 || text[end+1] != '[' {
		return false
	}
	date := text[end+2:]
	if date[len(dateLayout)] != ']' || !isDate(date[:len(dateLayout)]) {
		return false
	}
	var ok bool
	if l.Client, l.ClientPort, ok = endpoint(text[:end]); !ok {
		return false
	}
	l.Date = date[:len(dateLayout)]
	rest := bytes.TrimPrefix(date[len(dateLayout)+1:], []byte{' '})
	proxy, rest := word(rest)
	if len(proxy) == 0 {
		return false
	}
	if i := bytes.IndexByte(proxy, '/'); i >= 0 {
		return l.failed(proxy, i, rest)
	}
	l.frontend(proxy)
	target, rest := word(rest)
	i := bytes.IndexByte(target, '/')
	if i < 0 {
		return false
	}
	l.Backend, l.Server = target[:i], target[i+1:]
	return l.exchange(rest)
}

// failed reads "frontend/bind: reason"; slash is where the slash is in the first word.
func (l *Line) failed(proxy []byte, slash int, rest []byte) bool {
	l.frontend(proxy[:slash])
	bind := proxy[slash+1:]
	if len(bind) == 0 || bind[len(bind)-1] != ':' || len(rest) == 0 {
		return false
	}
	l.Kind, l.Bind, l.Reason = Failed, bind[:len(bind)-1], rest
	return true
}

// exchange reads what follows the names, from the timers on.
func (l *Line) exchange(rest []byte) bool {
	w, rest := word(rest)
	var n [5]int64
	count, early := numbers(w, &n)
	switch count {
	case 5:
		l.Kind, l.Timers = HTTP, Timers{n[0], n[1], n[2], n[3], n[4], Absent}
		w, rest = word(rest)
		var ok bool
		if l.Status, ok = number(w); !ok {
			return false
		}
	case 3:
		l.Kind, l.Timers = TCP, Timers{Absent, n[0], n[1], Absent, Absent, n[2]}
	default:
		return false
	}
	l.Early = early != 0
	w, rest = word(rest)
	var ok bool
	if l.Bytes, ok = number(w); !ok {
		return false
	}
	if rest, ok = l.state(rest); !ok {
		return false
	}
	w, rest = word(rest)
	var queues [5]int64
	if count, _ := numbers(w, &queues); count != 2 {
		return false
	}
	l.ServerQueue, l.BackendQueue = queues[0], queues[1]
	if l.Kind == HTTP {
		l.message(rest)
	}
	return true
}

// state reads the cookies of HTTP, the termination state and the counts of connections. A cookie may have blanks in it, so that the counts are
// what says where the rest is.
func (l *Line) state(text []byte) (rest []byte, ok bool) {
	var n [5]int64
	var before [2][]byte // words before the current one, the nearest first
	first := text
	for rest = text; len(rest) > 0; {
		var w []byte
		at := rest
		w, rest = word(rest)
		count, again := numbers(w, &n)
		if count != 5 {
			before[1], before[0] = before[0], w
			continue
		}
		l.Connections = Connections{n[0], n[1], n[2], n[3]}
		l.Retries, l.Redispatched = n[4], again&(1<<4) != 0
		l.Termination = before[0]
		if l.Kind == TCP {
			return rest, len(l.Termination) == 2
		}
		if len(l.Termination) != 4 || before[1] == nil {
			return nil, false
		}
		cookies := first[:len(first)-len(at)]
		end := len(cookies) - len(l.Termination) - len(before[1]) - 3
		if end < 0 {
			return nil, false
		}
		l.RequestCookie, l.ResponseCookie = present(cookies[:end]), present(before[1])
		return rest, true
	}
	return nil, false
}

// present is nil for the dash that stands for nothing.
func present(b []byte) []byte {
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return nil
	}
	return b
}

// message reads the captures, the request line and the fields of TLS. What a configuration has added after them is left alone.
func (l *Line) message(rest []byte) {
	for i := 0; i < 2 && len(rest) > 0 && rest[0] == '{'; i++ {
		end := bytes.IndexByte(rest, '}')
		if end < 0 {
			l.Cut = true
			return
		}
		if i == 0 {
			l.RequestHeaders = rest[1:end]
		} else {
			l.ResponseHeaders = rest[1:end]
		}
		rest = bytes.TrimPrefix(rest[end+1:], []byte{' '})
	}
	if len(rest) == 0 || rest[0] != '"' {
		l.Cut = len(rest) == 0
		return
	}
	rest = rest[1:]
	end := bytes.IndexByte(rest, '"')
	if l.Cut = end < 0; l.Cut {
		end = len(rest)
	}
	l.request(rest[:end])
	if !l.Cut {
		l.ssl(bytes.TrimPrefix(rest[end+1:], []byte{' '}))
	}
}

// request takes a request line apart, if it is one.
func (l *Line) request(line []byte) {
	l.Request = line
	end := bytes.IndexByte(line, ' ')
	if end <= 0 || line[0] == '<' {
		return
	}
	l.Method, l.URI = line[:end], line[end+1:]
	if last := bytes.LastIndexByte(l.URI, ' '); last >= 0 && bytes.HasPrefix(l.URI[last+1:], httpSlash) {
		l.URI, l.Version = l.URI[:last], l.URI[last+1:]
	}
}

var httpSlash = []byte("HTTP/")

// ssl reads "fc_err/ssl_fc_err/ssl_c_err/ssl_c_ca_err/resumed sni/version/cipher".
func (l *Line) ssl(text []byte) {
	codes, rest := word(text)
	names, _ := word(rest)
	if bytes.Count(codes, []byte{'/'}) != 4 {
		return
	}
	cipher := bytes.LastIndexByte(names, '/')
	version := bytes.LastIndexByte(names[:max(cipher, 0)], '/')
	if version < 0 {
		return
	}
	l.SSL.SNI, l.SSL.Version, l.SSL.Cipher = present(names[:version]), present(names[version+1:cipher]), present(names[cipher+1:])
	for i := range 5 {
		code, after, _ := bytes.Cut(codes, []byte{'/'})
		codes = after
		n, ok := number(code)
		if !ok {
			n = Absent
		}
		switch i {
		case 0:
			l.SSL.ConnectionError = n
		case 1:
			l.SSL.FrontendError = present(code)
		case 2:
			l.SSL.VerifyError = n
		case 3:
			l.SSL.AuthorityError = n
		case 4:
			l.SSL.Resumed = n
		}
	}
}

// connect reads "1.2.3.4:5 to 6.7.8.9:80 (frontend/HTTP)".
func (l *Line) connect(text []byte) bool {
	from, rest := word(text)
	to, rest := word(rest)
	at, rest := word(rest)
	slash := bytes.LastIndexByte(rest, '/')
	if string(to) != "to" || len(rest) < 3 || rest[0] != '(' || rest[len(rest)-1] != ')' || slash < 0 {
		return false
	}
	var ok, both bool
	l.Client, l.ClientPort, ok = endpoint(from)
	l.Destination, l.DestinationPort, both = endpoint(at)
	l.Kind, l.Frontend = Connect, rest[1:slash]
	return ok && both
}

// endpoint splits "address:port"; an IPv6 address has no brackets.
func endpoint(b []byte) (address []byte, port int64, ok bool) {
	colon := bytes.LastIndexByte(b, ':')
	if colon <= 0 {
		return nil, Absent, false
	}
	address = b[:colon]
	if port, ok = number(b[colon+1:]); !ok || port < 0 || port > 1<<16 {
		return nil, Absent, false
	}
	if string(address) == "unix" {
		return address, port, true
	}
	if len(address) > 2 && address[0] == '[' && address[len(address)-1] == ']' {
		address = address[1 : len(address)-1]
	}
	for _, c := range address {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') && c != '.' && c != ':' && c != '%' {
			return nil, Absent, false
		}
	}
	return address, port, true
}

// numbers reads up to five numbers with slashes between them; count is 0 if it is anything else. plus has a bit for each that had a "+".
func numbers(b []byte, to *[5]int64) (count int, plus uint8) {
	if len(b) == 0 || !digit(b[0]) && b[0] != '-' && b[0] != '+' {
		return 0, 0
	}
	for i := range to {
		part, rest, more := bytes.Cut(b, []byte{'/'})
		n, ok := number(part)
		if !ok {
			return 0, 0
		}
		if part[0] == '+' {
			plus |= 1 << i
		}
		to[i] = n
		if !more {
			return i + 1, plus
		}
		b = rest
	}
	return 0, 0
}

// number reads digits with at most one sign. "-1" is what HAProxy writes for what never came.
func number(b []byte) (n int64, ok bool) {
	negative := false
	if len(b) > 1 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if !digit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		return Absent, n == 1
	}
	return n, true
}
