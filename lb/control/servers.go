package control

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Servers that come, go and move: add server, del server, set server addr.

// place reads BACKEND/SERVER, the first of args.
func (c *session) place(args []string) (backend, server string, ok bool) {
	if len(args) > 0 {
		backend, server, ok = strings.Cut(args[0], "/")
	}
	if !ok || server == "" {
		c.fail("Require 'backend/server'.")
		return "", "", false
	}
	return backend, server, true
}

func addServer(c *session, args []string) {
	backend, server, ok := c.place(args)
	if !ok {
		return
	}
	if err := c.Runtime.AddServer(backend, server, args[1:]); err != nil {
		c.answer(err)
		return
	}
	c.message(asInfo, "New server registered.")
}

func delServer(c *session, args []string) {
	backend, server, ok := c.place(args)
	if !ok {
		return
	}
	if err := c.Runtime.DelServer(backend, server); err != nil {
		c.answer(err)
		return
	}
	c.message(asInfo, "Server deleted.")
}

// waitUsage is HAProxy 3's.
const waitUsage = `Usage: wait {-h|<duration>} [condition [args...]]
  - '-h' displays this help
  - <duration> is the maximum wait time, optionally suffixed by the unit among
    'us', 'ms', 's', 'm', 'h', and 'd'. ; the default unit is milliseconds.
  - <condition> indicates what to wait for, no longer than the specified
    duration. Supported conditions are:
    - <none> : by default, just sleep for the specified duration.
    - srv-removable <px>/<sv> : wait for this server to become removable.`

// waitLook is how often a condition is looked at.
const waitLook = 20 * time.Millisecond

// await is HAProxy 3's wait: DELAY [srv-removable BACKEND/SERVER].
func await(c *session, args []string) {
	if len(args) == 0 || args[0] == "-h" {
		c.say(waitUsage)
		return
	}
	text := args[0]
	if strings.Trim(text, "0123456789") == "" {
		text += "ms"
	}
	delay, ok := parseDelay(text)
	switch {
	case !ok:
		c.fail("Invalid wait delay.")
		return
	case len(args) > 1 && args[1] != "srv-removable":
		c.fail("Unknown condition to wait for: '" + args[1] + "'.")
		return
	}
	over := time.After(delay)
	if len(args) == 1 {
		select {
		case <-over:
			c.message(asInfo, "Done.")
		case <-c.ending:
			c.message(asWarn, "Interrupted.")
		}
		return
	}
	backend, server, ok := c.place(args[2:])
	if !ok {
		return
	}
	look := time.NewTicker(waitLook)
	defer look.Stop()
	for {
		switch err := c.Runtime.Removable(backend, server); {
		case err == nil:
			c.message(asInfo, "Done.")
			return
		case !errors.Is(err, ErrBusy):
			c.answer(err)
			return
		}
		select {
		case <-look.C:
		case <-over:
			c.fail("Wait delay expired.")
			return
		case <-c.ending:
			c.message(asWarn, "Interrupted.")
			return
		}
	}
}

// setAddr reads ADDRESS [port PORT] and says what became of both, as HAProxy
// does.
func (c *session) setAddr(s *ServerState, args []string) {
	const by = " by 'stats socket command'"
	if len(args) == 0 {
		c.fail("set server <b>/<s> addr requires an address and optionally a port.")
		return
	}
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		c.message(asWarn, "Invalid addr '"+args[0]+"'"+by)
		return
	}
	said, changed := "no need to change the addr", false
	if now := s.Addr; now != to.String() {
		said, changed = "IP changed from '"+now+"' to '"+to.String()+"'", true
	}
	port := ""
	if len(args) > 1 && args[1] == "port" {
		want := ""
		if len(args) > 2 {
			want = args[2]
		}
		now := c.Runtime.ServerPort(s.Backend, s.Name)
		switch n, err := strconv.Atoi(want); {
		case err != nil:
			said += ", problem converting port '" + want + "' to an int"
		case strings.ContainsAny(want, "+-") && s.CheckState&CheckConfigured != 0 && s.CheckPort == 0:
			c.message(asWarn, said+", can't change <port> to port map because it is incompatible with current health check port configuration (use 'port' statement from the 'server' directive."+by)
			return
		case n < -65535 || n > 65535 || n == 0 && want == "0":
			said += ", provided port is out of range"
		case want == now:
			said += ", no need to change the port"
		default:
			said += ", port changed from '" + now + "' to '" + want + "'"
			port, changed = want, true
		}
	}
	if changed {
		if err := c.Runtime.MoveServer(s.Backend, s.Name, to, port); err != nil {
			c.answer(err)
			return
		}
	}
	c.message(asWarn, said+by)
}

// setCheckTarget reads check-addr ADDRESS [port PORT] and check-port PORT.
func (c *session) setCheckTarget(s *ServerState, words []string) {
	addr, number, given, ok := c.checkWords(words, "check")
	if !ok {
		return
	}
	if s.CheckState&CheckConfigured == 0 {
		c.message(asWarn, ErrNotChecked.Error())
		return
	}
	if addr, port, ok := c.checkPlace(addr, number, given); ok {
		c.answer(c.Runtime.CheckTarget(s.Backend, s.Name, addr, port))
	}
}

