package rule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// reply answers in the server's place: return and deny.
type reply struct {
	verdict Verdict
	status  int
	reason  []byte
	errfile bool // the proxy's errorfile for the status, or the built-in page
	ctype   string
	body    []byte            // fixed payload
	format  *logformat.Format // payload built for each answer
	headers []replyHeader
	fixed   []byte // the field lines of an errorfile
	about   int    // the status that an errorfile stands for
	pages   string // the http-errors section that has the answer; "" none
}

type replyHeader struct {
	name  string
	value *logformat.Format
}

// builtin are the statuses HAProxy has a page for.
func builtin(status int) bool {
	switch status {
	case 200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504:
		return true
	}
	return false
}

func parseReturn(p *ruleParser) (action, error) {
	return parseReply(p, &reply{verdict: Return, status: 200})
}

func parseDeny(p *ruleParser) (action, error) {
	r := &reply{verdict: Deny, status: 403, errfile: true}
	if p.stage.Where() == sample.InResponse {
		r.status = 502
	}
	return parseReply(p, r)
}

// parseTarpit reads what deny has; the answer comes after timeout tarpit.
func parseTarpit(p *ruleParser) (action, error) {
	return parseReply(p, &reply{verdict: Tarpit, status: 500, errfile: true})
}

// parseReply reads the options that return and deny share.
func parseReply(p *ruleParser, r *reply) (action, error) {
	payload := ""
	var err error
	for !p.atCond() && err == nil {
		word := p.next()
		switch word {
		case "status", "deny_status":
			if word == "deny_status" && r.verdict == Return {
				return nil, errors.New("'deny_status' belongs to deny and tarpit; use 'status'")
			}
			var code string
			if code, err = p.need("a status code"); err == nil {
				r.errfile = r.errfile && word == "deny_status" // "status" alone is an answer without a body
				if r.status, err = strconv.Atoi(p.leading(code)); err != nil || r.status < 200 || r.status > 599 {
					err = fmt.Errorf("'%s' expects a status code between 200 and 599, not '%s'", word, code)
				}
			}
		case "content-type":
			r.ctype, err = p.need("a type after 'content-type'")
			if strings.ContainsAny(r.ctype, "\r\n\x00") {
				err = errLineBreak
			}
		case "hdr":
			err = r.header(p)
		case "default-errorfiles", "errorfile", "errorfiles", "file", "lf-file", "string", "lf-string":
			if payload != "" {
				return nil, fmt.Errorf("'%s' and '%s' exclude each other", payload, word)
			}
			payload = word
			err = r.payload(p, word)
		default:
			err = fmt.Errorf("unknown argument '%s'%s", word, sample.Hint(word, []string{"status", "deny_status", "content-type", "hdr", "default-errorfiles", "errorfile", "errorfiles", "file", "lf-file", "string", "lf-string"}))
		}
	}
	if err != nil {
		return nil, err
	}
	r.unused(p, payload)
	return r, r.settle(payload)
}

// unused warns of words that the answer has no place for, as HAProxy does.
func (r *reply) unused(p *ruleParser, payload string) {
	switch payload {
	case "":
		if r.ctype != "" {
			p.warn("content-type '%s' ignored by the http reply because neither errorfile nor payload defined", r.ctype)
		}
	case "errorfile", "errorfiles", "default-errorfiles":
		if r.ctype != "" {
			p.warn("content-type '%s' ignored by the http reply when used with an errorfile", r.ctype)
		}
		if len(r.headers) > 0 {
			p.warn("hdr parameters ignored by the http reply when used with an errorfile")
		}
	}
}

func (r *reply) header(p *ruleParser) error {
	name, err := headerName(p)
	if err != nil {
		return err
	}
	if p.atCond() {
		return fmt.Errorf("'hdr %s' expects a value", name)
	}
	value, err := p.format("a value")
	if err != nil {
		return err
	}
	if OwnField(name) {
		p.remark("'hdr %s' is ignored, as in HAProxy: 'content-type' names the type, and the length is that of the payload", name)
		return nil
	}
	r.headers = append(r.headers, replyHeader{strings.ToLower(name), value})
	return oneLine(value)
}

func (r *reply) payload(p *ruleParser, word string) error {
	if word == "default-errorfiles" {
		return nil
	}
	arg, err := p.need("an argument after '" + word + "'")
	if err != nil {
		return err
	}
	text := []byte(arg)
	switch word {
	case "file", "lf-file", "errorfile":
		if text, err = os.ReadFile(arg); err != nil {
			return fmt.Errorf("cannot read the %s: %w", word, err)
		}
		if most := cmp.Or(p.acls.Buffer, 16384); len(text) > most {
			return fmt.Errorf("%s '%s' has %d bytes; a reply must fit in a buffer of %d: tune.bufsize in the global section, above, makes it larger", word, arg, len(text), most)
		}
	}
	switch word {
	case "errorfiles":
		r.pages = arg
	case "errorfile":
		if err := r.errorfile(text); err != nil {
			return fmt.Errorf("errorfile '%s': %w", arg, err)
		}
	case "string", "file":
		r.body = text
	case "lf-string", "lf-file":
		r.format, err = p.compile(string(text))
	}
	return err
}

