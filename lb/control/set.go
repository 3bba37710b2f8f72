package control

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/stats"
)

// setUsage is the answer to `set server` that asks for nothing it knows.
const setUsage = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight"

// target reads BACKEND/SERVER, the first of args, and finds the server's
// state. It answers if there is no such server.
func (c *session) target(args []string) (*ServerState, bool) {
	var backend, server string
	if len(args) > 0 {
		backend, server, _ = strings.Cut(args[0], "/")
	}
	if backend == "" || server == "" {
		c.fail("Require 'backend/server'.")
		return nil, false
	}
	s, err := c.Runtime.Server(c.backend(backend), server)
	if err != nil {
		c.answer(err)
		return nil, false
	}
	return &s, true
}

// numbered reports whether a word means what has a number: "#7".
func numbered(word string, id int) bool {
	n, ok := strings.CutPrefix(word, "#")
	return ok && n == strconv.Itoa(id)
}

// backend is the name of the backend that a word means: a name, or "#" and a number.
func (c *session) backend(word string) string {
	if strings.HasPrefix(word, "#") {
		for _, b := range c.Runtime.Backends() {
			if numbered(word, b.ID) {
				return b.Name
			}
		}
	}
	return word
}

// frontend is the same of frontends.
func (c *session) frontend(word string) string {
	if strings.HasPrefix(word, "#") {
		for _, r := range c.Runtime.Snapshot().Rows {
			if r.Kind == stats.Frontend && numbered(word, r.ProxyID) {
				return r.Proxy
			}
		}
	}
	return word
}

// answer writes an error in HAProxy's words; nil has no answer.
func (c *session) answer(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrNoBackend):
		c.fail("No such backend.")
	case errors.Is(err, ErrNoServer):
		c.fail("No such server.")
	case errors.Is(err, ErrNoFrontend):
		c.fail("No such frontend.")
	default:
		c.fail(err.Error())
	}
}

func setServer(c *session, args []string) {
	s, ok := c.target(args)
	if !ok {
		return
	}
	what, value := "", ""
	if len(args) > 1 {
		what = args[1]
	}
	if len(args) > 2 {
		value = args[2]
	}
	switch what {
	case "state":
		states := map[string]AdminChange{"ready": Ready, "drain": Drain, "maint": Maint}
		a, ok := states[value]
		if !ok {
			c.fail("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
			return
		}
		c.answer(c.Runtime.SetAdmin(s.Backend, s.Name, a))
	case "health":
		healths := map[string]Health{"up": HealthUp, "stopping": HealthStopping, "down": HealthDown}
		h, ok := healths[value]
		if !ok {
			c.fail("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
			return
		}
		c.answer(c.Runtime.SetHealth(s.Backend, s.Name, h))
	case "weight":
		c.setWeight(s, value)
	case "addr":
		c.setAddr(s, args[2:])
	case "check-addr", "check-port":
		c.setCheckTarget(s, args[1:])
	case "fqdn":
		c.setName(s, value)
	case "ssl":
		c.setTLS(s, value)
	case "agent":
		switch {
		case s.AgentState&CheckEnabled == 0:
			c.answer(ErrNoAgent)
			return
		case value != "up" && value != "down":
			c.fail("'set server <srv> agent' expects 'up' or 'down'.")
			return
		}
		c.answer(c.Runtime.SetAgent(s.Backend, s.Name, value == "up"))
	case "agent-addr", "agent-port":
		c.setAgentTarget(s, args[1:])
	case "agent-send":
		c.answer(c.Runtime.AgentSend(s.Backend, s.Name, value))
	default:
		c.fail(setUsage)
	}
}

func setWeight(c *session, args []string) {
	s, ok := c.target(args)
	if !ok {
		return
	}
	value := ""
	if len(args) > 1 {
		value = args[1]
	}
	c.setWeight(s, value)
}

func (c *session) setWeight(s *ServerState, value string) {
	w, err := parseWeight(value, s.InitialWeight)
	if err == nil {
		err = c.Runtime.SetWeight(s.Backend, s.Name, w)
	}
	c.answer(err)
}

// parseWeight reads a weight, absolute or in percent of the initial one. The
// errors are HAProxy's answers.
func parseWeight(s string, initial int) (int, error) {
	if s == "" {
		return 0, refusal("Require <weight> or <weight%>.")
	}
	number := s
	if s[0] == '+' || s[0] == '-' {
		number = s[1:]
	}
	n := 0
	digits := 0
	for ; digits < len(number) && number[digits] >= '0' && number[digits] <= '9'; digits++ {
		n = min(n*10+int(number[digits]-'0'), 1<<20) // far beyond any limit below
	}
	rest := number[digits:]
	negative := s[0] == '-' && n > 0
	switch {
	case digits == 0:
		return 0, refusal("Empty weight string empty or preceded by garbage")
	case rest == "%" && negative:
		return 0, refusal("Relative weight must be positive.")
	case rest == "%":
		return min(initial*n/100, 256), nil
	case negative || n > 256:
		return 0, refusal("Absolute weight can only be between 0 and 256 inclusive.")
	case rest != "":
		return 0, refusal("Trailing garbage in weight string")
	}
	return n, nil
}

// refusal is an error whose text is the answer.
type refusal string

func (r refusal) Error() string { return string(r) }

func getWeight(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.say(strconv.Itoa(s.Weight) + " (initial " + strconv.Itoa(s.InitialWeight) + ")")
	}
}

func enableServer(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.SetAdmin(s.Backend, s.Name, Ready))
	}
}

