package http1

import "bytes"

// A request can name its host twice, in its target and in Host. Rules look at
// one of them and servers at the other, so they must agree.

// authority is the scheme and the host with its port of an absolute target
// ("http://host:80/..."), or the target of CONNECT; empty when it is neither,
// or malformed, or has user information (RFC 9110 section 4.2.4).
func (h *Head) authority() (scheme, host []byte) {
	u := h.uri
	if string(h.method) != "CONNECT" {
		i := bytes.Index(u, []byte("://"))
		if i <= 0 {
			return nil, nil
		}
		scheme, u = u[:i], u[i+3:]
		for _, c := range scheme {
			if !isLetterOrDigit(c) && c != '+' && c != '-' && c != '.' {
				return nil, nil
			}
		}
		if i := bytes.IndexAny(u, "/?"); i >= 0 {
			u = u[:i]
		}
	}
	if !all(u, isHost) {
		return nil, nil
	}
	if port := bytes.LastIndexByte(u, ':'); scheme == nil && (port <= 0 || port == len(u)-1) {
		return nil, nil
	}
	return scheme, u
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower[c] && lower[c] <= 'z'
}

// checkAuthority compares the target's host with Host.
func (h *Head) checkAuthority() error {
	if h.uri[0] == '/' || string(h.uri) == "*" || !h.HasHost {
		return nil
	}
	scheme, a := h.authority()
	b := h.Get("host")
	for _, d := range []struct{ scheme, port string }{{"http", ":80"}, {"https", ":443"}} {
		if scheme == nil || EqualFold(scheme, d.scheme) {
			a, b = bytes.TrimSuffix(a, []byte(d.port)), bytes.TrimSuffix(b, []byte(d.port))
		}
	}
	if len(a) != len(b) || !EqualFold(a, string(b)) {
		return errAuthority
	}
	return nil
}
