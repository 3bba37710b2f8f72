package stream

import "lbsyslogd/lb/http1"

// maxForm is how large a form may be that is posted to a page of ours.
const maxForm = 256 << 10

// form is a request to a page of ours that may change things.
type form struct {
	page  *StatsPage
	admin bool // the client may change things

	// Of a POST: copies, as its body comes after the head is gone.
	uri, auth, host, origin, site string
	data                          []byte
	excess                        bool // there is more than maxForm of it
}

// head keeps what the page has to know of a POST's head.
func (f *form) head(h *http1.Head) {
	f.uri, f.auth = string(h.PathQuery()), string(h.Get("authorization"))
	f.host, f.origin, f.site = string(h.Get("host")), string(h.Get("origin")), string(h.Get("sec-fetch-site"))
}

// fill tells the page of it.
func (f *form) fill(req *StatsRequest) {
	req.Admin = f.admin
	if f.uri == "" {
		return
	}
	req.Method, req.URI, req.Authorization = "POST", f.uri, f.auth
	req.Host, req.Origin, req.FetchSite = f.host, f.origin, f.site
	if !f.excess {
		req.Form = append([]byte{}, f.data...)
	}
}

// collect reads a form to its end, then serves the page.
func (t *txn) collect() step {
	f := t.posted
	for range maxTurns {
		if f.excess = f.excess || len(f.data)+t.ready > maxForm || t.reqKind == http1.ChunkedBody; !f.excess {
			f.data = append(f.data, t.src.Data[t.src.R:t.src.R+t.ready]...)
		}
		if t.ready > 0 {
			t.src.R += t.ready
			t.ready = 0
		}
		if t.reqDone || f.excess {
			t.serve(f.page)
			return left
		}
		if st := t.fromClient(); st != onward {
			return st
		}
	}
	t.s.sh.Loop.Again(t.s)
	return waits
}
