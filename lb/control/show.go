package control

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"lbsyslogd/lb/stats"
)

func showVersion(c *session, _ []string) { c.message(asInfo, c.Version) }

func showLevel(c *session, _ []string) { c.message(asInfo, c.level.String()) }

func showSockets(c *session, _ []string) {
	c.say("# socket lvl processes")
	for _, s := range c.Sockets {
		c.say(s.Address + " " + s.Level.String() + " all")
	}
}

func showEnv(c *session, args []string) {
	environ := os.Environ()
	if r, ok := c.Runtime.(interface{ Environ() []string }); ok {
		environ = r.Environ()
	}
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if len(args) == 0 || args[0] == name {
			c.say(v)
			if len(args) > 0 {
				return
			}
		}
	}
	if len(args) > 0 {
		c.fail("Variable not found")
	}
}

// showInfo writes `show info`; of several forms the last one counts.
func showInfo(c *session, args []string) {
	in := &c.Runtime.Snapshot().Info
	form := stats.InfoForm{Desc: slices.Contains(args, "desc"), Float: slices.Contains(args, "float")}
	switch lastOf(args, "typed", "json") {
	case "typed":
		c.out = stats.AppendInfoTyped(c.out, in, form)
	case "json":
		c.out = stats.AppendInfoJSON(c.out, in, form)
	default:
		c.out = stats.AppendInfo(c.out, in, form)
	}
}

// showStat writes `show stat [<proxy> <kinds> <server>] [<option>]...`.
func showStat(c *session, args []string) {
	s := c.Runtime.Snapshot()
	f := stats.Filter{HideSetup: c.level < Operator}
	if len(args) >= 3 {
		if id, err := strconv.Atoi(args[0]); err == nil {
			f.ProxyID = id
		} else {
			f.Proxy = args[0]
			if !slices.ContainsFunc(s.Rows, func(r stats.Row) bool { return r.Proxy == args[0] }) {
				c.fail("No such proxy.")
				return
			}
		}
		f.Kinds, _ = strconv.Atoi(args[1])
		f.ServerID, _ = strconv.Atoi(args[2])
		args = args[3:]
	}
	f.HideDown = slices.Contains(args, "up")
	f.HideMaint = slices.Contains(args, "no-maint")
	switch lastOf(args, "typed", "json") {
	case "typed":
		c.out = stats.AppendTyped(c.out, s, f, slices.Contains(args, "desc"))
	case "json":
		c.out = stats.AppendJSON(c.out, s, f)
	default:
		c.out = stats.AppendCSV(c.out, s, f)
	}
}

// lastOf gives the last of args that is one of words; "" if none is.
func lastOf(args []string, words ...string) string {
	for _, a := range slices.Backward(args) {
		if slices.Contains(words, a) {
			return a
		}
	}
	return ""
}

func showBackend(c *session, _ []string) {
	c.say("# name")
	for _, b := range c.Runtime.Backends() {
		c.say(b.Name)
	}
}

// stateHeader is version 1 of the server state format, which HAProxy can load
// again and other programs read.
const stateHeader = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"

func showServersState(c *session, args []string) {
	backend := ""
	if len(args) > 0 {
		backend = args[0]
	}
	servers, err := c.Runtime.Servers(backend)
	if errors.Is(err, ErrNoBackend) {
		c.fail("Can't find backend.")
		return
	}
	if err != nil {
		c.say(err.Error())
		return
	}
	c.say(stateHeader)
	for i := range servers {
		c.out = servers[i].append(c.out)
	}
}

// append writes one line of the server state format.
func (s *ServerState) append(dst []byte) []byte {
	num := func(n int) { dst = append(strconv.AppendInt(dst, int64(n), 10), ' ') }
	text := func(t string) {
		if t == "" {
			t = "-"
		}
		dst = append(append(dst, t...), ' ')
	}
	flag := func(b bool) {
		if b {
			num(1)
		} else {
			num(0)
		}
	}
	num(s.BackendID)
	text(s.Backend)
	num(s.ID)
	text(s.Name)
	text(s.Addr)
	num(int(s.State))
	num(int(s.Admin))
	num(s.Weight)
	num(s.InitialWeight)
	num(s.LastChange)
	num(s.CheckStatus)
	num(s.CheckResult)
	num(s.CheckHealth)
	num(int(s.CheckState))
	num(int(s.AgentState))
	flag(s.ForcedIDs[0])
	flag(s.ForcedIDs[1])
	text(s.FQDN)
	num(s.Port)
	text("") // SRV record
	flag(s.TLS)
	num(s.CheckPort)
	text(s.CheckAddr)
	text(s.AgentAddr)
	return append(strconv.AppendInt(dst, int64(s.AgentPort), 10), '\n')
}
