package peers

import (
	"fmt"
	"strconv"
	"time"
)

// Show is `show peers`, in HAProxy's form. Where HAProxy has an address a number
// stands: of the section, the peer and the table. What only HAProxy's inside has
// (task_calls, st1, refcnt) is 0.

// AppendShow appends the sections, or the one of a name; false when there is none.
func (all Set) AppendShow(dst []byte, name string, dict bool) ([]byte, bool) {
	found := name == ""
	for i, s := range all {
		if name == "" || s.Name == name {
			found = true
			dst = s.appendShow(dst, i+1, dict)
		}
	}
	return dst, found
}

// statusWords are HAProxy's for the last answer to a hello.
var statusWords = map[int]string{
	statusNone: "NONE", statusDialling: "CONN", statusAsked: "HSHK", statusOK: "ESTA", statusLater: "RETR",
	statusProtocol: "PROT", statusVersion: "VERS", statusHost: "NAME", statusPeer: "UNKN",
}

// Flags of a section and of a peer.
const (
	flagNoOldOne = 0x1 // the worker before is not asked, or was
	flagLearned  = 0x2 // peers are not asked, or were
	flagAssigned = 0x4 // one of them is being asked

	flagTeaching  = 0x1
	flagTeacher   = 0x100
	flagUnsure    = 0x200
	flagAlive     = 0x20000000
	flagOldFormat = 0x80000000
)

func (s *Section) appendShow(dst []byte, number int, dict bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	flags := flagNoOldOne
	if s.complete {
		flags |= flagLearned
	}
	if s.teacher != nil {
		flags |= flagAssigned
	}
	timeout := "<PAST>"
	if !s.complete {
		timeout = span(time.Until(s.deadline))
	}
	dst = fmt.Appendf(dst, "%#x: [%s] id=%s disabled=0 flags=%#x resync_timeout=%s task_calls=0\n", number, s.begun.Format("02/Jan/2006:15:04:05"), s.Name, flags, timeout)
	for i, p := range s.Peers {
		dst = p.appendShow(dst, s, number<<16|(i+1), dict)
	}
	dst = fmt.Appendf(dst, "  %#x: id=%s(local,inactive) addr=%s last_status=NONE last_hdshk=<NEVER>\n        reconnect=<NEVER> heartbeat=<NEVER> confirm=0 tx_hbt=0 rx_hbt=0 no_hbt=0 new_conn=0 proto_err=0 coll=0\n        flags=0x0\n", number<<16, s.Self, s.Addr)
	return append(dst, '\n')
}

// appendShow appends a peer. Section.mu is held.
func (p *Peer) appendShow(dst []byte, s *Section, number int, dict bool) []byte {
	one, active := p.session, "inactive"
	if one != nil || p.dialling {
		active = "active"
	}
	reconnect, beat := "<PAST>", "<NEVER>"
	if wait := time.Until(p.next); one == nil && wait > 0 {
		reconnect = span(wait)
	}
	if one != nil {
		beat = span(beatEvery)
	}
	greeted := "<NEVER>"
	if !p.greeted.IsZero() {
		greeted = span(time.Since(p.greeted))
	}
	word := statusWords[p.status]
	if word == "" {
		word = strconv.Itoa(p.status)
	}
	dst = fmt.Appendf(dst, "  %#x: id=%s(remote,%s) addr=%s last_status=%s last_hdshk=%s\n", number, p.Name, active, p.Addr, word, greeted)
	dst = fmt.Appendf(dst, "        reconnect=%s heartbeat=%s confirm=0 tx_hbt=%d rx_hbt=%d no_hbt=%d new_conn=%d proto_err=%d coll=%d\n", reconnect, beat, p.beatsSent.Load(), p.beatsGot.Load(), p.silent.Load(), p.conns.Load(), p.refused.Load(), p.crossed.Load())
	dst = fmt.Appendf(dst, "        updates: sent=%d learned=%d resyncs: sent=%d asked=%d\n", p.sent.Load(), p.got.Load(), p.walks.Load(), p.requests.Load())
	if s.adds() {
		dst = fmt.Appendf(dst, "        shares: sent=%d learned=%d state=%s\n", p.sharesSent.Load(), p.sharesGot.Load(), p.shareState())
	}
	var flags uint32
	if s.teacher == p {
		flags |= flagTeacher
	}
	if s.unsure[p] {
		flags |= flagUnsure
	}
	if p.old {
		flags |= flagOldFormat
	}
	if one == nil {
		dst = fmt.Appendf(dst, "        flags=%#x\n        shared tables:\n", flags)
		for _, t := range p.tables {
			dst = t.appendShow(dst, nil, 0)
		}
		return dst
	}
	return one.appendShow(dst, flags|flagAlive, dict)
}

