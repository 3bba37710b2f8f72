package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/port"
)

func order(t *testing.T, l *List) string {
	t.Helper()
	all, err := l.Order(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range all {
		names = append(names, fmt.Sprintf("%d %s %s", o.Rank, o.Address, o.Name))
	}
	return strings.Join(names, ", ")
}

func TestOneThatFailedComesLast(t *testing.T) {
	l := &List{Entries: []Entry{{Address: "a:1"}, {Address: "b:1"}, {Address: "[::1]:1"}}}
	const all = "0 a:1 a, 1 b:1 b, 2 [::1]:1 ::1"
	if got := order(t, l); got != all {
		t.Error(got)
	}
	a := Target{"a:1", "a", 0}
	l.Failed(a)
	if got := order(t, l); got != "1 b:1 b, 2 [::1]:1 ::1, 0 a:1 a" {
		t.Error(got)
	}
	l.Works(a)
	if got := order(t, l); got != all {
		t.Error(got)
	}
	l.Retry = time.Nanosecond
	l.Failed(a)
	if got := order(t, l); got != all {
		t.Errorf("after its time: %s", got)
	}
}

func TestServices(t *testing.T) {
	records := []*net.SRV{{Target: "x.example.org.", Port: 6514, Priority: 1}, {Target: "y.example.org.", Port: 6514, Priority: 1}, {Target: "z.example.org.", Port: 1, Priority: 9}}
	var failure error
	l := &List{
		Entries: []Entry{{"_syslog._tcp.example.org", true}, {"last:514", false}},
		Retry:   time.Nanosecond,
		LookupSRV: func(_ context.Context, name string) ([]*net.SRV, error) {
			if name != "_syslog._tcp.example.org" {
				t.Errorf("asked for %s", name)
			}
			return append([]*net.SRV(nil), records...), failure
		},
	}
	const all = "0 x.example.org:6514 example.org, 0 y.example.org:6514 example.org, 1 z.example.org:1 example.org, 2 last:514 last"
	if got := order(t, l); got != all {
		t.Error(got)
	}
	records, failure = nil, errors.New("no answer")
	if got := order(t, l); got != all {
		t.Errorf("without an answer: %s", got)
	}
	records, failure = []*net.SRV{{Target: "."}}, nil
	l.answers = nil
	found, err := l.Order(t.Context())
	if len(found) != 1 || err == nil || !strings.Contains(err.Error(), "_syslog._tcp.example.org: it has no targets") {
		t.Errorf("%v, %v", found, err)
	}
	l.Entries = l.Entries[:1]
	if found, err := l.Order(t.Context()); len(found) > 0 || err == nil {
		t.Errorf("%v, %v", found, err)
	}
	if l.Single() || !(&List{Entries: []Entry{{"a:1", false}}}).Single() {
		t.Error("Single")
	}
}

func TestJoinedErrorsAreOneLine(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	if err := Join(nil, one, nil); err != one {
		t.Error(err)
	}
	if err := Join(one, nil, two); err.Error() != "one; two" || !errors.Is(err, two) {
		t.Error(err)
	}
	if err := Join(nil, nil); err != nil {
		t.Error(err)
	}
}

// TestWatch is told when a better target can be reached, and when the current one is none any more.
func TestWatch(t *testing.T) {
	address := port.Reserve(t)
	l := &List{Entries: []Entry{{Address: address}, {Address: "127.0.0.1:1"}}, Retry: time.Millisecond}
	first, second := Target{address, "127.0.0.1", 0}, Target{"127.0.0.1:1", "127.0.0.1", 1}
	l.Failed(first)
	if l.better(t.Context(), second) || l.better(t.Context(), first) {
		t.Error("nobody listens there")
	}
	up, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	<-l.Watch(t.Context(), second)
	if all, err := l.Order(t.Context()); err != nil || all[0] != first {
		t.Error(all, err)
	}
	<-l.Watch(t.Context(), Target{"127.0.0.1:2", "", 0})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := l.Watch(ctx, first)
	select {
	case <-never:
		t.Error("there is no better one than the first")
	default:
	}
}
