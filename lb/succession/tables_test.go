package succession

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/stick"
)

// TestTablesAreToldAfterTrouble: what a table has told and the worker could not
// send, for want of a descriptor, is sent when there is room again.
func TestTablesAreToldAfterTrouble(t *testing.T) {
	table := func() *stick.Table {
		s := stick.Spec{Name: "be", Type: stick.String, Len: 8, Size: 100}
		s.Stores[stick.GPC0] = true
		return stick.New(s)
	}
	mine, theirs := table(), table()
	first, second := begin(t, mine), begin(t, theirs)
	ours, link := pair(t)
	first.Successor(ours)
	if err := second.Inherit(Ask(link, "")); err != nil {
		t.Fatal(err)
	}
	second.Follow(link)
	count := func(want uint64) {
		t.Helper()
		if n, _ := mine.CountKey([]byte("key"), stick.GPC0, stick.GPC0Rate, 1, stick.Now()); n != want {
			t.Fatalf("%d are counted, want %d", n, want)
		}
	}
	count(1)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := first.sendTables(first.next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Fatal("there was room: nothing was tested")
	}
	count(2)
	if sent, err := first.sendTables(first.next); err != nil || sent == 0 {
		t.Fatalf("%d bytes were sent: %v", sent, err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		n, _ := theirs.GetKey([]byte("key"), stick.GPC0, stick.Now())
		if n == 2 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the next worker knows of %d", n)
		}
	}
}
