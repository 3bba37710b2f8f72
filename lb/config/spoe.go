package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// Offload is one `filter spoe` line: an agent, and what it is asked.
type Offload struct {
	Pos     cfgfile.Pos
	Engine  string // by which rules name it
	Backend string // use-backend
	Prefix  string // of variables

	OnError, ProcessTime, TotalTime string // names of variables; "" sets none
	Continue                        bool   // a failure does not end the questions of a request
	Proc                            bool   // the agent may set variables of the process
	Alone                           bool   // no pipelining

	MaxFrame, MaxWaiting    int // 0: the default
	Hello, Idle, Processing time.Duration

	Events [Events][]*rule.Message // in the order of the agent's messages lines
	Groups map[string][]*rule.Message
}

// Event is a moment of a request at which an agent is asked.
type Event uint8

// Events.
const (
	OnFrontTCP  Event = iota // before the frontend's tcp-request content rules
	OnFrontHTTP              // before its http-request rules
	OnBackTCP
	OnBackHTTP
	Events // how many there are
)

// spoeEvents are their names in the file; those of responses are refused.
var spoeEvents = map[string]Event{
	"on-client-session": OnFrontTCP, "on-frontend-tcp-request": OnFrontTCP, "on-frontend-http-request": OnFrontHTTP,
	"on-backend-tcp-request": OnBackTCP, "on-backend-http-request": OnBackHTTP,
}

// spoeFile is a file of a filter spoe while it is read.
type spoeFile struct {
	c        *call
	off      *Offload
	agent    string
	messages map[string]*spoeMessage
	groups   map[string][]string
	asked    []string // the agent's messages
	handled  []string // its groups

	// What lines belong to: one of the first three, or nothing.
	atAgent   bool
	atMessage *spoeMessage
	atGroup   string
	atScope   string
}

type spoeMessage struct {
	rule.Message
	acls  *acl.ACLs
	event string
	pos   cfgfile.Pos
	wrong []wrongArg // what a message that is sent must not have
}

// wrongArg is an argument that only answers have.
type wrongArg struct {
	pos cfgfile.Pos
	err error
}

// filterSpoe reads [engine <name>] config <file>.
func (c *call) filterSpoe(d *draft) error {
	off := &Offload{Pos: c.pos, Groups: map[string][]*rule.Message{}}
	file := ""
	for words := c.args; len(words) > 0; words = words[2:] {
		switch {
		case len(words) < 2:
			return fmt.Errorf("'filter spoe %s' expects a value", words[0])
		case words[0] == "engine":
			off.Engine = words[1]
		case words[0] == "config":
			file = words[1]
		default:
			return fmt.Errorf("'filter spoe' expects 'engine <name>' and 'config <file>', not '%s'", words[0])
		}
	}
	if file == "" {
		return fmt.Errorf("'filter spoe' expects 'config <file>'")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("'filter spoe' : %w", err)
	}
	f := &spoeFile{c: c, off: off, messages: map[string]*spoeMessage{}, groups: map[string][]string{}}
	r := cfgfile.NewReader(cfgfile.Source{Name: file, Data: data}, c.p.env, c.p.report)
	for line, ok := r.Next(); ok; line, ok = r.Next() {
		c.p.digestLine(&line)
		if err := f.line(line.Pos, append([]string{line.Keyword()}, line.Args()...)); err != nil {
			c.p.report.Errorf(line.Pos, "%v", err)
		}
	}
	if err := f.finish(file); err != nil {
		return err
	}
	for _, other := range d.Offloads {
		if other.Engine == off.Engine {
			return fmt.Errorf("'filter spoe' : engine '%s' is used already in this proxy", off.Engine)
		}
	}
	for _, m := range f.messages {
		d.acls.Note(m.acls.Take()...)
		d.acls.Need(m.acls.Needs(), sample.InRequest)
	}
	d.Offloads = append(d.Offloads, off)
	return nil
}

func (f *spoeFile) line(pos cfgfile.Pos, words []string) error {
	if strings.HasPrefix(words[0], "[") {
		f.atScope = strings.Trim(words[0], "[]")
		f.atAgent, f.atMessage, f.atGroup = false, nil, ""
		if f.off.Engine == "" {
			return fmt.Errorf("a scope, but the filter line names no engine: write 'filter spoe engine %s config ...'", f.atScope)
		}
		return nil
	}
	if f.atScope != f.off.Engine {
		return nil // another engine's
	}
	switch words[0] {
	case "spoe-agent", "spoe-message", "spoe-group":
		f.atAgent, f.atMessage, f.atGroup = false, nil, ""
		if len(words) != 2 {
			return fmt.Errorf("'%s' expects a name", words[0])
		}
		return f.section(pos, words[0], words[1])
	}
	switch {
	case f.atAgent:
		return f.agentLine(pos, words)
	case f.atMessage != nil:
		return f.messageLine(pos, words)
	case f.atGroup != "" && words[0] == "messages":
		f.groups[f.atGroup] = append(f.groups[f.atGroup], words[1:]...)
		return nil
	}
	return fmt.Errorf("unknown keyword '%s'", words[0])
}

