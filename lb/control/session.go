package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/payload"
)

// What a client may send at once. HAProxy bounds command and payload together
// by its buffer, 16 KiB.
const (
	maxCommand = 64 << 10 // one command, without its payload
	maxPayload = 16 << 20
	// smallPayload is for those who may only look.
	smallPayload = 64 << 10
	// enoughSaid is how much of an answer is gathered before it is sent.
	enoughSaid = 64 << 10
)

// ownSession is in the ID of a command socket's session, and in no other.
const ownSession = 1 << 62

// session is one connection. Owned by its goroutine.
type session struct {
	*Server
	conn         net.Conn
	in           *bufio.Reader
	id           uint64 // for show sess
	began        time.Time
	level        Level // may be lowered by the client
	timeout      time.Duration
	prompt       bool            // interactive
	leaving      func() bool     // at a prompt, and the server ends
	ending       <-chan struct{} // closed when the server ends
	done         bool            // `quit`, or the connection was given to something else
	expert       bool            // expert-mode on
	experimental bool            // experimental-mode on
	severity     severity
	payload      []byte // what came after "<<", without the empty line; nil without one
	doubt        bool   // what may be a payload follows, and nobody knows where it ends
	out          []byte
}

// Converse answers on one connection, which is the caller's, until its client
// is done or ctx ends.
func (s *Server) Converse(ctx context.Context, conn net.Conn) {
	began := time.Now()
	c := &session{Server: s, conn: conn, id: ownSession | uint64(began.UnixNano()), began: began, in: bufio.NewReaderSize(conn, 16<<10), level: s.Level, timeout: s.Timeout, severity: severities[s.Severity], leaving: never}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	c.serve(ctx)
}

func never() bool { return false }

// serve reads commands and answers them. Without a prompt that ends after the
// lines that came together with the first.
func (c *session) serve(ctx context.Context) {
	c.ending = ctx.Done()
	rest := false // of a line, after a ";"
	for {
		stop := never
		if c.prompt {
			// The end of ctx wakes a session that waits at its prompt. One that
			// is about to say its only line is let finish.
			stop = context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
			c.leaving = func() bool { return ctx.Err() != nil }
		}
		text, end, err := c.next()
		stop()
		c.leaving = never
		if err != nil {
			c.flush()
			return
		}
		switch {
		case rest && end != semicolon && len(bytes.TrimSpace(text)) == 0: // a ";" at the end parts nothing
		case end != tooLong:
			c.take(text, end)
		default:
			c.say("The command is longer than " + strconv.Itoa(maxCommand) + " bytes, nothing was done.")
			if c.doubt {
				c.say(payload.WordAfterSaid)
				c.done = true
			}
			c.endAnswer()
		}
		rest = end == semicolon && c.payload == nil
		if c.done || end == lastOne || end != semicolon && !c.prompt && c.in.Buffered() == 0 {
			if c.flush() && c.doubt {
				c.readOut()
			}
			return
		}
	}
}

// ending is how a command ended.
type ending uint8

const (
	semicolon ending = iota // more of the line follows
	newline
	lastOne // the client has said all
	tooLong // it is left out, up to the end of its line
)

// next reads a command: to the next ";" that no backslash takes, or to the end
// of the line. text is valid until the next call.
func (c *session) next() (text []byte, end ending, err error) {
	escaped := false
	for {
		b, err := c.readByte()
		switch {
		case errors.Is(err, io.EOF) && len(text) > 0:
			return text, lastOne, nil
		case err != nil:
			return nil, 0, err
		case b == '\n':
			return text, newline, nil
		case b == ';' && !escaped:
			return text, semicolon, nil
		case len(text) == maxCommand:
			return nil, tooLong, c.skipLine(append(text, b))
		}
		escaped = b == '\\' && !escaped
		text = append(text, b)
	}
}

