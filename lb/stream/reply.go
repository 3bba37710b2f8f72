package stream

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// Page is an answer that stands for a status: built in, or an errorfile.
type Page struct {
	Status int
	Reason string // the reason phrase, "" the usual one
	Header []byte // complete field lines, without framing and Connection
	Body   []byte

	Close bool // the client's connection ends with it

	Rule *rule.Rule // makes header and body of each answer; nil: they are the same for all
}

// Pages maps statuses to answers.
type Pages map[int]*Page

var (
	errorHeader = []byte("cache-control: no-cache\r\ncontent-type: text/html\r\n")
	monitorBody = []byte("<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n")
)

// ParsePage reads an errorfile: a whole response as on the wire. An empty one
// closes the connection without an answer, as /dev/null does for HAProxy.
func ParsePage(data []byte) (*Page, error) {
	if len(data) == 0 {
		return &Page{}, nil
	}
	var h http1.Head
	n, err := h.ParseResponse(data)
	if err != nil {
		return nil, err
	}
	if h.Status() < 200 {
		return nil, fmt.Errorf("status %d announces another answer; an error page needs 200 or more", h.Status())
	}
	p := &Page{Status: h.Status(), Reason: string(h.Reason()), Body: data[n:]}
	for _, name := range []string{"connection", "keep-alive", "content-length", "transfer-encoding"} {
		h.Del(name)
	}
	for i := range h.Len() {
		if !h.Deleted(i) {
			p.Header = append(p.Header, h.Name(i)...)
			p.Header = append(p.Header, ": "...)
			p.Header = append(p.Header, h.Value(i)...)
			p.Header = append(p.Header, "\r\n"...)
		}
	}
	return p, nil
}

// explanations are what the built-in pages say below their title, in
// HAProxy's words.
var explanations = map[int]string{
	200: "Service ready.",
	400: "Your browser sent an invalid request.",
	401: "You need a valid user and password to access this content.",
	403: "Request forbidden by administrative rules.",
	404: "The resource could not be found.",
	405: "A request was made of a resource using a request method not supported by that resource",
	408: "Your browser didn't send a complete request in time.",
	410: "The resource is no longer available and will not be available again.",
	413: "The request entity exceeds the maximum allowed.",
	421: "Request sent to a non-authoritative server.",
	422: "The server cannot process the contained instructions.",
	425: "Your browser sent early data.",
	429: "You have sent too many requests in a given amount of time.",
	500: "An internal server error occurred.",
	501: "The server does not support the functionality required to fulfill the request.",
	502: "The server returned an invalid or incomplete response.",
	503: "No server is available to handle this request.",
	504: "The server didn't respond in time.",
}

// builtin makes the built-in page for a status.
func builtin(status int) *Page {
	body := "<html><body><h1>" + strconv.Itoa(status) + " " + reason(status) + "</h1>\n"
	if text := explanations[status]; text != "" {
		body += text + "\n"
	}
	body += "</body></html>\n"
	return &Page{Status: status, Header: errorHeader, Body: []byte(body), Close: status == 400 || status == 408}
}