func (f *spoeFile) section(pos cfgfile.Pos, kind, name string) error {
	switch kind {
	case "spoe-agent":
		if f.agent != "" {
			return fmt.Errorf("there is a spoe-agent already, '%s'", f.agent)
		}
		f.agent, f.atAgent = name, true
	case "spoe-message":
		if f.messages[name] != nil {
			return fmt.Errorf("spoe-message '%s' is defined already", name)
		}
		f.atMessage = &spoeMessage{Message: rule.Message{Name: name}, acls: acl.NewACLs(), pos: pos}
		f.messages[name] = f.atMessage
	default:
		if f.groups[name] != nil {
			return fmt.Errorf("spoe-group '%s' is defined already", name)
		}
		f.groups[name], f.atGroup = []string{}, name
	}
	return nil
}

func (f *spoeFile) agentLine(pos cfgfile.Pos, words []string) (err error) {
	off, no := f.off, words[0] == "no" && len(words) > 1
	if no {
		words = words[1:]
	}
	if words[0] == "option" || words[0] == "timeout" {
		if len(words) < 2 {
			return fmt.Errorf("'%s' expects a word", words[0])
		}
		words = append([]string{words[0] + " " + words[1]}, words[2:]...)
	}
	if no && !spoeNegated[words[0]] {
		return fmt.Errorf("'no %s' is not possible: '%s' cannot be negated", words[0], words[0])
	}
	value := func() string {
		if len(words) < 2 {
			err = fmt.Errorf("'%s' expects a value", words[0])
			return ""
		}
		return words[1]
	}
	switch words[0] {
	case "messages":
		f.asked = append(f.asked, words[1:]...)
	case "groups":
		f.handled = append(f.handled, words[1:]...)
	case "use-backend":
		off.Backend = value()
	case "max-frame-size":
		off.MaxFrame, err = number(words[0], value(), 256, 16<<20)
	case "max-waiting-frames":
		off.MaxWaiting, err = number(words[0], value(), 1, 1<<20)
	case "timeout hello":
		off.Hello, err = duration(words[0], value(), time.Millisecond)
	case "timeout idle":
		off.Idle, err = duration(words[0], value(), time.Millisecond)
	case "timeout processing":
		off.Processing, err = duration(words[0], value(), time.Millisecond)
	case "option var-prefix":
		off.Prefix = value()
	case "option set-on-error":
		off.OnError = value()
	case "option set-process-time":
		off.ProcessTime = value()
	case "option set-total-time":
		off.TotalTime = value()
	case "option continue-on-error":
		off.Continue = true
	case "option force-set-var":
		off.Proc = true
	case "option pipelining":
		off.Alone = no
	case "option async", "option send-frag-payload", "option dontlog-normal", "register-var-names", "log", "maxconnrate", "maxerrrate":
		f.c.p.report.Notef(pos, "'%s' of a spoe-agent is ignored: %s", words[0], spoeIgnored[words[0]])
	default:
		return fmt.Errorf("unknown keyword '%s' in 'spoe-agent'", words[0])
	}
	return err
}

// spoeNegated are an agent's words that "no" may stand before.
var spoeNegated = map[string]bool{"option async": true, "option pipelining": true, "option dontlog-normal": true, "option send-frag-payload": true, "log": true}

// spoeIgnored are an agent's words without effect, and why.
var spoeIgnored = map[string]string{
	"option async": "answers come over the connection of their question", "option send-frag-payload": "what is larger than a frame is not sent (failure 3)",
	"option dontlog-normal": "questions are not logged", "log": "questions are not logged; option set-on-error and set-process-time show what became of one in the access log",
	"register-var-names": "an agent may set any variable under its prefix", "maxconnrate": "connections are kept and shared", "maxerrrate": "each request is asked about for itself",
}

