package health

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Order is what an agent wants of a server's administrative state.
type Order uint8

// Orders of an agent.
const (
	NoOrder Order = iota
	OrderReady
	OrderDrain
	OrderMaint
)

// Orders are what an agent's line says besides the health.
type Orders struct {
	Admin   Order
	Weight  int  // percent of the configured one; -1: not said
	MaxConn int  // -1: not said
	Health  int8 // 1 up, -1 down, 0 not said
}

// agent asks an agent and reads its line.
func (c *run) agent() result {
	none := Orders{Weight: -1, MaxConn: -1}
	r, ok := c.connect(&Connect{})
	if ok && len(c.spec.Script.Steps) > 0 {
		r, ok = c.send(c.spec.Script.Steps[0].Send)
	}
	for ok {
		if line, _, whole := bytes.Cut(bytes.ReplaceAll(c.in, []byte("\r"), []byte("\n")), []byte("\n")); whole {
			r = parseAgent(string(line))
			return r
		}
		if c.last {
			status, info := L7TOUT, "Ignoring incomplete line from agent"
			if len(c.in) == 0 {
				status, info = L7RSP, "TCPCHK got an empty response at step 2"
			}
			return result{status: status, info: info, orders: none}
		}
		r, ok = c.line()
	}
	r.orders = none
	return r
}

// line waits for more of an agent's line.
func (c *run) line() (result, bool) {
	if cap(c.in) == 0 {
		c.in = make([]byte, 0, answerSize)
	}
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	c.last = err == io.EOF || len(c.in) == cap(c.in)
	if err != nil && !c.last && n == 0 {
		return c.failed(err, L7TOUT), false
	}
	return result{}, true
}

// parseAgent reads an agent's line: words between blanks and commas, of which
// the last one of a kind counts, and a description after a #.
func parseAgent(line string) result {
	r := result{status: Checked, orders: Orders{Weight: -1, MaxConn: -1}}
	blank := func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }
	var health, wrong, warning, about string
	for {
		line = strings.TrimLeftFunc(line, blank)
		if line == "" {
			break
		}
		if line[0] == '#' { // after a word it is part of it
			about = strings.TrimLeft(line[1:], " \t")
			break
		}
		word := line
		if i := strings.IndexFunc(line, blank); i >= 0 {
			word = line[:i]
		}
		line = line[len(word):]
		switch lower := strings.ToLower(word); {
		case lower == "up":
			health, r.status, r.orders.Health = word, L7OK, 1
		case lower == "down", lower == "stopped", lower == "fail":
			health, r.status, r.orders.Health = word, L7STS, -1
		case lower == "ready":
			r.orders.Admin = OrderReady
		case lower == "drain":
			r.orders.Admin = OrderDrain
		case lower == "maint":
			r.orders.Admin = OrderMaint
		case word[0] >= '0' && word[0] <= '9' && strings.Contains(word, "%"):
			n, err := strconv.ParseUint(strings.TrimSuffix(word, "%"), 10, 16)
			if err != nil {
				warning = "Trailing garbage in weight string"
				continue
			}
			r.orders.Weight = int(n)
		case strings.HasPrefix(lower, "maxconn:"):
			n, err := strconv.ParseUint(word[len("maxconn:"):], 10, 31)
			if err != nil {
				warning = "Trailing garbage in maxconn string"
				continue
			}
			r.orders.MaxConn = int(n)
		case wrong == "":
			wrong = word
		}
	}
	switch {
	case health != "":
		text := about
		if text == "" || r.status == L7OK {
			switch {
			case wrong != "":
				text = wrong
			case warning != "":
				text = warning
			}
		}
		r.info = "via agent : " + health
		if text != "" {
			r.info += " (" + text + ")"
		}
	case wrong != "":
		r.info = "agent reports an error : " + wrong
	case warning != "":
		r.info = "agent warns : " + warning
	}
	r.info = said(r.info)
	return r
}

// Ask makes text what an agent is asked with; "" only connects.
func (s *Spec) Ask(text string) {
	s.Script = Script{}
	if text != "" {
		s.Script = Script{Kind: Protocol, Steps: []Step{{Number: 1, Send: []byte(text)}}}
	}
}
