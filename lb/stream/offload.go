package stream

import (
	"time"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/spop"
)

// Agents (filter spoe). What an agent is told of a request is put together on the
// loop. A goroutine asks; meanwhile the request's head is set aside, as for a
// body. Then the agent's variables are set, and the rules go on.

// Event is a moment of a request at which agents are asked.
type Event uint8

// Events.
const (
	OnFrontTCP Event = iota
	OnFrontHTTP
	OnBackTCP
	OnBackHTTP
	Events // how many there are
)

// Offload is one agent of a proxy. Immutable.
type Offload struct {
	Engine, Prefix                  string
	OnError, ProcessTime, TotalTime string // variables, without scope and prefix; "" sets none
	Continue                        bool   // a failure does not end the questions of a request
	Proc                            bool   // it may set variables of the process
	Agent                           *spop.Agent
	Events                          [Events][]*rule.Message
	Groups                          map[string][]*rule.Message
}

// consulting is what a request's agents have come to.
type consulting struct {
	next  int // of the proxy's agents: which one is asked next at the current event
	total time.Duration
	over  map[*Offload]bool // that have failed
}

// consult asks the agents of a proxy that want to hear of an event; onward means
// that all have been asked.
func (t *txn) consult(p *Proxy, event Event, x *sample.Ctx) step {
	for t.agents.next < len(p.Offloads) {
		off := p.Offloads[t.agents.next]
		t.agents.next++
		if t.question(off, off.Events[event], x) != onward {
			return waits
		}
	}
	t.agents.next = 0
	return onward
}

// question asks one agent; onward means that there is nothing to ask.
func (t *txn) question(off *Offload, messages []*rule.Message, x *sample.Ctx) step {
	if len(messages) == 0 || t.agents.over[off] {
		return onward
	}
	var payload []byte
	for _, m := range messages {
		payload = m.Append(payload, x)
	}
	if len(payload) == 0 {
		return onward
	}
	resume, began := t.pause(), time.Now()
	go func() { // ends with timeout processing
		actions, code := off.Agent.Ask(payload)
		resume(func(x *sample.Ctx) { t.answered(off, actions, code, time.Since(began), x) })
	}()
	return waits
}

// answered does what came of a question.
func (t *txn) answered(off *Offload, actions []spop.Action, code int, took time.Duration, x *sample.Ctx) {
	rule.Obey(x, actions, off.Prefix, off.Proc)
	t.agents.total += took
	for name, n := range map[string]int64{off.ProcessTime: took.Milliseconds(), off.TotalTime: t.agents.total.Milliseconds()} {
		if name != "" {
			x.SetVar("txn."+off.Prefix+"."+name, sample.IntValue(n), 0)
		}
	}
	if code == spop.OK {
		return
	}
	if off.OnError != "" {
		x.SetVar("txn."+off.Prefix+"."+off.OnError, sample.IntValue(int64(code)), 0)
	}
	if !off.Continue {
		if t.agents.over == nil {
			t.agents.over = map[*Offload]bool{}
		}
		t.agents.over[off] = true
	}
}

// offload finds the agent of a proxy that a rule names.
func (p *Proxy) offload(engine string) *Offload {
	for _, off := range p.Offloads {
		if off.Engine == engine {
			return off
		}
	}
	return nil
}

// setAside keeps the head of the request while others have the shard's.
func (t *txn) setAside() {
	w, sh := &t.await, t.s.sh
	w.head = new(http1.Head)
	*w.head, sh.req = sh.req, http1.Head{MaxFields: sh.req.MaxFields}
	w.held = sh.Loop.Buffers.Size()
	sh.eng.hold(w.held)
}
