package route

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/ledger"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/write"
)

// TestBeatsAreTakenAndLinesCounted: a beat goes to no output, and is compared with the lines of its process alone.
func TestBeatsAreTakenAndLinesCounted(t *testing.T) {
	w, err := rotate.Open(filepath.Join(t.TempDir(), "a.log"), rotate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := write.New("a", w, 1<<20, nil)
	book, err := ledger.Open("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := ParseSelector("*.*")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile([]Rule{{Select: all, Output: out}}, Settings{Host: "here", Ledger: book})
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[Table]
	current.Store(table)
	counts := Counts{Input: "udp://:514"}
	s := NewStage(&current, &counts)
	now := time.Now()
	here := &receive.Sender{Local: true}
	say := func(text string) { s.Message(here, []byte(text), len(text)) }
	beat := func(pid int, sent uint64) {
		say(string(message.AppendBeat(nil, now, pid, message.Beat{Instance: uint64(pid), Generation: 1, Sent: sent})))
	}
	s.Begin(now)
	say("<134>Nov 21 03:04:05 haproxy[41]: before the first beat")
	beat(41, 1)
	for i := range 10 {
		say(fmt.Sprintf("<134>Nov 21 03:04:05 haproxy[41]: line %d", i))
		say(fmt.Sprintf("<134>Nov 21 03:04:05 sshd[42]: line %d", i))
	}
	s.End()
	s.Begin(now)
	say("<134>Nov 21 03:04:05 haproxy[41]: one more")
	beat(41, 14) // of which two did not come
	s.End()
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _ := book.Entries()
	if len(entries) != 1 || entries[0].Sent != 13 || entries[0].Received != 11 || entries[0].Missing != 2 || entries[0].PID != "41" {
		t.Errorf("the ledger is %+v", entries)
	}
	if n, beats, received := out.Counts().Written, counts.Beats.Load(), counts.Received.Load(); n != 22 || beats != 2 || received != 24 {
		t.Errorf("%d lines written, %d beats of %d messages", n, beats, received)
	}
}
