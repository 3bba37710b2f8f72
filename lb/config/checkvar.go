package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/health"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// checkFormat reads a log-format string of a check's rule. Its text goes over
// the connection, or is compared with what comes.
func checkFormat(d *draft, word, text string) (*logformat.Format, error) {
	f, err := logformat.ParseBytes(text, sample.InCheck, &d.acls.Uses)
	if err != nil {
		return nil, fmt.Errorf("'%s' : %w", word, err)
	}
	return f, nil
}

// checkNumber reads an expression that gives a number.
func checkNumber(d *draft, word, text string) (*sample.Expr, error) {
	e, err := sample.ParseExpr(text, sample.InCheck, &d.acls.Uses)
	if err != nil {
		return nil, fmt.Errorf("'%s' expects a number or an expression: %w", word, err)
	}
	if !sample.Castable(e.Kind, sample.Int) && e.Kind != sample.Bin { // whose digits count
		return nil, fmt.Errorf("'%s %s' is no number", word, text)
	}
	return e, nil
}

// checkField reads a format whose text goes into a request's head.
func checkField(d *draft, word, text string) (*logformat.Format, error) {
	f, err := logformat.ParseAt(text, sample.InCheck, &d.acls.Uses)
	if err == nil && f.BreaksLine() {
		err = errors.New("it contains a line end")
	}
	if err != nil {
		return nil, fmt.Errorf("'%s' : %w", word, err)
	}
	return f, nil
}

// checkHeader adds a header to a request. What announces a body is left out:
// lb says so itself.
func checkHeader(d *draft, q *health.Request, name, value string) error {
	if n := strings.ToLower(name); n == "content-length" || n == "transfer-encoding" {
		return nil
	}
	var format *logformat.Format
	line := name + ": " + value
	if strings.Contains(value, "%") {
		var err error
		if format, err = checkField(d, "hdr "+name, value); err != nil {
			return err
		}
		line = name + ":"
	}
	q.Headers, q.Values = append(q.Headers, line), append(q.Values, format)
	return nil
}

// checkSendFormat applies tcp-check send-lf and send-binary-lf.
func (c *call) checkSendFormat(d *draft, s *health.Step) (err error) {
	s.Format = &health.SendFormat{Hex: c.name == "tcp-check send-binary-lf"}
	if s.Format.Text, err = checkFormat(d, "format", c.args[0]); err != nil {
		return err
	}
	return c.sendComment(s)
}

// sendComment reads what may follow what is sent.
func (c *call) sendComment(s *health.Step) error {
	switch {
	case len(c.args) == 1:
	case c.args[1] != "comment" || len(c.args) != 3:
		return fmt.Errorf("expects 'comment <text>' after the text, not '%s'; put quotes around a text with blanks", c.args[1])
	default:
		s.Comment = c.args[2]
	}
	return nil
}

// checkSendBytes applies tcp-check send and send-binary.
func (c *call) checkSendBytes(_ *draft, s *health.Step) error {
	s.Send = []byte(c.args[0])
	if c.name == "tcp-check send-binary" {
		b, err := hex.DecodeString(c.args[0])
		if err != nil {
			return fmt.Errorf("'%s' is no row of pairs of hexadecimal digits", c.args[0])
		}
		s.Send = b
	}
	return c.sendComment(s)
}

// checkVar applies set-var, set-var-fmt and unset-var. The variable stands
// before the other arguments.
func (c *call) checkVar(d *draft, s *health.Step) (err error) {
	v := &health.Var{}
	s.Var = v
	name, open := strings.CutPrefix(c.args[0], "(")
	name, closed := strings.CutSuffix(name, ")")
	if !open || !closed {
		return fmt.Errorf("expects the variable in parentheses, as in '%s(check.x)'", c.name)
	}
	if v.Name, v.When, err = sample.ParseVarAt(name, sample.InCheck); err != nil {
		return err
	}
	switch words := c.args[1:]; {
	case strings.HasSuffix(c.name, "unset-var"):
		if strings.Contains(name, ",") {
			return fmt.Errorf("expects a variable alone, not '%s'", name)
		}
		if len(words) > 0 {
			return fmt.Errorf("expects nothing after the variable, not '%s'", words[0])
		}
	case len(words) != 1:
		return fmt.Errorf("expects one value after the variable; put quotes around one with blanks")
	case strings.HasSuffix(c.name, "-fmt"):
		v.Format, err = checkFormat(d, "format", words[0])
	default:
		v.Expr, err = sample.ParseExpr(words[0], sample.InCheck, &d.acls.Uses)
	}
	return err
}