func (f *spoeFile) messageLine(pos cfgfile.Pos, words []string) error {
	m := f.atMessage
	switch words[0] {
	case "acl":
		return m.acls.Define(words[1:])
	case "args":
		for _, word := range words[1:] {
			name, expr, named := strings.Cut(word, "=")
			if paren := strings.IndexByte(word, '('); !named || paren >= 0 && paren < len(name) {
				name, expr = "", word
			}
			e, err := sample.ParseExpr(expr, sample.InRequest, &m.acls.Uses)
			if err != nil {
				err = fmt.Errorf("'args %s' : %w", word, err)
				if _, other := sample.ParseExpr(expr, sample.Anywhere, nil); other != nil {
					return err
				}
				m.wrong = append(m.wrong, wrongArg{pos, err}) // HAProxy looks at it when the message is sent somewhere
				continue
			}
			m.Args = append(m.Args, rule.MessageArg{Name: name, Expr: e})
		}
		if len(m.Args) > 255 {
			return fmt.Errorf("a message has 255 arguments at most")
		}
		return nil
	case "event":
		if len(words) < 2 {
			return fmt.Errorf("'event' expects a name")
		}
		m.event = words[1]
		cond, err := f.c.condition(words[2:], m.acls)
		m.Cond = cond
		return err
	}
	return fmt.Errorf("unknown keyword '%s' in 'spoe-message'", words[0])
}

// finish resolves what lines name.
func (f *spoeFile) finish(file string) error {
	off := f.off
	switch {
	case f.agent == "":
		return fmt.Errorf("'filter spoe' : no spoe-agent for engine '%s' in %s", off.Engine, file)
	case off.Backend == "":
		return fmt.Errorf("'filter spoe' : spoe-agent '%s' in %s has no 'use-backend'", f.agent, file)
	}
	if off.Engine == "" {
		off.Engine = f.agent
	}
	if off.Prefix == "" {
		off.Prefix = f.agent
	}
	for _, name := range f.asked {
		m := f.messages[name]
		if m == nil {
			return fmt.Errorf("'filter spoe' : spoe-agent '%s' names message '%s', which is not in %s", f.agent, name, file)
		}
		event, known := spoeEvents[m.event]
		switch {
		case m.event == "":
			return fmt.Errorf("'filter spoe' : message '%s' has no event", name)
		case !known && (strings.HasPrefix(m.event, "on-") && strings.HasSuffix(m.event, "-response") || m.event == "on-server-session"):
			return fmt.Errorf("'filter spoe' : event '%s' of message '%s' is known to HAProxy, but not supported by lb yet: agents are asked about requests, not about responses; take the message out of 'messages'", m.event, name)
		case !known:
			return fmt.Errorf("'filter spoe' : unknown event '%s' of message '%s'", m.event, name)
		}
		off.Events[event] = append(off.Events[event], &m.Message)
		f.c.p.refuse(m.wrong)
	}
	for _, group := range f.handled {
		names, ok := f.groups[group]
		if !ok {
			return fmt.Errorf("'filter spoe' : spoe-agent '%s' names group '%s', which is not in %s", f.agent, group, file)
		}
		for _, name := range names {
			m := f.messages[name]
			if m == nil {
				return fmt.Errorf("'filter spoe' : group '%s' names message '%s', which is not in %s", group, name, file)
			}
			off.Groups[group] = append(off.Groups[group], &m.Message)
			if f.c.p.wrongArgs == nil {
				f.c.p.wrongArgs = map[*rule.Message][]wrongArg{}
			}
			f.c.p.wrongArgs[&m.Message] = m.wrong
		}
	}
	return nil
}

// groupParts are what rules send to agents, while files are read.
type groupParts struct {
	groupUses []groupUse
	wrongArgs map[*rule.Message][]wrongArg
}

// groupUse is a rule that sends a group, and where.
type groupUse struct {
	ref  *sample.GroupRef
	from *draft
	pos  cfgfile.Pos
}

// refuse reports the arguments of a message that is sent.
func (p *parser) refuse(args []wrongArg) {
	for _, a := range args {
		p.report.Errorf(a.pos, "%v", a.err)
	}
}

// resolveOffloads checks agents' backends and the groups that rules name.
func (p *parser) resolveOffloads() {
	for _, d := range p.drafts {
		for _, off := range d.Offloads {
			found := false
			for _, be := range p.byName[off.Backend] {
				found = found || be.Backend && be.Mode == TCP
			}
			switch {
			case d.Mode != HTTP:
				p.report.Errorf(off.Pos, "'filter spoe' needs mode http")
			case !found:
				p.report.Errorf(off.Pos, "'filter spoe' : unable to find backend '%s' of engine '%s' (it must have mode tcp)", off.Backend, off.Engine)
			}
		}
	}
	for _, use := range p.groupUses {
		found := false
		for _, off := range use.from.Offloads {
			if off.Engine != use.ref.Engine || off.Groups[use.ref.Group] == nil {
				continue
			}
			found = true
			for _, m := range off.Groups[use.ref.Group] {
				p.refuse(p.wrongArgs[m])
				delete(p.wrongArgs, m)
			}
		}
		if !found {
			p.report.Errorf(use.pos, "'send-spoe-group' : no group '%s' of an engine '%s' in the filters of this proxy", use.ref.Group, use.ref.Engine)
		}
	}
}
