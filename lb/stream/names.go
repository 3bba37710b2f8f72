package stream

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// Restrict is what becomes of a request's fields whose names have other
// characters than letters, digits and hyphens.
type Restrict uint8

// Restrictions.
const (
	PreserveNames Restrict = iota
	DeleteNames            // the fields are
	RejectNames            // the request is
)

// restrict deletes such fields; false when the request is refused for them.
func (t *txn) restrict(how Restrict) (goOn bool) {
	if how == PreserveNames {
		return true
	}
	h := &t.s.sh.req
	for i := range h.Len() {
		if h.Deleted(i) || !h.OddName(i) {
			continue
		}
		if how == RejectNames {
			t.denied()
			t.countClientError()
			t.rec.Term = [4]byte{'P', 'R', '-', '-'}
			t.replyError(403)
			return false
		}
		h.DelAt(i)
	}
	return true
}

// rename writes names of fields as a peer wants them that minds their case.
func rename(h *http1.Head, names map[string]string) {
	if len(names) == 0 {
		return
	}
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		if name, ok := names[string(bytes.ToLower(h.Name(i)))]; ok && name != string(h.Name(i)) {
			h.SetName(i, name)
		}
	}
}

// nameResponse writes the names of a response's fields as its client wants them.
// HTTP/2 has no names that are no tokens.
func (t *txn) nameResponse(h *http1.Head) {
	if t.be != nil && t.be.Lax && t.s.stream != nil {
		for i := range h.Len() {
			if !h.Deleted(i) && h.BadName(i) {
				h.DelAt(i)
			}
		}
	}
}