// reason is the reason phrase of a status, with HAProxy's own where they
// differ.
func reason(status int) string {
	switch status {
	case 400:
		return "Bad request"
	case 408:
		return "Request Time-out"
	case 413:
		return "Payload Too Large"
	case 422:
		return "Unprocessable Content"
	case 504:
		return "Gateway Time-out"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Other"
}

// page finds the answer for a status: the backend's errorfile, the
// frontend's, the built-in one.
func (t *txn) errorPage(status int) *Page {
	if t.be != nil && t.be.ID != t.s.fe.ID {
		if p := t.be.Pages[status]; p != nil {
			return p
		}
	}
	if p := t.s.fe.Pages[status]; p != nil {
		return p
	}
	return builtin(status)
}

// replyError answers with the page for a status.
func (t *txn) replyError(status int) { t.replyPage(status, nil) }

// replyPage answers with the page for a status and some more header lines.
func (t *txn) replyPage(status int, more []byte) {
	p := t.errorPage(status)
	if p.Status == 0 { // an empty errorfile
		t.rec.Status = status
		t.dropServer()
		t.keep = false
		t.end()
		return
	}
	header, body, phrase := p.Header, p.Body, p.Reason
	if p.Rule != nil {
		phrase = rule.StatusText(p.Status)
		header, body = t.compose(p.Rule, len(more) > 0)
	}
	if len(more) > 0 {
		header = append(bytes.Clone(header), more...)
	}
	t.keep = t.keep && !p.Close
	t.reply(p.Status, phrase, header, body)
	if t.rec.Status == p.Status { // no rule has set another
		t.rec.Status = status // what it is about, whatever the page says
	}
}

// compose makes an error page that rules describe. They see the request until
// the server has been sent it. keep says that the context's Reply is in use.
func (t *txn) compose(page *rule.Rule, keep bool) (header, body []byte) {
	sh := t.s.sh
	if keep { // a rule's own answer lies in the same memory
		kept, answer := sh.ctx.Reply, sh.ctx.Answer
		sh.ctx.Answer = nil
		defer func() { sh.ctx.Reply, sh.ctx.Answer = kept, answer }()
	}
	routed := t.phase != phaseRoute
	x := t.context()
	if routed || t.rec.BadReq {
		x.Req = nil
		if len(t.asked) > 0 && !t.reqSent {
			if _, err := sh.req.ParseRequest(t.asked); err == nil {
				x.Req = &sh.req
			}
		}
	}
	rule.Rules{page}.Eval(x)
	return x.Reply.Header, x.Reply.Body
}

// replyRule answers as the rule in the context's Reply says.
func (t *txn) replyRule() {
	r := &t.s.sh.ctx.Reply
	if r.ErrorFile {
		t.replyPage(r.Status, r.Header)
		return
	}
	about, phrase := r.About, string(r.Reason)
	if phrase == "" {
		phrase = rule.StatusText(r.Status)
	}
	t.reply(r.Status, phrase, r.Header, r.Body)
	if about != 0 && t.rec.Status == r.Status {
		t.rec.Status = about
	}
}

// tooLarge makes the page for 500 of a reply whose head rules have made too large. They do not see it.
func (t *txn) tooLarge() (head, body []byte, status int) {
	p := t.errorPage(500)
	if p.Rule != nil || p.Status == 0 || len(p.Header) > t.s.sh.Loop.Buffers.Size()/2 {
		p = builtin(500)
	}
	phrase := p.Reason
	if phrase == "" {
		phrase = reason(p.Status)
	}
	b := append(t.res.Data[:0], fmt.Sprintf("HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: %d\r\n", p.Status, phrase, len(p.Body))...)
	t.rec.Status, t.keep = 500, false
	if t.rec.Term[0] == 'L' {
		t.rec.Term[0] = 'P'
	}
	return append(append(b, p.Header...), "\r\n"...), p.Body, p.Status
}

// reply sends an answer of our own in a server's place. phrase is the reason
// phrase, "" for the usual one; header and body are copied.
func (t *txn) reply(status int, phrase string, header, body []byte) {
	s, sh := t.s, t.s.sh
	t.dropServer()
	t.leaveCache()
	t.phase = phaseReply
	t.rec.Status = status
	if !t.reqDone {
		t.unread = true
	}
	t.keep = t.keep && !t.unread && !s.closing() && s.fe.ConnMode != Close && (t.be == nil || t.be.ConnMode != Close)
	if t.res == nil {
		t.res = sh.Loop.Buffers.Get()
	}
	t.res.Reset()
	b := append(t.res.Data[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if phrase == "" {
		phrase = reason(status)
	}
	b = append(b, phrase...)
	b = append(b, "\r\n"...)
	edits := t.edits()
	if status != 204 || edits { // which may make another status of it
		b = append(b, "content-length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, header...)
	if edits {
		b = t.editReply(b)
		status = t.rec.Status
	} else {
		switch {
		case !t.keep:
			b = append(b, "connection: close\r\n"...)
		case t.clientMinor == 0:
			b = append(b, "connection: keep-alive\r\n"...)
		}
		b = append(b, "\r\n"...)
	}
	if len(b) > len(t.res.Data) { // append moved it: a rule's header of 32 KiB
		b, body, status = t.tooLarge()
	}
	t.res.W = len(b)
	t.page = nil
	if t.method != methodHead && status != 304 && status != 204 {
		n := copy(t.res.Space(), body)
		t.res.W += n
		t.page = bytes.Clone(body[n:])
	}
	t.resReady = t.res.W
	t.resHeadDone, t.resKind, t.resDone = true, http1.NoBody, len(t.page) == 0
}

// fillPage moves the next part of our answer into the response buffer.
func (t *txn) fillPage() {
	t.res.Reset()
	t.res.W = copy(t.res.Data[:], t.page)
	t.page = t.page[t.res.W:]
	t.resReady = t.res.W
	t.resDone = len(t.page) == 0
}

// fail ends an exchange that cannot be completed: with an answer of that
// status while none has begun, by closing otherwise.
func (t *txn) fail(who, where byte, status int) {
	if t.resBegun || !t.s.http {
		t.abort(who, where)
		return
	}
	t.rec.Term[0], t.rec.Term[1] = who, where
	t.leaveQueue()
	if t.resHead != nil {
		t.s.sh.Loop.Buffers.Put(t.resHead)
		t.resHead = nil
	}
	switch status {
	case 400, 408:
		t.countClientError()
	case 502, 504:
		t.countServerError()
	}
	if status >= 500 || status == 408 {
		t.keep = t.keep && t.reqDone
	}
	t.replyError(status)
}

// StatsPage is an answer made of the engine's own state: the statistics page
// at its URI, or the metrics.
type StatsPage struct {
	URI   string
	Rules rule.Rules // who may see it; nil everybody
	Name  string     // in place of a server's in logs, "<STATS>"
	Admin *acl.Cond  // who may change things on it; nil nobody
	// Serve makes the answer. It runs on a goroutine of its own: it asks all
	// shards for their counters.
	Serve func(StatsRequest) StatsReply
}

// StatsRequest is what the page needs to know; all of it is copied.
type StatsRequest struct {
	Method, URI, Authorization string
	Admin                      bool   // Admin holds for whoever asks
	Host, Origin, FetchSite    string // of a POST: where it comes from
	Form                       []byte // of a POST; nil if it was too large
}

// StatsReply is the page's answer.
type StatsReply struct {
	Status int
	Header []byte // complete field lines
	Body   []byte
}

// matches reports whether the page is what a request asks for, as the rules
// have left it. A method that no page has goes to the server, as with HAProxy.
func (p *StatsPage) matches(h *http1.Head) bool {
	if p == nil {
		return false
	}
	uri := target(h, p.URI)
	if len(uri) < len(p.URI) || string(uri[:len(p.URI)]) != p.URI {
		return false
	}
	switch methodOf(h.Method()) {
	case methodGet, methodHead, methodPost:
		return true
	}
	return false
}

// target is what a configured URI is compared with: a path with the request's
// path and query, in whichever form that came, anything else with all of it.
func target(h *http1.Head, uri string) []byte {
	if strings.HasPrefix(uri, "/") {
		return h.PathQuery()
	}
	return h.URI()
}

// visit serves a page to those who may see it.
func (t *txn) visit(p *StatsPage, x *sample.Ctx) {
	t.rec.Server = p.Name
	if !t.obey(p.Rules.Eval(x)) {
		return
	}
	if p.Admin != nil {
		t.posted = &form{page: p, admin: p.Admin.Eval(x)}
		if t.method == methodPost {
			t.posted.head(&t.s.sh.req)
			t.phase = phaseForm
			return
		}
	}
	t.serve(p)
}

// serve answers with a page of our own state.
func (t *txn) serve(p *StatsPage) {
	s, sh, gen := t.s, t.s.sh, t.gen
	t.phase = phaseWait
	t.rec.Server = p.Name
	t.rec.Term = [4]byte{'L', 'R', '-', '-'}
	t.intercepted()
	t.rec.Tw, t.rec.Tc = 0, 0 // as HAProxy's, where the page takes the place of a server
	req := StatsRequest{
		Method: string(sh.req.Method()), URI: string(sh.req.PathQuery()), Authorization: string(sh.req.Get("authorization")),
	}
	if t.posted != nil {
		t.posted.fill(&req)
	}
	s.watch()
	go func() {
		r := p.Serve(req)
		sh.Loop.Post(func() {
			if t.gen == gen && t.phase == phaseWait {
				if r.Status != 401 {
					t.rec.Tr = 0
				}
				t.reply(r.Status, "", r.Header, r.Body)
				s.run()
			}
		})
	}()
}
