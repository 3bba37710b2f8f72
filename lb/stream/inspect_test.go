package stream

import (
	"testing"

	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// A session whose rules wait for more bytes moves with those that it has, and the rules of the next process decide on all of them.
func TestHandoverWhileLooking(t *testing.T) {
	server := echoServer(t)
	looks := func(r *rig) {
		r.fe.Inspect = 15_000
		r.fe.Rules[rule.Content] = rules(t, rule.Content, "reject if { req.payload(0,8) -m str rejected }", "accept if { req.payload(0,8) -m found }")
	}
	old, next := newRig(t, false, []string{server}, looks), newRig(t, false, []string{server}, looks)
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
	good, bad, silent, all := connect(t, old.addr), connect(t, old.addr), connect(t, old.addr), connect(t, old.addr)
	good.say("befo")
	bad.say("reje")
	all.say("complete at once")
	all.hear("complete at once")
	wait.Until(t, "all bytes are there", func() bool {
		n := uint64(0)
		for _, sh := range old.Shards {
			n += sh.Read().Front[0].BytesIn
		}
		return n == uint64(len("befo")+len("reje")+len("complete at once"))
	})
	old.Handover(a.carry)
	awaitEmpty(t, old.Engine)
	good.say("re and after")
	good.hear("before and after")
	silent.say("12345678")
	silent.hear("12345678")
	bad.say("cted")
	if n, err := bad.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("rejected: read %d bytes, %v", n, err)
	}
	if n := a.moved(ClientParcel); n != 3 {
		t.Errorf("%d sessions moved while rules looked, want 3", n)
	}
}
