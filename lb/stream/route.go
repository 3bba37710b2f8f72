package stream

import (
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

func msec(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// context prepares the shard's evaluation context for t.
func (t *txn) context() *sample.Ctx {
	sh := t.s.sh
	x := &sh.ctx
	x.Req, x.Res, x.Rec = nil, nil, &t.rec
	x.Buf, x.Partial, x.HeadPartial = nil, false, false
	x.Body, x.Chunked, x.BodySize = nil, false, -1
	x.Said = t.bodySaid()
	x.Txn, x.Session, x.Now, x.Again = &t.track, t.s.tracks(), sh.stickNow(), t.again
	x.ID = t.s.fe.id()
	x.Room = sh.Loop.Buffers.Size() - settling
	x.Doubt, x.Reply, x.Hints = t.doubt, sample.Reply{}, x.Hints[:0]
	t.s.introduce(x)
	if t.be != nil {
		x.Back = &t.be.side
	}
	if t.s.http {
		x.Req = &sh.req
	}
	return x
}

// route decides who answers: a rule, the statistics page, or a server.
func (t *txn) route() {
	s := t.s
	sh, fe := s.sh, s.fe
	if fe.MonitorURI != "" && string(target(&sh.req, fe.MonitorURI)) == fe.MonitorURI {
		t.unlogged = true
		t.monitor()
		return
	}
	if t.checkPassword() {
		return
	}
	sh.req.DropHops()
	x := t.context()
	t.captureRequest()
	t.proceed(x)
}

// stop is where a request is on its way through the rules.
type stop uint8

const (
	atFrontTCP  stop = iota // agents that want to know before anything else
	atFrontBody             // tcp-request content, option http-buffer-request of the frontend
	atFrontHTTP             // agents
	atFrontRules
	atChoice
	atBackTCP
	atBackBody // option http-buffer-request of the backend
	atBackHTTP
	atBackRules
	atServer
	atHash // the body of a request whose server it may name
)

// proceed takes the request from where it is to a server or another answer, or
// to where it must wait: resumeRules goes on from there.
func (t *txn) proceed(x *sample.Ctx) {
	sh, fe := t.s.sh, t.s.fe
	t.showBody(x)
	switch t.await.at {
	case atFrontTCP:
		if t.consult(&fe.Proxy, OnFrontTCP, x) != onward {
			return
		}
		fallthrough
	case atFrontBody:
		t.await.at = atFrontBody
		if (t.await.rule > 0 || !t.s.looked()) && !t.content(fe.Rules[rule.Content], fe.Inspect, x) {
			return
		}
		t.await.at = atFrontHTTP
		t.countRequest()
		if fe.BufferRequest && t.awaitBody(sample.Await{}) != onward {
			return
		}
		t.showBody(x)
		fallthrough
	case atFrontHTTP:
		if t.consult(&fe.Proxy, OnFrontHTTP, x) != onward {
			return
		}
		t.await.at = atFrontRules
		fallthrough
	case atFrontRules:
		if !t.requestRules(&fe.Proxy, x) {
			return
		}
		if !t.restrict(fe.Restrict) {
			return
		}
		if fe.Page.matches(&sh.req) {
			t.visit(fe.Page, x)
			return
		}
		if !t.redirect(&fe.Proxy, x) {
			return
		}
		if t.hit() {
			t.answerFromCache()
			return
		}
		fallthrough
	case atChoice:
		be := t.chosen(x)
		switch {
		case be == nil:
			t.rec.Term, t.rec.TR = [4]byte{'S', 'C', '-', '-'}, -1 // as HAProxy's, which knows it when the request is on its way
			t.nobody()
			return
		case !be.HTTP: // after an upgrade: a request cannot become a tunnel
			t.rec.Backend, t.unread = be.Proxy.Name, true
			t.abort('I', 'R')
			return
		}
		t.enter(be)
		t.await.at = atServer
		if be.ID != fe.ID {
			t.await.at = atBackTCP
		}
	}
	if t.await.at < atServer && !t.backRules(x) {
		return
	}
	t.toServerOf(x)
}

// backRules goes through the backend's rules; false when the request does not go
// on, or not yet.
func (t *txn) backRules(x *sample.Ctx) (goOn bool) {
	sh, be := t.s.sh, t.be
	if t.await.at == atBackTCP {
		if t.consult(&be.Proxy, OnBackTCP, x) != onward {
			return false
		}
		t.await.at = atBackBody
	}
	if t.await.at == atBackBody {
		if !t.content(be.Rules[rule.Content], be.Inspect, x) {
			return false
		}
		t.await.at = atBackHTTP
		if be.BufferRequest && t.awaitBody(sample.Await{}) != onward {
			return false
		}
		t.showBody(x)
	}
	if t.await.at == atBackHTTP {
		if t.consult(&be.Proxy, OnBackHTTP, x) != onward {
			return false
		}
		t.await.at = atBackRules
	}
	if !t.requestRules(&be.Proxy, x) {
		return false
	}
	if !t.restrict(be.Restrict) {
		return false
	}
	if be.Page.matches(&sh.req) {
		t.visit(be.Page, x)
		return false
	}
	if !t.redirect(&be.Proxy, x) {
		return false
	}
	if t.hit() {
		t.answerFromCache()
		return false
	}
	return true
}

// requestRules runs http-request rules from where they stopped; false when they
// gave an answer or wait.
func (t *txn) requestRules(p *Proxy, x *sample.Ctx) (goOn bool) {
	for {
		v, next := p.Rules[rule.Request].EvalFrom(t.await.rule, x)
		t.await.rule = next
		if len(x.Hints) > 0 && !t.hint(x) {
			return false
		}
		switch v {
		case rule.AwaitBody:
			if t.awaitBody(x.Await) != onward {
				return false
			}
		case rule.AwaitAgent:
			if off := p.offload(x.Await.Engine); off != nil && t.question(off, off.Groups[x.Await.Group], x) != onward {
				return false
			}
		case rule.AwaitAddress:
			if t.resolve(x.Await, x) != onward {
				return false
			}
		case rule.UseCache:
			t.useCache(x.Await.Cache, p)
		default:
			t.await.rule = 0
			return t.obey(v)
		}
		t.showBody(x)
	}
}

// redirect asks the redirect lines; false when one gave the answer.
func (t *txn) redirect(p *Proxy, x *sample.Ctx) (goOn bool) {
	return len(p.Redirects) == 0 || t.obey(p.Redirects.Eval(x))
}

// toServerOf chooses a server of t.be and goes there.
func (t *txn) toServerOf(x *sample.Ctx) {
	be := t.be
	if t.await.at != atHash {
		t.captureCookie()
		t.direct(x)
		if be.Cookie != nil {
			t.readCookie()
		}
		t.stick(x)
		t.await.at = atHash
		if t.srv == nil && be.HashKey != nil && be.HashKey.InBody(x) && t.awaitBody(sample.Await{}) != onward {
			return
		}
		t.showBody(x)
	}
	t.hashKey(x)
	x.UniqueID() // while the request's head is there
	if !t.ask() {
		t.fail('P', 'R', 500)
		return
	}
	t.balance()
}

// monitor answers whoever asks whether we are well.
func (t *txn) monitor() {
	x := t.context()
	for _, fails := range t.s.fe.MonitorFails {
		if fails.Eval(x) {
			t.replyError(503)
			return
		}
	}
	t.intercepted()
	t.reply(200, "", errorHeader, monitorBody)
}

// choose applies use_backend rules, then default_backend.
func (t *txn) choose(x *sample.Ctx) *Backend {
	fe := t.s.fe
	n, ok := fe.choice.First(x)
	if !ok {
		return fe.Default
	}
	sw := &fe.Switches[n]
	if sw.Name == nil {
		return sw.To
	}
	if be := t.named(sw.Name, x); be != nil {
		return be
	}
	return fe.Default // as HAProxy: a name that nobody has ends the rules
}

// named finds the backend whose name a rule has made.
func (t *txn) named(name *logformat.Format, x *sample.Ctx) *Backend {
	sh := t.s.sh
	sh.nameBuf = name.Append(sh.nameBuf[:0], x)
	if be := sh.eng.Names[string(sh.nameBuf)]; be != nil && (be.HTTP || !t.s.fe.HTTP) {
		return be
	}
	return nil
}

// direct asks the rules that choose a server: whether its being down is to be
// overlooked, or persistence is, and then use-server.
func (t *txn) direct(x *sample.Ctx) {
	be := t.be
	for i := range be.Persistence {
		if r := &be.Persistence[i]; r.Cond.Eval(x) {
			t.forced, t.ignored = !r.Ignore, r.Ignore
			break
		}
	}
	for i := range be.ServerRules {
		r := &be.ServerRules[i]
		if r.Cond != nil && !r.Cond.Eval(x) {
			continue
		}
		srv := r.To
		if r.Name != nil {
			sh := t.s.sh
			sh.nameBuf = r.Name.Append(sh.nameBuf[:0], x)
			if srv = be.serverNamed(sh.nameBuf); srv == nil {
				continue
			}
		}
		if t.reachable(srv) {
			t.srv, t.bound = srv, true
			break
		}
	}
}

// serverNamed finds a server by its name.
func (be *Backend) serverNamed(name []byte) *backend.Server {
	for _, s := range be.Servers {
		if s.Name == string(name) {
			return s
		}
	}
	return nil
}

// reachable reports whether a server may be chosen by what binds to it.
func (t *txn) reachable(srv *backend.Server) bool {
	return t.be.Persist || t.forced || srv.Stats().Usable
}

// enter counts t into its backend.
func (t *txn) enter(be *Backend) {
	t.be, t.entered = be, true
	t.rec.Backend = be.Name
	t.s.sh.ctx.Back = &be.side
	be.Enter()
	t.s.sh.Back[be.Index].session(t.s.sh.Loop.Now())
	be.Paces.Sessions.count()
}

// obey carries out what the rules came to; false when they gave an answer.
func (t *txn) obey(v rule.Verdict) (goOn bool) {
	switch v {
	case rule.Continue, rule.Allow:
		return true
	}
	t.s.sh.ctx.UniqueID()
	switch v {
	case rule.Reject:
		t.denied()
		t.countClientError()
		t.keep, t.unread, t.rec.TR = false, true, -1 // as HAProxy's, which has not gone on with it
		t.abort('P', 'R')
		return false
	case rule.Tarpit:
		t.denied()
		t.countClientError()
		t.tarpit()
		t.deniedCookies()
		return false
	case rule.Deny:
		t.denied()
		t.countClientError()
		t.rec.Term = [4]byte{'P', 'R', '-', '-'}
		t.deniedCookies()
	case rule.Service:
		t.serve(t.s.sh.eng.Metrics)
		return false
	case rule.Unauthorized:
		t.countClientError()
		t.intercepted()
		t.rec.Term = [4]byte{'L', 'R', '-', '-'}
	default:
		t.rec.Term = [4]byte{'L', 'R', '-', '-'}
		t.intercepted()
	}
	t.replyRule()
	return false
}
