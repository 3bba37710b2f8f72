package control

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Session is one client connection, or one stream of an HTTP/2 connection.
type Session struct {
	ID       uint64 // what `show sess` shows and `shutdown session` takes
	Loop     int
	FD       int // -1: a stream, which has its connection's
	Peer     netip.AddrPort
	Unix     bool
	TLS      bool
	Frontend string
	Listener string
	Backend  string // "" before one was chosen
	Server   string // "" before one was chosen
	ServerFD int    // -1 none
	State    string // what it waits for
	Accepted time.Time
	Requests uint32
	Expires  time.Duration // of the present wait; negative never
	URI      string        // of the request under way
	In, Out  uint64        // bytes of the exchange under way
	Queued   bool
	Retries  int
}

// showSess lists client connections, all of them or those that are older than
// a delay; `all` and an ID show them in full.
func showSess(c *session, args []string) {
	if word(args, 0) == "json" {
		c.sessionsJSON()
		return
	}
	var older time.Duration
	var id uint64
	full, one := false, false
	if len(args) > 0 {
		switch n, err := strconv.ParseUint(args[0], 0, 64); {
		case args[0] == "all":
			full = true
		case args[0] == "older":
			d, ok := time.Duration(0), false
			if len(args) > 1 {
				d, ok = parseDelay(args[1])
			}
			if !ok {
				c.fail("Invalid delay: 'show sess older' expects a time, as in 30s.")
				return
			}
			older = d
		case err == nil:
			full, one, id = true, true, n
		}
	}
	now := time.Now()
	found := false
	for _, s := range append([]Session{c.itself()}, c.Runtime.Sessions()...) {
		if one && s.ID != id || now.Sub(s.Accepted) < older {
			continue
		}
		found = true
		if full {
			c.out = s.appendFull(c.out, now)
		} else {
			c.out = s.append(c.out, now)
		}
		if len(c.out) > maxAnswer && !c.flush() {
			c.done = true
			return
		}
	}
	if one && !found {
		c.say("Session not found.")
	}
}

// itself is this connection as one of the sessions.
func (c *session) itself() Session {
	s := Session{
		ID: c.id, FD: -1, Unix: true, Frontend: "GLOBAL", ServerFD: -1, State: "command",
		Accepted: c.began, Requests: 1, Expires: c.timeout,
	}
	if at, ok := c.conn.RemoteAddr().(*net.TCPAddr); ok {
		s.Unix, s.Peer = false, at.AddrPort()
	}
	return s
}

// sessionsJSON writes what `lb sessions --json` shows.
func (c *session) sessionsJSON() {
	type one struct {
		ID       string `json:"id"`
		Client   string `json:"client"`
		TLS      bool   `json:"tls"`
		Frontend string `json:"frontend"`
		Listener string `json:"listener"`
		Backend  string `json:"backend,omitempty"`
		Server   string `json:"server,omitempty"`
		State    string `json:"state"`
		Age      int64  `json:"age_ms"`
		Expires  *int64 `json:"expires_ms"` // null never
		Requests uint32 `json:"requests"`
		URI      string `json:"uri,omitempty"`
		In       uint64 `json:"bytes_in"`
		Out      uint64 `json:"bytes_out"`
		Queued   bool   `json:"queued"`
		Retries  int    `json:"retries"`
	}
	list, now := []one{}, time.Now()
	for _, s := range c.Runtime.Sessions() {
		o := one{fmt.Sprintf("%#x", s.ID), s.source(), s.TLS, s.Frontend, s.Listener, s.Backend, s.Server, s.State, now.Sub(s.Accepted).Milliseconds(), nil,
			s.Requests, s.URI, s.In, s.Out, s.Queued, s.Retries}
		if s.Expires >= 0 {
			ms := s.Expires.Milliseconds()
			o.Expires = &ms
		}
		list = append(list, o)
	}
	c.json(list)
}

