package worker

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/stick"
)

// TestTablesAreToldAfterTrouble: what a table has told and the worker could not
// send, for want of a descriptor, is sent when there is room again.
func TestTablesAreToldAfterTrouble(t *testing.T) {
	text := strings.Replace(configFor(freeAddr(t), "127.0.0.1:1", ""), "backend be\n", "backend be\n    stick-table type string len 8 size 100 store gpc0\n", 1)
	first := begin(t, text, nil)
	second := begin(t, text, first)
	count := func(want uint64) {
		t.Helper()
		if n, _ := first.tables[0].CountKey([]byte("key"), stick.GPC0, stick.GPC0Rate, 1, stick.Now()); n != want {
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
	_, err := first.tellTables(first.next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Fatal("there was room: nothing was tested")
	}
	count(2)
	if told, err := first.tellTables(first.next); err != nil || told == 0 {
		t.Fatalf("%d bytes were told: %v", told, err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		n, _ := second.tables[0].GetKey([]byte("key"), stick.GPC0, stick.Now())
		if n == 2 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the next worker knows of %d", n)
		}
	}
}
