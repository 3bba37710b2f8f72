package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// Stick tables in the data path. What a session tracks is released when it
// closes, what an exchange tracks when it is freed; of both, an exchange's
// entry takes the place of the session's with the same number.
//
//	accepted             tcp-request connection   session.permit
//	handshake done       tcp-request session      session.opened, which counts the session
//	request head read    tcp-request content      txn.route; the request is counted
//	                     http-request
//	server wanted        stick on, match          txn.stick
//	response head read   stick store-...          txn.stuck; its status is counted
//	                     http-response
//	server's bytes       tcp-response content     txn.lookAtAnswer, in mode tcp
//	                     stick store-...          txn.stuck
//	end                  bytes are counted        txn.countBytes

// stickNow is this turn's time on the clock of stick tables.
func (sh *Shard) stickNow() int64 { return sh.Loop.Now() + sh.Loop.Skipped() + sh.stickBase }

// aboutSession prepares the context for a rule or a line about s alone.
func (sh *Shard) aboutSession(s *session, r *sample.Record) *sample.Ctx {
	x := &sh.ctx
	x.Req, x.Res, x.Rec, x.ID = nil, nil, r, nil
	x.Buf, x.Partial, x.HeadPartial = nil, false, false
	x.Txn, x.Session, x.Now, x.Again = nil, s.tracks(), sh.stickNow(), false
	s.introduce(x)
	return x
}

// introduce gives a context what is true of all of a session.
func (s *session) introduce(x *sample.Ctx) {
	x.Front, x.Back, x.Listener, x.Client = &s.fe.side, &s.fe.side, &s.ln.facts, s
	x.SessVars, x.Proc = s.variables(), s.sh.eng.Vars
}

// permit asks the tcp-request connection rules; false when they closed the
// connection.
func (s *session) permit() bool {
	return len(s.fe.Rules[rule.Connection]) == 0 || s.obeyTCP(s.fe.Rules[rule.Connection], &s.sh.Front[s.fe.Index].DeniedConn)
}

// opened asks the tcp-request session rules and counts the session; false when
// they closed it.
func (s *session) opened() bool {
	if len(s.fe.Rules[rule.Session]) > 0 && !s.obeyTCP(s.fe.Rules[rule.Session], &s.sh.Front[s.fe.Index].DeniedSess) {
		return false
	}
	s.sh.Front[s.fe.Index].SessTotal++
	if s.track.Any() {
		for _, r := range s.track {
			r.Count(stick.SessCnt, stick.SessRate, 1, s.sh.stickNow())
		}
	}
	return true
}

// obeyTCP asks rules about a connection; denied is where it is counted if they reject it. Silent drops are counted as requests.
func (s *session) obeyTCP(rules rule.Rules, denied *uint64) (goOn bool) {
	sh := s.sh
	r := &sh.sessRec
	*r = sample.Record{Pid: sh.eng.Pid, Hostname: sh.eng.Hostname}
	r.Client, r.Accept, r.Frontend, r.TLS = s.peer, s.accepted, s.fe.Name, s.ln.TLS != nil
	r.FrontAddr, r.Proxied = s.frontAddr(), s.announced()
	s.describeTLS(r)
	v := rules.Eval(sh.aboutSession(s, r))
	s.peer = r.Client // set-src
	if r.Expect != sample.NoPreface {
		s.expect = r.Expect
	}
	if r.FrontAddr.IsValid() {
		s.local = localAddr{addr: r.FrontAddr, known: true}
	}
	switch v {
	case rule.Deny:
		*denied++
	case rule.Reject:
		s.sh.Front[s.fe.Index].DeniedReq++
	default:
		return true
	}
	s.close()
	return false
}

// content asks tcp-request content rules about a request; false when they ended
// the exchange, or wait for an address, which needs a tcp-request inspect-delay.
func (t *txn) content(rules rule.Rules, inspect int64, x *sample.Ctx) (goOn bool) {
	for {
		v, next := rules.EvalFrom(t.await.rule, x)
		t.await.rule = next
		if v == rule.AwaitAddress && inspect > 0 && t.resolve(x.Await, x) != onward {
			return false
		}
		switch v {
		case rule.AwaitAddress:
		case rule.Deny:
			t.denyContent()
			return false
		default:
			t.await.rule = 0
			return true
		}
	}
}

// denyContent ends an exchange that tcp-request content rules reject.
func (t *txn) denyContent() {
	t.denied()
	t.keep, t.unread, t.rec.TR = false, true, -1
	t.abort('P', 'R')
}

// tracked is the entry of a number, the exchange's or the session's.
func (t *txn) tracked(slot int) stick.Ref {
	if r := t.track[slot]; r.Valid() {
		return r
	}
	return t.s.tracks()[slot]
}

// count counts one event in all that is tracked.
func (t *txn) count(cnt, rate stick.Data, n uint64) {
	if !t.track.Any() && !t.s.tracks().Any() {
		return
	}
	now := t.s.sh.stickNow()
	for i := range t.track {
		t.tracked(i).Count(cnt, rate, n, now)
	}
}

func (t *txn) countRequest() {
	if !t.again {
		t.count(stick.HTTPReqCnt, stick.HTTPReqRate, 1)
	}
}

// countBadRequest counts a request that could not be read.
func (t *txn) countBadRequest() {
	t.countRequest()
	t.countClientError()
}

func (t *txn) countClientError() { t.count(stick.HTTPErrCnt, stick.HTTPErrRate, 1) }
func (t *txn) countServerError() { t.count(stick.HTTPFailCnt, stick.HTTPFailRate, 1) }

