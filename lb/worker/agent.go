package worker

import (
	"net"
	"strconv"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/health"
)

// What operators do with a server's agent, and with what an agent may change.

// SetAgent implements control.Runtime.
func (rt *Runtime) SetAgent(be, server string, up bool) error {
	c, err := rt.find(be, server)
	if err != nil {
		return err
	}
	if _, _, off := c.agentState(); c.agent == nil || off {
		return control.ErrNoAgent
	}
	value, event := 0, health.SetDown
	if up {
		value, event = 1, health.SetUp
	}
	c.agent.Override(value)
	c.change(func() {
		if up != c.srv.Stats().Health {
			c.srv.SetHealth(up)
			c.event(event)
		}
	})
	return nil
}

// EnableAgent implements control.Runtime.
func (rt *Runtime) EnableAgent(be, server string, on bool) error {
	c, err := rt.find(be, server)
	switch {
	case err != nil:
		return err
	case c.agent == nil && on:
		return control.ErrNoAgentConfigured
	case c.agent == nil:
		return nil
	}
	c.enableAgent(on)
	return nil
}

func (c *check) enableAgent(on bool) {
	c.mu.Lock()
	c.agentOff = !on
	c.mu.Unlock()
	c.agent.Pause(!on)
}

// AgentTarget implements control.Runtime.
func (rt *Runtime) AgentTarget(be, server, addr string, port int) error {
	c, err := rt.find(be, server)
	if err != nil {
		return err
	}
	if c.agent == nil {
		return control.ErrNoAgent
	}
	c.agent.Change(func(s *health.Spec) {
		host, old, err := net.SplitHostPort(s.Address)
		if err != nil {
			return
		}
		if addr != "" {
			host = addr
		}
		if port != 0 {
			old = strconv.Itoa(port)
		}
		s.Address = net.JoinHostPort(host, old)
	})
	return nil
}

// AgentSend implements control.Runtime.
func (rt *Runtime) AgentSend(be, server, text string) error {
	c, err := rt.find(be, server)
	if err != nil {
		return err
	}
	if c.agent == nil {
		return control.ErrNoAgent
	}
	c.agent.Change(func(s *health.Spec) { s.Ask(text) })
	return nil
}

// SetMaxConn implements control.Runtime.
func (rt *Runtime) SetMaxConn(be, server string, n int) error {
	c, err := rt.find(be, server)
	if err == nil {
		c.srv.SetMaxConn(limit(n))
	}
	return err
}

// sessLimit is a server's maxconn as the tables show it: 0 for none.
func sessLimit(n int) int {
	if n == backend.Unlimited {
		return 0
	}
	return n
}

// node is this machine's name as the configuration has it.
func (rt *Runtime) node() string {
	if n := rt.cfg.Global.Node; n != "" {
		return n
	}
	return rt.eng.Hostname
}