func disableServer(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.SetAdmin(s.Backend, s.Name, Maint))
	}
}

// setAgentTarget reads agent-addr ADDRESS [port PORT] and agent-port PORT.
func (c *session) setAgentTarget(s *ServerState, words []string) {
	addr, number, given, ok := c.checkWords(words, "agent")
	if !ok {
		return
	}
	if s.AgentState&CheckConfigured == 0 {
		c.message(asWarn, "agent checks are not enabled on this server")
		return
	}
	if addr, port, ok := c.checkPlace(addr, number, given); ok {
		c.answer(c.Runtime.AgentTarget(s.Backend, s.Name, addr, port))
	}
}

func setMaxConn(c *session, args []string) {
	s, ok := c.target(args)
	if !ok {
		return
	}
	if len(args) < 2 {
		c.fail("Require <maxconn>.")
		return
	}
	n, err := strconv.ParseUint(args[1], 10, 31)
	switch {
	case err != nil && strings.IndexAny(args[1], "0123456789") != 0:
		c.fail("maxconn string empty or preceded by garbage")
		return
	case err != nil:
		c.fail("Trailing garbage in maxconn string")
		return
	}
	c.answer(c.Runtime.SetMaxConn(s.Backend, s.Name, int(n)))
}

func enableAgent(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.EnableAgent(s.Backend, s.Name, true))
	}
}

func disableAgent(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.EnableAgent(s.Backend, s.Name, false))
	}
}

func enableFrontend(c *session, args []string)  { c.setFrontend(args, true) }
func disableFrontend(c *session, args []string) { c.setFrontend(args, false) }

func (c *session) setFrontend(args []string, on bool) {
	if len(args) == 0 {
		c.fail("A frontend name is expected.")
		return
	}
	err := c.Runtime.SetFrontend(c.frontend(args[0]), on)
	switch {
	case errors.Is(err, ErrNoChange) && on:
		c.message(asNote, "All sockets are already enabled.")
	case errors.Is(err, ErrNoChange):
		c.message(asNote, "All sockets are already disabled.")
	default:
		c.answer(err)
	}
}

func clearCounters(c *session, args []string) {
	every := len(args) > 0 && args[0] == "all"
	if every && c.level < Admin {
		c.fail("Permission denied")
		return
	}
	c.Runtime.ClearCounters(every)
}

func setTimeout(c *session, args []string) {
	switch {
	case len(args) == 0 || args[0] != "cli":
		c.fail("'set timeout' only supports 'cli'.")
	case len(args) == 1:
		c.fail("Expects an integer value.")
	default:
		d, ok := parseDelay(args[1])
		if !ok {
			c.fail("Invalid timeout value.")
			return
		}
		c.timeout = d
	}
}

// parseDelay reads a time with HAProxy's units (us ms s m h d; seconds without
// one), more than zero and at most 24 days.
func parseDelay(s string) (time.Duration, bool) {
	digits := strings.TrimRight(s, "usmhd")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n == 0 {
		return 0, false
	}
	units := map[string]time.Duration{
		"us": time.Microsecond, "ms": time.Millisecond, "": time.Second, "s": time.Second,
		"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}
	unit, ok := units[s[len(digits):]]
	const most = 24 * 24 * time.Hour // what HAProxy's 31 bits of milliseconds hold
	if !ok || n > uint64(most/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