// errorfile takes a whole response apart; framing is the engine's.
func (r *reply) errorfile(text []byte) error {
	var h http1.Head
	n, err := h.ParseResponse(text)
	if err != nil {
		return fmt.Errorf("it does not begin with an HTTP response head: %w", err)
	}
	for i := range h.Len() {
		switch string(bytes.ToLower(h.Name(i))) {
		case "content-length", "connection", "transfer-encoding", "keep-alive":
			continue
		}
		r.fixed = append(append(append(append(r.fixed, h.Name(i)...), ": "...), h.Value(i)...), "\r\n"...)
	}
	r.about = r.status
	r.status, r.reason = h.Status(), bytes.Clone(h.Reason())
	r.body = text[n:]
	return nil
}

// settle checks what was read as a whole.
func (r *reply) settle(payload string) error {
	switch {
	case payload == "errorfile" || payload == "errorfiles": // whose fields are their own, as with HAProxy
		r.errfile, r.headers = false, nil
	case payload != "":
		r.errfile = payload == "default-errorfiles"
	case len(r.headers) > 0: // as HAProxy: an answer with these fields, without a body
		r.errfile = false
	}
	if r.errfile && !builtin(r.status) {
		return fmt.Errorf("status %d has no error page; give the reply a payload, such as 'content-type text/plain string ...'", r.status)
	}
	if r.ctype == "" && payload != "errorfile" && (len(r.body) > 0 || r.format != nil) {
		return errors.New("a content-type must be given with a payload, such as 'content-type text/plain'")
	}
	if (r.status == 204 || r.status == 304) && (len(r.body) > 0 || r.format != nil) {
		return fmt.Errorf("a %d answer has no body; drop the payload", r.status)
	}
	return nil
}

func (r *reply) run(x *sample.Ctx) Verdict {
	if r.verdict != Return { // as HAProxy, which makes the text of that one before it has ended the rules
		x.Rec.LastRule = x.Place
	}
	x.Reply = sample.Reply{Status: r.status, ErrorFile: r.errfile, About: r.about, Reason: r.reason}
	if r.errfile {
		return r.verdict
	}
	x.Answer = append(x.Answer[:0], r.fixed...)
	for i := range r.headers {
		h := &r.headers[i]
		before := len(x.Answer)
		x.Answer = append(append(x.Answer, h.name...), ": "...)
		begin := len(x.Answer)
		if x.Answer = h.value.Append(x.Answer, x); len(x.Answer) == begin { // as HAProxy: no value, no field
			x.Answer = x.Answer[:before]
			continue
		}
		x.Answer = append(x.Answer, "\r\n"...)
	}
	if r.ctype != "" && (len(r.body) > 0 || r.format != nil) {
		x.Answer = append(append(append(x.Answer, "content-type: "...), r.ctype...), "\r\n"...)
	}
	end := len(x.Answer)
	x.Reply.Body = r.body
	if r.format != nil {
		x.Answer = r.format.Append(x.Answer, x)
		x.Reply.Body = x.Answer[end:]
	}
	x.Reply.Header = x.Answer[:end:end]
	return r.verdict
}

// Pages names the http-errors section whose page the rule answers with, and
// the page's status; "" there is none.
func (r *Rule) Pages() (section string, status int) {
	if a, ok := r.act.(*reply); ok {
		return a.pages, a.status
	}
	return "", 0
}

// UsePage gives the rule the page that Pages asks for: a whole response, as on
// the wire. Without it the answer has no body.
func (r *Rule) UsePage(text []byte) error {
	a := r.act.(*reply)
	return a.errorfile(text)
}

// ParsePage compiles the words of an http-error line after its status, as the
// rule that answers with it.
func ParsePage(status int, words []string, acls *acl.ACLs) (*Rule, error) {
	p := newParser(Request, append([]string{"return", "status", strconv.Itoa(status)}, words...), acls)
	p.at = 1
	act, err := parseReply(p, &reply{verdict: Return, status: status})
	if err == nil && p.at < len(p.words) {
		err = fmt.Errorf("cannot handle unexpected argument '%s'", p.peek())
	}
	if err != nil {
		return nil, err
	}
	return &Rule{src: strings.Join(p.words, " "), act: act}, nil
}