// checkWords reads check-addr ADDRESS [port PORT], check-port PORT, and the same of agents: kind is how the words begin.
func (c *session) checkWords(words []string, kind string) (addr, port string, given, ok bool) {
	switch {
	case words[0] == kind+"-addr" && len(words) < 2:
		c.fail("set server <b>/<s> " + kind + "-addr requires an address and optionally a port.")
		return "", "", false, false
	case words[0] == kind+"-addr":
		return words[1], word(words, 3), word(words, 2) == "port", true
	case len(words) < 2:
		c.fail("set server <b>/<s> " + kind + "-port requires a port.")
		return "", "", false, false
	}
	return "", words[1], true, true
}

// checkPlace checks what checkWords has read; port is 0 where none was given.
func (c *session) checkPlace(addr, number string, given bool) (to string, port int, ok bool) {
	if addr != "" {
		ip, err := netip.ParseAddr(addr)
		if err != nil {
			c.message(asWarn, "invalid addr '"+addr+"'")
			return "", 0, false
		}
		to = ip.String()
	}
	if !given {
		return to, 0, true
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		c.message(asWarn, "provided port is not an integer")
		return "", 0, false
	case n <= 0 || n > 65535:
		c.message(asWarn, "provided port is invalid")
		return "", 0, false
	}
	return to, int(n), true
}

// setName refuses set server fqdn: names are resolved as the configuration says.
func (c *session) setName(s *ServerState, name string) {
	switch {
	case name == "":
		c.fail("set server <b>/<s> fqdn requires a FQDN.")
	case !s.Resolved:
		c.fail("set server <b>/<s> fqdn failed because no resolution is configured.")
	default:
		c.fail("'set server <srv> fqdn' is not available here: use 'set server <srv> addr', or " + toReload + ".")
	}
}

func (c *session) setTLS(s *ServerState, value string) {
	if err := c.Runtime.SetServerTLS(s.Backend, s.Name, value != "off"); err != nil || value == "on" || value == "off" {
		if err == nil {
			c.message(asNote, "server ssl setting updated.")
			return
		}
		c.answer(err)
		return
	}
	c.fail("'set server <srv> ssl' expects 'on' or 'off'.")
}

const rateUsage = `'set rate-limit' only supports :
   - 'connections global' to set the per-process maximum connection rate
   - 'sessions global' to set the per-process maximum session rate
   - 'ssl-sessions global' to set the per-process maximum SSL session rate
   - 'http-compression global' to set the per-process maximum compression speed in kB/s`

func setRateLimit(c *session, args []string) {
	if len(args) < 2 || args[1] != "global" {
		c.fail(rateUsage)
		return
	}
	switch args[0] {
	case "connections", "sessions", "ssl-sessions", "http-compression":
	default:
		c.fail(rateUsage)
		return
	}
	if len(args) < 3 {
		c.fail("Expects an integer value.")
		return
	}
	n, err := strconv.ParseUint(args[2], 10, 31)
	if err != nil {
		c.fail("Expects an integer value, not '" + args[2] + "'.")
		return
	}
	c.answer(c.Runtime.SetRateLimit(args[0], int(n)))
}

// setVar reads NAME [expr|fmt] TEXT.
func setVar(c *session, args []string) {
	switch {
	case !c.experimental:
		c.fail("This command is restricted to experimental mode only.")
		return
	case len(args) == 0 || args[0] == "":
		c.fail("Missing process-wide variable identifier.")
		return
	case len(args) == 1:
		c.fail("Missing either 'expr', 'fmt' or expression.")
		return
	case !strings.HasPrefix(args[0], "proc."):
		c.fail("'set var': cannot set variable '" + args[0] + "', only scope 'proc' is permitted here.")
		return
	}
	name, text, format := args[0], strings.Join(args[1:], " "), false
	if len(args) > 2 && (args[1] == "expr" || args[1] == "fmt") {
		text, format = strings.Join(args[2:], " "), args[1] == "fmt"
	}
	c.answer(c.Runtime.SetVar(name, text, format))
}

func getVar(c *session, args []string) {
	if len(args) == 0 {
		c.fail("Missing process-wide variable identifier.")
		return
	}
	kind, value, ok := c.Runtime.GetVar(args[0])
	if !ok {
		c.fail("Variable not found.")
		return
	}
	c.message(asInfo, args[0]+": type="+kind+" value=<"+value+">")
}

// dynamicCookie is `enable|disable dynamic-cookie backend <backend>`.
func dynamicCookie(on bool) func(c *session, args []string) {
	return func(c *session, args []string) {
		if len(args) == 0 {
			c.fail("A backend name is expected.")
			return
		}
		c.answer(c.Runtime.DynamicCookie(c.backend(args[0]), on))
	}
}

// dynamicCookieKey is `set dynamic-cookie-key backend <backend> <key>`.
func dynamicCookieKey(c *session, args []string) {
	switch len(args) {
	case 0:
		c.fail("A backend name is expected.")
	case 1:
		if _, err := c.Runtime.Servers(c.backend(args[0])); err != nil {
			c.answer(err)
			return
		}
		c.fail("String value expected.")
	default:
		c.answer(c.Runtime.DynamicCookieKey(c.backend(args[0]), args[1]))
	}
}
