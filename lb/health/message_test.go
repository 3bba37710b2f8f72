package health

import (
	"testing"
	"time"
)

// The lines are those a running HAProxy 2.6 wrote.
func TestMessages(t *testing.T) {
	is := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	s1, s2 := Who{Backend: "be", Server: "s1"}, Who{Backend: "be", Server: "s2", Backup: true}
	refused := &Report{Status: L4CON, Info: "Connection refused", Rise: 2, Fall: 3}
	passed := &Report{Up: true, Passed: true, Status: L7OK, Code: 200, Duration: time.Millisecond, Health: 4, Rise: 2, Fall: 3}
	rising := *passed
	rising.Up, rising.Health = false, 1
	wrong := &Report{Status: L7STS, Code: 503, Info: "Service Unavailable", Rise: 2, Fall: 3}
	slow := &Report{Status: L7TOUT, Duration: 857 * time.Millisecond, Rise: 2, Fall: 3}

	is(AppendCheck(nil, s1, refused), `Health check for server be/s1 failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 0/2 DOWN.`)
	is(AppendCheck(nil, s2, refused), `Health check for backup server be/s2 failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 0/2 DOWN.`)
	is(AppendCheck(nil, s1, &rising), `Health check for server be/s1 succeeded, reason: Layer7 check passed, code: 200, check duration: 1ms, status: 1/2 DOWN.`)
	is(AppendCheck(nil, s1, passed), `Health check for server be/s1 succeeded, reason: Layer7 check passed, code: 200, check duration: 1ms, status: 3/3 UP.`)
	is(AppendCheck(nil, s1, wrong), `Health check for server be/s1 failed, reason: Layer7 wrong status, code: 503, info: "Service Unavailable", check duration: 0ms, status: 0/2 DOWN.`)
	is(AppendCheck(nil, s1, slow), `Health check for server be/s1 failed, reason: Layer7 timeout, check duration: 857ms, status: 0/2 DOWN.`)

	unweighted := *passed
	unweighted.Unweighted = true
	is(AppendCheck(nil, s1, &unweighted), `Health check for server be/s1 succeeded, reason: Layer7 check passed, code: 200, check duration: 1ms, status: 3/3 DRAIN.`)
	odd := &Report{Status: L7STS, Code: 500, Info: "a<b>\"c\xe9\r\nd", Rise: 2, Fall: 3}
	is(AppendCheck(nil, s1, odd), `Health check for server be/s1 failed, reason: Layer7 wrong status, code: 500, info: "a<3C>b<3E><22>c<E9><0D><0A>d", check duration: 0ms, status: 0/2 DOWN.`)

	left := Around{Active: 1, Backup: 1}
	is(AppendChange(nil, s1, false, nil, left), `Server be/s1 is DOWN. 1 active and 1 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	is(AppendChange(nil, s1, false, refused, left), `Server be/s1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 1 active and 1 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	is(AppendChange(nil, s2, false, nil, Around{Active: 1}), `Backup Server be/s2 is DOWN. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	is(AppendChange(nil, s1, true, nil, Around{Active: 2}), `Server be/s1 is UP. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`)

	is(AppendEvent(nil, s1, IntoMaint, Around{Active: 1, Sessions: 3, Requeued: 2, Queued: 1}), `Server be/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. 3 sessions active, 2 requeued, 1 remaining in queue.`)
	is(AppendEvent(nil, s1, OutOfMaint, Around{}), `Server be/s1 is UP/READY (leaving forced maintenance).`)
	is(AppendEvent(nil, s1, IntoDrain, Around{Active: 1}), `Server be/s1 enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`)
	is(AppendEvent(nil, s1, OutOfDrain, Around{}), `Server be/s1 is UP (leaving forced drain).`)
	is(AppendEvent(nil, s1, SetUp, Around{Active: 2}), `Server be/s1 is UP, changed from CLI. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`)
	is(AppendEvent(nil, s1, SetStopping, Around{Active: 1}), `Server be/s1 is stopping, changed from CLI. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`)
	is(AppendEvent(nil, s1, SetDown, Around{Active: 1}), `Server be/s1 is DOWN, changed from CLI. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	via := Who{Backend: "be", Server: "s3", Via: "be/s1", Name: "s3.test"}
	is(AppendEvent(nil, via, IntoMaint, Around{}), `Server be/s3 is going DOWN for maintenance via be/s1. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	is(AppendEvent(nil, via, DownIntoMaint, Around{}), `Server be/s3 was DOWN and now enters maintenance via be/s1.`)
	is(AppendEvent(nil, s1, OutOfMaint, Around{Down: true, Drain: true}), `Server be/s1 is DOWN/DRAIN (leaving forced maintenance).`)
	is(AppendEvent(nil, via, OutOfOtherMaint, Around{}), `Server be/s3 is UP/READY (leaving maintenance).`)
	is(AppendEvent(nil, via, Resolved, Around{}), `Server be/s3 ('s3.test') is UP/READY (resolves again).`)
	is(AppendEvent(nil, via, OwnMaintEnds, Around{}), `Server be/s3 is leaving forced maintenance but remains in maintenance via be/s1.`)
	is(AppendEvent(nil, s1, OwnMaintGoesOn, Around{}), `Server be/s1 remains in forced maintenance.`)
	is(AppendEvent(nil, s1, IntoDrain, Around{Down: true}), `Server be/s1 enters drain state. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
	is(AppendEvent(nil, s1, OutOfDrain, Around{Down: true}), `Server be/s1 is DOWN (leaving forced drain).`)
	is(AppendEvent(nil, via, OwnDrainEnds, Around{}), `Server be/s3 is leaving forced drain but remains in drain mode via be/s1.`)
	is(AppendEvent(nil, s1, OwnDrainGoesOn, Around{}), `Server be/s1 remains in forced drain mode.`)
	is(AppendNoServer(nil, "backend", "be"), `backend be has no server available!`)
}

// option log-health-checks reports the first check and of what is new, not of
// every check.
func TestLogged(t *testing.T) {
	up := Report{Up: true, Passed: true, Status: L7OK, Health: 4}
	falling := Report{Up: true, Status: L7STS, Health: 3}
	first := up
	first.First = true
	for _, c := range []struct {
		before *Report
		now    Report
		want   bool
	}{
		{nil, first, true},
		{&up, up, false},
		{&up, falling, true},
		{&Report{Status: L4CON}, Report{Status: L4CON}, false},
		{&Report{Status: L4CON}, Report{Status: L4TOUT}, true},
	} {
		if got := c.now.Logged(c.before); got != c.want {
			t.Errorf("%+v after %+v: %v", c.now, c.before, got)
		}
	}
}

// Numbers and names are HAProxy's: scripts compare them.
func TestStatuses(t *testing.T) {
	for s, want := range map[Status]string{
		Unknown: "UNK 0", INI: "INI 0", SocketError: "SOCKERR 2", L4OK: "L4OK 3", L4TOUT: "L4TOUT 2", L4CON: "L4CON 2",
		L6OK: "L6OK 3", L6TOUT: "L6TOUT 2", L6RSP: "L6RSP 2", L7TOUT: "L7TOUT 2", L7RSP: "L7RSP 2", L7OK: "L7OK 3", L7OKC: "L7OKC 4", L7STS: "L7STS 2",
	} {
		if got := s.String() + " " + string(rune('0'+s.Result())); got != want {
			t.Errorf("status %d is %s, want %s", s, got, want)
		}
		if s != Unknown && s.Describe() == "Unknown" {
			t.Errorf("status %v has no description", s)
		}
		if s.HasCode() != (s == L7OK || s == L7OKC || s == L7STS) {
			t.Errorf("HasCode of %v", s)
		}
	}
}
