package http1

import (
	"bytes"
	"strings"
)

// A request can name its host twice, in its target and in Host. Rules look at
// one of them and servers at the other, so they must agree.

// authority is the scheme and the host with its port of an absolute target
// ("http://host:80/..."), or the target of CONNECT; empty when it is neither,
// or malformed, or has user information (RFC 9110 section 4.2.4).
func (h *Head) authority() (scheme, host []byte) {
	u := h.uri
	if string(h.method) != "CONNECT" {
		i := schemeEnd(u)
		if i <= 0 {
			return nil, nil
		}
		scheme, u = u[:i], u[i+3:]
		for _, c := range scheme {
			if !isLetterOrDigit(c) && c != '+' && c != '-' && c != '.' {
				return nil, nil
			}
		}
		u = u[:AuthorityEnd(u)]
	}
	if !all(u, isHost) {
		return nil, nil
	}
	if port := bytes.LastIndexByte(u, ':'); scheme == nil && (port <= 0 || port == len(u)-1) {
		return nil, nil
	}
	return scheme, u
}

// schemeEnd is where "://" stands in a target; -1 where it does not.
func schemeEnd(u []byte) int {
	if i := bytes.IndexByte(u, ':'); i >= 0 && i+2 < len(u) && u[i+1] == '/' && u[i+2] == '/' {
		return i
	}
	return bytes.Index(u, []byte("://"))
}

// AuthorityEnd is where the authority that u begins with ends: before a slash or a question mark, or with u.
func AuthorityEnd(u []byte) int {
	for i, c := range u {
		if c == '/' || c == '?' {
			return i
		}
	}
	return len(u)
}

// Origin is the scheme of an absolute target of http or https, and its origin form (RFC 9112 section 3.2.1); "" and nil of another target.
func (h *Head) Origin() (scheme string, form []byte) {
	s, host := h.authority()
	switch {
	case len(host) == 0:
		return "", nil
	case EqualFold(s, "http"):
		scheme = "http"
	case EqualFold(s, "https"):
		scheme = "https"
	default:
		return "", nil
	}
	form = h.uri[len(s)+len("://")+len(host):]
	switch {
	case len(form) > 0 && form[0] == '/':
	case len(form) > 0:
		form = append([]byte{'/'}, form...)
	case string(h.method) == "OPTIONS":
		form = asterisk
	default:
		form = slash
	}
	return scheme, form
}

var asterisk, slash = []byte{'*'}, []byte{'/'}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower[c] && lower[c] <= 'z'
}

// checkAuthority compares the target's host with Host. A target that names one,
// that of CONNECT too, stands in for a Host that HTTP/1.0 may omit: servers go by it.
func (h *Head) checkAuthority() *Error {
	if h.uri[0] == '/' || string(h.uri) == "*" || !h.HasHost && h.minor > 0 {
		return nil
	}
	scheme, named := h.authority()
	if !h.HasHost {
		if !validHost(named) {
			return h.bad(int(h.start.off), errHost)
		}
		h.Add(hostName, named)
		h.HasHost = true
	}
	i := h.Find("host", 0)
	a, b := named, h.Value(i)
	if bytes.Equal(a, b) && bytes.IndexByte(a, ':') < 0 { // as nearly always
		return nil
	}
	if port := defaultPort(scheme, named); port != "" {
		a, b = bytes.TrimSuffix(a, []byte(port)), bytes.TrimSuffix(b, []byte(port))
	}
	if scheme != nil {
		a, b = bytes.TrimSuffix(a, []byte(":")), bytes.TrimSuffix(b, []byte(":"))
	}
	if len(a) != len(b) || !EqualFold(a, string(b)) {
		return h.badField(i, errAuthority)
	}
	switch {
	case scheme != nil && len(a) < len(named):
		h.dropPort(len(scheme)+len("://")+len(a), len(named)-len(a))
		h.SetValue(i, a)
	case len(b) < len(h.Value(i)) && scheme == nil: // CONNECT keeps its port, and Host needs none
		h.SetValue(i, b)
	}
	return nil
}

// defaultPort is the port, with its colon, that goes without saying after a scheme. The target of CONNECT has none, and then that of HTTP or of HTTPS does if
// it is the one that was named.
func defaultPort(scheme, named []byte) string {
	switch {
	case scheme == nil && bytes.HasSuffix(named, []byte(":80")), EqualFold(scheme, "http"):
		return ":80"
	case scheme == nil && bytes.HasSuffix(named, []byte(":443")), EqualFold(scheme, "https"):
		return ":443"
	}
	return ""
}

// dropPort takes the n bytes of the default port out of an absolute target: `http://host:80/` and `http://host/` are the same place (RFC 3986 section
// 6.2.3), and rules must not see two. HAProxy does so, too.
func (h *Head) dropPort(at, n int) {
	uri := make([]byte, 0, len(h.uri)-n)
	uri = append(uri, h.uri[:at]...)
	h.SetURI(append(uri, h.uri[at+n:]...))
}

var hostName = []byte("Host")

// validHost reports whether v is a host with or without a port (RFC 3986
// section 3.2.2): nothing, a name or an IPv4 address, or another address in
// brackets.
func validHost(v []byte) bool {
	if len(v) == 0 {
		return true
	}
	if v[0] == '[' {
		end := bytes.IndexByte(v, ']')
		return end > 1 && firstNotIn(v[1:end], "0123456789abcdefABCDEF:.vV~-_%") < 0 && validPort(v[end+1:])
	}
	port := bytes.IndexByte(v, ':')
	if port < 0 {
		port = len(v)
	}
	return port > 0 && all(v[:port], isName) && validPort(v[port:])
}

// validPort takes nothing, or a colon with digits or without.
func validPort(v []byte) bool {
	if len(v) == 0 {
		return true
	}
	return v[0] == ':' && len(v) <= len(":65535") && all(v[1:], isDigit)
}

func firstNotIn(v []byte, chars string) int {
	return bytes.IndexFunc(v, func(r rune) bool { return !strings.ContainsRune(chars, r) })
}