// skipLine leaves out a command that begins with text, up to the end of its line and of the payload that it announces: what is left out are no
// commands either.
func (c *session) skipLine(text []byte) error {
	var scan payload.Scan
	for {
		var b byte
		if len(text) > 0 {
			b, text = text[0], text[1:]
		} else {
			var err error
			if b, err = c.readByte(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		switch scan.Feed(b) {
		case payload.Line:
			return nil
		case payload.Unknown:
			c.doubt = true
			return nil
		case payload.Payload:
			if _, err := c.readPayload(); !errors.Is(err, errPayload) {
				return err
			}
			return nil
		}
	}
}

// readByte reads on. Before it waits for the client, what was answered is sent.
func (c *session) readByte() (byte, error) {
	if c.in.Buffered() == 0 {
		if !c.flush() {
			return 0, net.ErrClosed
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
		if c.leaving() { // perhaps just before: this deadline has taken the place of the one that wakes the session
			return 0, net.ErrClosed
		}
	}
	return c.in.ReadByte()
}

// take runs a command, with the payload that belongs to it. A payload is read
// whatever becomes of the command: its lines are no commands.
func (c *session) take(text []byte, end ending) {
	text = bytes.TrimSuffix(text, []byte("\r"))
	marked := payload.Announced(string(text))
	c.payload = nil
	if payload.WordAfter(string(text)) {
		c.say(payload.WordAfterSaid)
		c.endAnswer()
		c.doubt, c.done = true, true
		return
	}
	if marked {
		text = bytes.TrimRight(text, " \t")
	}
	if end != lastOne && marked {
		whole := bytes.Clone(text[:len(text)-len(payload.Mark)])
		lines, err := c.readPayload()
		switch {
		case err == nil:
		case errors.Is(err, errPayload):
			c.say(err.Error())
			c.endAnswer()
			return
		default:
			c.done = true // the client is gone in the middle of it
			return
		}
		// Glued to a word it is part of that word, and the payload nobody's.
		if len(whole) == 0 || whole[len(whole)-1] == ' ' || whole[len(whole)-1] == '\t' {
			c.payload, text = lines, whole
		}
	}
	c.execute(words(text))
	if !c.done {
		c.endAnswer()
	}
}

// errPayload is a payload that is read, but not used.
var errPayload = errors.New("the payload is too large")

// readPayload reads lines up to an empty one.
func (c *session) readPayload() ([]byte, error) {
	limit := maxPayload
	if c.level == User {
		limit = smallPayload
	}
	text := []byte{}
	over := false
	for start := 0; ; {
		if c.prompt && len(text) == start {
			c.out = append(c.out, "+ "...)
		}
		b, err := c.readByte()
		if err != nil {
			return nil, err
		}
		if len(text) >= limit { // only the line at the end is kept, to find an empty one
			over = true
			text = append(text[:0], text[start:]...)
			start = 0
			if len(text) >= limit {
				text = append(text[:0], 'x')
			}
		}
		if b != '\n' {
			text = append(text, b)
			continue
		}
		if line := bytes.TrimSuffix(text[start:], []byte("\r")); len(line) == 0 {
			if over {
				return nil, errPayload
			}
			return text[:start], nil
		}
		text = append(text, b)
		start = len(text)
	}
}

// lines are the lines of the payload.
func (c *session) lines(do func(line string) bool) {
	for line := range bytes.Lines(c.payload) {
		if text := strings.TrimRight(string(line), "\r\n"); text != "" && !do(text) {
			return
		}
	}
}

// endAnswer ends what was answered to one command.
func (c *session) endAnswer() {
	c.out = append(c.out, '\n')
	if c.prompt {
		c.out = append(c.out, "> "...)
	}
	if len(c.out) > enoughSaid && !c.flush() {
		c.done = true
	}
}

// flush sends what was answered.
func (c *session) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

// say answers with a line.
func (c *session) say(line string) {
	c.out = append(c.out, line...)
	c.out = append(c.out, '\n')
}

// readOut reads what a client still sends that is refused, for a moment: it would read no answer if the connection were closed meanwhile.
func (c *session) readOut() {
	conn, ok := c.conn.(interface{ CloseWrite() error })
	if ok && conn.CloseWrite() == nil && c.conn.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = io.CopyN(io.Discard, c.in, maxPayload)
	}
}

// severity is what stands before messages: set severity-output.
type severity uint8

const (
	severityNone severity = iota
	severityNumber
	severityString
)

// severities are the words for them.
var severities = map[string]severity{"none": severityNone, "number": severityNumber, "string": severityString}

// levelOf are syslog's levels, as far as messages have them.
type levelOf uint8

const (
	asError levelOf = 3
	asWarn  levelOf = 4
	asNote  levelOf = 5
	asInfo  levelOf = 6
)

// message answers with a message, which has a level if the client wants to see it.
func (c *session) message(level levelOf, message string) {
	switch c.severity {
	case severityNumber:
		c.out = append(c.out, '[', '0'+byte(level), ']', ':', ' ')
	case severityString:
		name := map[levelOf]string{asError: "err", asWarn: "warning", asNote: "notice", asInfo: "info"}[level]
		c.out = append(append(append(c.out, '['), name...), "]: "...)
	}
	c.say(message)
}

// fail answers with what is wrong.
func (c *session) fail(message string) { c.message(asError, message) }
