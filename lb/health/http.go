package health

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"lbsyslogd/lb/http1"
)

// answer is an HTTP answer: its head, and its body as far as it was looked at.
type answer struct {
	*http.Response
	status int
	from   *bufio.Reader
	body   []byte
	done   bool // all of the body is there, or as much as is looked at
	seen   *http1.Head
}

// view is the head as samples see it; nil where it is none for them.
func (a *answer) view() *http1.Head {
	if a.seen == nil {
		var b bytes.Buffer
		fmt.Fprintf(&b, "HTTP/%d.%d %s\r\n", a.ProtoMajor, a.ProtoMinor, a.Status)
		if a.Header.Write(&b) != nil {
			return nil
		}
		b.WriteString("\r\n")
		h := new(http1.Head)
		if _, err := h.ParseResponse(b.Bytes()); err != nil {
			return nil
		}
		a.seen = h
	}
	return a.seen
}

func (q *Request) method() string {
	if q.Method == "" {
		return "OPTIONS"
	}
	return q.Method
}

// request as it goes over the wire. A body is announced, and an HTTP/1.1
// server is asked to close.
func (c *run) request(q *Request) []byte {
	q = c.fill(q)
	uri, version := q.URI, q.Version
	if uri == "" {
		uri = "/"
	}
	if version == "" {
		version = "HTTP/1.0"
	}
	var b bytes.Buffer
	b.WriteString(q.method() + " " + uri + " " + version + "\r\n")
	last := ""
	if version == "HTTP/1.1" {
		last = "close"
	}
	for _, line := range q.Headers {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		switch name {
		case "content-length", "transfer-encoding": // follow from the body
			continue
		case "connection":
			if value, last = connection(value, version); value == "" {
				continue
			}
		}
		b.WriteString(name + ": " + strings.TrimSpace(value) + "\r\n")
	}
	if c.spec.State != nil {
		b.WriteString("x-haproxy-server-state: " + c.spec.State() + "\r\n")
	}
	if q.Body != "" || q.mayHaveBody() {
		b.WriteString("content-length: " + strconv.Itoa(len(q.Body)) + "\r\n")
	}
	if last != "" {
		b.WriteString("connection: " + last + "\r\n")
	}
	b.WriteString("\r\n" + q.Body)
	return b.Bytes()
}

// connection takes a Connection header apart: the words that stay in it, and the
// one about the connection itself that a request of that version ends with.
func connection(value, version string) (rest, last string) {
	var words []string
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		switch strings.ToLower(word) {
		case "":
		case "close":
			if version == "HTTP/1.1" {
				last = "close"
			}
		case "keep-alive":
			if version != "HTTP/1.1" {
				last = "keep-alive"
			}
		default:
			words = append(words, word)
		}
	}
	return strings.Join(words, ", "), last
}

// mayHaveBody reports whether servers may wait for a body, or answer 411, where
// no length is given.
func (q *Request) mayHaveBody() bool {
	switch q.method() {
	case "GET", "HEAD", "OPTIONS", "DELETE":
		return false
	}
	return true
}

// head reads the answer's head, once for each request.
func (c *run) head() (result, bool) {
	if c.answer != nil {
		return result{}, true
	}
	method := "OPTIONS"
	for i := range c.spec.Script.Steps {
		s := &c.spec.Script.Steps[i]
		if s.Request != nil {
			method = s.Request.method()
		}
		if s == c.step {
			break
		}
	}
	from := c.reader()
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		return c.broken(err), false
	}
	c.answer = &answer{Response: resp, status: resp.StatusCode, from: from}
	return result{}, true
}

// broken names what kept an answer from being one.
func (c *run) broken(err error) result {
	var errno syscall.Errno
	if isTimeout(err) {
		return c.late()
	}
	if errors.As(err, &errno) {
		return c.failed(err, L7TOUT)
	}
	return result{status: L7RSP}
}

// expectHTTP judges the answer by what is expected of it.
func (c *run) expectHTTP(e *Expect) (result, bool) {
	if r, ok := c.head(); !ok {
		return r, false
	}
	a := c.answer
	c.code = a.status
	if c.spec.DisableOn404 && c.up && a.status == 404 {
		return result{}, true // passed makes it a conditional pass
	}
	e, r, ok := c.text(e)
	if !ok {
		return r, false
	}
	_, reason, _ := strings.Cut(a.Status, " ")
	r = result{status: L7STS, code: a.status, info: said(reason)}
	match := false
	switch {
	case e.Header != nil:
		match = c.header(e.Header).in(a.Header)
	case e.Status != nil:
		match = e.Status.MatchString(strconv.Itoa(a.status))
	case e.Statuses != nil:
		match = e.Statuses.Has(a.status)
	case e.Text != nil || e.Regexp != nil:
		if match, r, ok = c.body(e); !ok {
			return r, false
		}
		r = result{status: L7RSP, info: "HTTP content check did not match"}
		if match {
			r.info = "HTTP check matched unwanted content"
		}
	default:
		match = a.status >= 200 && a.status <= 399
	}
	if match != e.Not {
		return result{}, true
	}
	if e.Bad != 0 {
		r.status = e.Bad
	}
	if r.status.HasCode() {
		r.code = a.status
	}
	c.note(&r, e, false)
	if c.step.Comment != "" {
		r.info += " comment: " + c.step.Comment
	}
	return r, false
}

// body looks for what is expected in the body, as far as it takes.
func (c *run) body(e *Expect) (match bool, r result, ok bool) {
	a := c.answer
	// The status that counts is that of an interim answer, the body that of the
	// final one.
	for a.StatusCode/100 == 1 && a.StatusCode != http.StatusSwitchingProtocols {
		final, err := http.ReadResponse(a.from, a.Request)
		if err != nil {
			return false, c.broken(err), false
		}
		a.Response, a.seen = final, nil
	}
	for {
		enough := len(a.body) >= max(e.MinRecv, len(e.Text))
		if len(a.body) > 0 && (a.done || enough) {
			match = e.Regexp != nil && e.Regexp.Match(a.body) || e.Regexp == nil && bytes.Contains(a.body, e.Text)
		}
		if match || a.done || e.MinRecv > 0 && enough {
			break
		}
		if a.body == nil {
			a.body = make([]byte, 0, answerSize)
		}
		n, err := a.Body.Read(a.body[len(a.body):cap(a.body)])
		a.body = a.body[:len(a.body)+n]
		if err != nil && !errors.Is(err, io.EOF) && !a.cut(err) {
			return false, c.broken(err), false
		}
		a.done = err != nil || len(a.body) == cap(a.body)
	}
	if len(a.body) == 0 { // whatever is, or is not, expected of one
		return false, result{status: L7RSP, info: "HTTP content check could not find a response body"}, false
	}
	return match, result{}, true
}

// cut reports whether err ended the answer before its end: what came of it is judged.
func (a *answer) cut(err error) bool {
	var errno syscall.Errno
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &errno) && len(a.body) > 0
}

// in reports whether a header of h is what is looked for.
func (m *HeaderMatch) in(h http.Header) bool {
	for name, values := range h {
		if !m.Name(strings.ToLower(name)) {
			continue
		}
		if m.Value == nil {
			return true
		}
		for _, v := range values {
			if m.Whole {
				if m.Value(strings.TrimSpace(v)) {
					return true
				}
				continue
			}
			for part := range strings.SplitSeq(v, ",") {
				if m.Value(strings.TrimSpace(part)) {
					return true
				}
			}
		}
	}
	return false
}