// json answers with a value on a line.
func (c *session) json(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		c.fail(err.Error())
		return
	}
	c.say(string(text))
}

// proto is the protocol as HAProxy names it.
func (s *Session) proto() string {
	switch {
	case s.Unix:
		return "unix_stream"
	case s.Peer.Addr().Unmap().Is4():
		return "tcpv4"
	}
	return "tcpv6"
}

func (s *Session) source() string {
	if s.Unix || !s.Peer.IsValid() {
		return "unix:1"
	}
	return netip.AddrPortFrom(s.Peer.Addr().Unmap(), s.Peer.Port()).String()
}

// orNone is what HAProxy shows where there is nothing yet.
func orNone(name, none string) string {
	if name == "" {
		return none
	}
	return name
}

// append writes a session's line: HAProxy's fields that a session has here.
func (s *Session) append(dst []byte, now time.Time) []byte {
	dst = fmt.Appendf(dst, "%#x: proto=%s src=%s fe=%s be=%s srv=%s age=%s calls=%d state=%s scf=[fd=%d] scb=[fd=%d] exp=%s rc=%d",
		s.ID, s.proto(), s.source(), s.Frontend, orNone(s.Backend, "<NONE>"), orNone(s.Server, "<none>"),
		age(now.Sub(s.Accepted)), s.Requests, s.State, s.FD, s.ServerFD, s.expires(""), s.Retries)
	return append(dst, '\n')
}

func (s *Session) expires(never string) string {
	if s.Expires < 0 {
		return never
	}
	return age(s.Expires)
}

// appendFull writes all that is known of a session.
func (s *Session) appendFull(dst []byte, now time.Time) []byte {
	yes := map[bool]string{true: "yes", false: "no"}
	dst = fmt.Appendf(dst, "%#x: [%s] id=%d proto=%s source=%s\n", s.ID, s.Accepted.Format("02/Jan/2006:15:04:05.000000"), s.Requests, s.proto(), s.source())
	dst = fmt.Appendf(dst, "  state=%s, age=%s, expires=%s, loop=%d, tls=%s\n", s.State, age(now.Sub(s.Accepted)), s.expires("<NEVER>"), s.Loop, yes[s.TLS])
	dst = fmt.Appendf(dst, "  frontend=%s, listener=%s, fd=%d\n", s.Frontend, orNone(s.Listener, "?"), s.FD)
	dst = fmt.Appendf(dst, "  backend=%s, queued=%s\n", orNone(s.Backend, "<NONE>"), yes[s.Queued])
	dst = fmt.Appendf(dst, "  server=%s, fd=%d, retries=%d\n", orNone(s.Server, "<NONE>"), s.ServerFD, s.Retries)
	if s.URI != "" {
		dst = fmt.Appendf(dst, "  request=%q\n", s.URI)
	}
	return fmt.Appendf(dst, "  received=%d, sent=%d\n", s.In, s.Out)
}

// age is a duration as HAProxy shows it: the two largest units that it has.
func age(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s >= 86400:
		return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
	case s >= 3600:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// shutSession ends a client connection.
func shutSession(c *session, args []string) {
	word := ""
	if len(args) > 0 {
		word = args[0]
	}
	id, err := strconv.ParseUint(word, 0, 64)
	if err != nil || id == 0 {
		c.fail("Session pointer expected (use 'show sess').")
		return
	}
	if id == c.id {
		c.done = true
		return
	}
	if !c.Runtime.ShutSession(id) {
		c.fail("No such session (use 'show sess').")
	}
}

// shutServerSessions ends all that a server has.
func shutServerSessions(c *session, args []string) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.ShutServer(s.Backend, s.Name))
	}
}

// shutFrontend closes a frontend until the next reload.
func shutFrontend(c *session, args []string) {
	if len(args) == 0 {
		c.fail("A frontend name is expected.")
		return
	}
	if err := c.Runtime.ShutFrontend(c.frontend(args[0])); err == ErrNoChange {
		c.fail("Frontend was already shut down.")
	} else {
		c.answer(err)
	}
}

