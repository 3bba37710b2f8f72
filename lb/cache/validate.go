package cache

import (
	"bytes"
	"net/http"

	"lbsyslogd/lb/http1"
)

// NotModified reports whether the client says that it has the object already
// (RFC 9110 section 13.1): one of its entity tags is the object's, or if it names
// none, the object has not changed since the time that it names.
func (o *Object) NotModified(h *http1.Head) bool {
	i := h.Find("if-none-match", 0)
	if i >= 0 {
		for ; i >= 0; i = h.Find("if-none-match", i+1) {
			for tag := range members(h.Value(i)) {
				if string(tag) == "*" || o.etag != "" && string(opaque(tag)) == string(opaque([]byte(o.etag))) {
					return true
				}
			}
		}
		return false
	}
	if i = h.Find("if-modified-since", 0); i < 0 {
		return false
	}
	t, err := http.ParseTime(string(h.Value(i)))
	return err == nil && o.lastModified <= t.Unix()
}

// opaque is an entity tag without the sign of a weak one: either is the same to
// If-None-Match.
func opaque(tag []byte) []byte { return bytes.TrimPrefix(tag, []byte("W/")) }