// shareState says whether a peer's shares are added up. Section.mu is held.
func (p *Peer) shareState() string {
	if p.session == nil {
		return "away" // its rates count until they end, its connections for ten seconds
	}
	p.session.mu.Lock()
	defer p.session.mu.Unlock()
	switch {
	case !p.session.shares.adds:
		return "none" // HAProxy, or a table that is none of a cluster there
	case p.session.shares.awaiting:
		return "asked"
	}
	return "added"
}

// appendShow appends a connection.
func (s *session) appendShow(dst []byte, flags uint32, dict bool) []byte {
	last := make([]uint64, len(s.lanes))
	for i, l := range s.lanes {
		last[i] = l.Table.Table.LastUpdate()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.todo.teaching {
		flags |= flagTeaching
	}
	dst = fmt.Appendf(dst, "        flags=%#x appctx:0x0 st0=7 st1=0 task_calls=0 state=EST\n        src=%s addr=%s\n", flags, s.conn.RemoteAddr(), s.conn.LocalAddr())
	for _, l := range []struct {
		name string
		*lane
	}{{"remote_table", s.lane}, {"last_local_table", s.last}} {
		if l.lane != nil {
			dst = fmt.Appendf(dst, "        %s:%#x id=%s local_id=%d remote_id=%d\n", l.name, l.id, l.Name, l.id, l.remote)
		}
	}
	dst = append(dst, "        shared tables:\n"...)
	for i, l := range s.lanes {
		dst = l.appendShow(dst, l, last[i])
	}
	if !dict {
		return append(dst, "        Dictionary cache not dumped (use \"show peers dict\")\n"...)
	}
	s.dict.mu.Lock()
	dst = appendNames(append(dst, "        Dictionary cache:\n        TX:"...), s.dict.names[:])
	s.dict.mu.Unlock()
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	return append(appendNames(append(dst, "\n        RX:"...), s.names.names[:]), '\n')
}

func appendNames(dst []byte, names []string) []byte {
	for i, name := range names {
		if name != "" {
			dst = fmt.Appendf(dst, " %d->%s", i+1, name)
		}
	}
	return dst
}

// appendShow appends a table; l is nil without a connection.
func (t *place) appendShow(dst []byte, l *lane, last uint64) []byte {
	if l == nil {
		last = t.Table.Table.LastUpdate()
		l = &lane{}
	}
	types := uint64(0)
	if l.known {
		types = l.types
	}
	dst = fmt.Appendf(dst, "          %#x local_id=%d remote_id=%d flags=0x0 remote_data=%#x\n", t.id, t.id, l.remote, types)
	dst = fmt.Appendf(dst, "              last_acked=%d last_pushed=%d last_get=%d teaching_origin=0 update=%d\n", l.gotAcked, uint32(l.pushed), l.got, uint32(t.acked.Load()))
	return fmt.Appendf(dst, "              table:%#x id=%s update=%d localupdate=%d commitupdate=%d refcnt=0\n", t.id, t.Table.Table.Name, uint32(last), uint32(last), uint32(t.acked.Load()))
}

// span is a time as HAProxy shows it.
func span(d time.Duration) string {
	switch s := max(int(d/time.Second), 0); {
	case s < 60:
		return strconv.Itoa(s) + "s"
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%dm", s/3600, s%3600/60)
	default:
		return fmt.Sprintf("%dd%dh", s/86400, s%86400/3600)
	}
}