// setMaxConnOf changes the limit of a frontend, or of all (global).
func setMaxConnFrontend(c *session, args []string) {
	if len(args) == 0 {
		c.fail("A frontend name is expected.")
		return
	}
	if len(args) == 1 {
		if _, _, err := c.Runtime.MaxConn(c.frontend(args[0])); err != nil {
			c.answer(err)
			return
		}
		c.fail("Integer value expected.")
		return
	}
	n, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		c.fail("Integer value expected.")
		return
	}
	c.answer(c.Runtime.SetFrontendMaxConn(c.frontend(args[0]), int(n)))
}

func setMaxConnGlobal(c *session, args []string) {
	if len(args) == 0 {
		c.fail("Expects an integer value.")
		return
	}
	n, err := strconv.ParseUint(args[0], 10, 31)
	if err != nil {
		c.fail("Expects an integer value.")
		return
	}
	c.answer(c.Runtime.SetGlobalMaxConn(int(n)))
}

func enableHealth(c *session, args []string)  { c.setHealthChecks(args, true) }
func disableHealth(c *session, args []string) { c.setHealthChecks(args, false) }

func (c *session) setHealthChecks(args []string, on bool) {
	if s, ok := c.target(args); ok {
		c.answer(c.Runtime.EnableHealth(s.Backend, s.Name, on))
	}
}

// showServersConn writes the servers' connections.
func showServersConn(c *session, args []string) {
	backend := ""
	if len(args) > 0 {
		backend = args[0]
	}
	servers, err := c.Runtime.Servers(backend)
	if err != nil {
		c.fail("Can't find backend.")
		return
	}
	type key struct{ backend, server string }
	at := map[key]int{}
	rows := c.Runtime.Snapshot().Rows
	for i := range rows {
		at[key{rows[i].Proxy, rows[i].Name}] = i
	}
	loops := len(c.Runtime.Loops())
	c.say(fmt.Sprintf("# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[%d]", loops))
	for i := range servers {
		s := &servers[i]
		r, ok := at[key{s.Backend, s.Name}]
		if !ok {
			continue
		}
		row := &rows[r]
		limit := "-1"
		if row.IdleLimit > 0 {
			limit = strconv.Itoa(row.IdleLimit)
		}
		c.out = fmt.Appendf(c.out, "%s/%s %d/%d %s %d - 5000 %d %d %d %d %d %s %d", s.Backend, s.Name, s.BackendID, s.ID, orNone(s.Addr, "-"), s.Port,
			row.UsedConns, row.SessMax, row.NeedConns, row.UnsafeConns, row.SafeConns, limit, row.IdleConns)
		for i := range loops {
			n := 0
			if i < len(row.IdleEach) {
				n = row.IdleEach[i]
			}
			c.out = fmt.Appendf(c.out, " %d", n)
		}
		c.say("")
	}
}

// onOff is expert-mode and experimental-mode, which open nothing here.
func onOff(name string, flag func(c *session) *bool) func(c *session, args []string) {
	return func(c *session, args []string) {
		f := flag(c)
		switch {
		case len(args) == 0 && *f:
			c.say(name + " is ON")
		case len(args) == 0:
			c.say(name + " is OFF")
		default:
			*f = args[0] == "on"
		}
	}
}

func setSeverity(c *session, args []string) {
	word := ""
	if len(args) > 0 {
		word = args[0]
	}
	s, ok := severities[word]
	if !ok {
		c.fail("one of 'none', 'number', 'string' is a required argument")
		return
	}
	c.severity = s
}

func showStartupLogs(c *session, _ []string) {
	c.out = append(c.out, c.StartupLogs...)
	if c.StartupLogs == "" || !strings.HasSuffix(c.StartupLogs, "\n") {
		c.out = append(c.out, '\n')
	}
}