// countAnswer counts a server's answer that was an error.
func (t *txn) countAnswer(status int) {
	if status < 400 || !t.track.Any() && !t.s.tracks().Any() {
		return
	}
	now := t.s.sh.stickNow()
	for i := range t.track {
		rule.CountStatus(t.tracked(i), status, now)
	}
}

func (t *txn) countBytes() {
	t.count(stick.BytesInCnt, stick.BytesInRate, t.rec.Received)
	t.count(stick.BytesOutCnt, stick.BytesOutRate, t.rec.Sent)
}

// suspend keeps what an exchange tracks for the time when its request is read
// again, here or in another process: it was counted, and is not again.
func (t *txn) suspend() {
	if t.track.Any() {
		kept := t.track
		t.s.suspended, t.track = &kept, sample.Tracks{}
	}
}

// resume gives the exchange of such a request what was tracked for it.
func (t *txn) resume() {
	t.again = t.s.waiting > 0
	if kept := t.s.suspended; kept != nil {
		t.track, t.s.suspended = *kept, nil
	}
}

// stuckKeys are what an exchange stores its server under once it has one.
// Their memory is kept for the next exchange.
type stuckKeys struct {
	list []stuckKey
	keys []byte
}

type stuckKey struct {
	table    *stick.Table
	from, to int
}

func (k *stuckKeys) reset() { k.list, k.keys = k.list[:0], k.keys[:0] }

// add keeps a key; of a table the first one counts among those from number
// first on: the request's, or the response's.
func (k *stuckKeys) add(first int, t *stick.Table, key []byte) {
	for i := first; i < len(k.list); i++ {
		if k.list[i].table == t {
			return
		}
	}
	from := len(k.keys)
	k.keys = append(k.keys, key...)
	k.list = append(k.list, stuckKey{t, from, len(k.keys)})
}

// stick binds the exchange to the server that one of its keys has, unless its
// cookie has done so, and notes where the server it gets is to be kept.
func (t *txn) stick(x *sample.Ctx) {
	for _, r := range t.be.Sticks {
		if r.Response {
			continue
		}
		table, key := r.Key(x)
		if table == nil {
			continue
		}
		if r.Match && !t.bound {
			if name, id, found := table.Server(key, x.Now); found {
				if srv := t.be.known(table.ByAddr, name, id); srv != nil && t.reachable(srv) {
					t.srv, t.bound = srv, true
				}
			}
		}
		if r.Store {
			t.stuckTo.add(0, table, key)
		}
	}
}

// known finds a server by its name or its address, or without one by its number.
func (be *Backend) known(byAddr bool, name string, id int) *backend.Server {
	for _, s := range be.Servers {
		if name == "" && s.ID == id || name != "" && (byAddr && s.Where() == name || !byAddr && s.Name == name) {
			return s
		}
	}
	return nil
}

// stuck keeps the server that the exchange got, also under keys of the response:
// of its head in sh.res, or in mode tcp of the bytes that are there.
func (t *txn) stuck() {
	if len(t.be.Sticks) == 0 || t.srv == nil || t.be.NonStick[t.srv] {
		return
	}
	sh := t.s.sh
	x := t.context()
	if t.s.http {
		x.Req, x.Res = nil, &sh.res
	} else {
		x.Buf = t.heard()
	}
	asked := len(t.stuckTo.list)
	for _, r := range t.be.Sticks {
		if !r.Response {
			continue
		}
		if table, key := r.Key(x); table != nil {
			t.stuckTo.add(asked, table, key)
		}
	}
	now := sh.stickNow()
	for _, k := range t.stuckTo.list {
		name := t.srv.Name
		if k.table.ByAddr {
			name = t.srv.Where()
		}
		k.table.Stick(t.stuckTo.keys[k.from:k.to], name, t.srv.ID, now)
	}
	t.stuckTo.reset()
}

// Tracked is an entry that a connection is counted in, on its way to another
// process.
type Tracked struct {
	Slot  int        `json:"slot"`
	Table string     `json:"table"`
	Type  stick.Type `json:"type"`
	Len   int        `json:"len"`
	Key   []byte     `json:"key"`
}

// pack tells what is tracked.
func pack(tracks *sample.Tracks) []Tracked {
	if tracks == nil || !tracks.Any() {
		return nil
	}
	var list []Tracked
	for i, r := range tracks {
		if r.Valid() {
			t := r.Table()
			list = append(list, Tracked{i, t.Name, t.Type, t.Len, r.AppendKey(nil)})
		}
	}
	return list
}

// packedSize is about what they take when they are encoded, in bytes.
func packedSize(list []Tracked) (n int) {
	for _, t := range list {
		n += 80 + len(t.Table) + len(t.Key)*4/3
	}
	return n
}

// Tracked reports whether the connection is counted in a stick table.
func (p *Parcel) Tracked() bool {
	return len(p.Tracks) > 0 || len(p.Suspended) > 0 || p.Tunnel != nil && len(p.Tunnel.Tracks) > 0
}

// adoptTracks takes up what another process tracked for a connection.
func (sh *Shard) adoptTracks(tracks *sample.Tracks, list []Tracked) {
	for _, a := range list {
		t := sh.eng.Tables[a.Table]
		if t == nil || a.Slot < 0 || a.Slot >= len(tracks) || tracks[a.Slot].Valid() {
			continue
		}
		tracks[a.Slot] = t.Adopt(a.Type, a.Len, a.Key, sh.stickNow())
	}
}
