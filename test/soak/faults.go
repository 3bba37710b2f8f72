package main

import "time"

// hand is who does a deed. The deeds of one hand come one after the other; those of different hands come as they will.
type hand int

const (
	operator hand = iota // who changes and reloads
	fate                 // who kills processes
	archive              // who rotates logs, and what happens to disks
	outside              // what servers do
)

// hands has how long each pauses between two deeds, on average.
var hands = [...]struct {
	name  string
	pause time.Duration
}{
	operator: {"operator", 600 * time.Millisecond},
	fate:     {"fate", 5 * time.Second},
	archive:  {"archive", 1500 * time.Millisecond},
	outside:  {"outside", 2500 * time.Millisecond},
}

// permits is what a deed may cost. What is not set, it may not.
type permits struct {
	// breaks: the client connections that were open may be reset or end early. A request that was on one has its line: of the killed worker's flights
	// with the state X, or what a worker had written by then. It may lack the line only if no server has seen it. Of a request whose line was just leaving
	// nobody can know whether it has left: it may have another line, with XL.
	breaks bool
	// lines: the lines of requests that ended in the second before may be missing: those syslogd had read and not written.
	lines bool
	// waits: lines wait, in memory for a full disk or in the socket for a frozen syslogd, which reads many at once when it goes on. They are lost if
	// syslogd is killed before it has written them.
	waits bool
	// server: requests whose line names the server may have failed on it, with 502, 503 or 504 and a state that begins with S or P.
	server bool
	// commands: what these hands do meanwhile may fail.
	commands []hand
	// counters: the counters of show stat may be short.
	counters bool
}

// fault is one kind of deed. faults is the table of what each may cost.
type fault struct {
	name    string
	hand    hand
	weight  int
	permits permits
	do      func(h *doer, arg uint32) error
}

// faults is filled by init, because deeds look plans up. It is never written to afterwards.
var faults []*fault

func init() {
	faults = []*fault{
		// What an operator does on purpose costs nothing at all.
		{"reload", operator, 12, permits{}, (*doer).reload},
		{"bad-reload", operator, 3, permits{}, (*doer).badReload},
		{"restart", operator, 2, permits{}, (*doer).restart},

		{"canary", operator, 2, permits{}, (*doer).canary},
		{"upgrade", operator, 1, permits{}, (*doer).upgrade},
		{"certificate", operator, 2, permits{}, (*doer).certificate},
		{"weight", operator, 2, permits{}, (*doer).weigh},
		{"disable", operator, 2, permits{}, (*doer).disable},

		// What accident takes is bounded.
		{"kill-worker", fate, 2, permits{breaks: true, counters: true, commands: []hand{operator}}, (*doer).killWorker},
		{"kill-master", fate, 2, permits{commands: []hand{operator, fate}}, (*doer).killMaster},
		{"kill-syslogd", fate, 2, permits{lines: true, commands: []hand{archive}}, (*doer).killSyslogd},

		{"freeze-worker", fate, 1, permits{}, (*doer).freezeWorker},
		{"freeze-master", fate, 1, permits{}, (*doer).freezeMaster},
		{"freeze-syslogd", fate, 1, permits{waits: true}, (*doer).freezeSyslogd},

		// A server's trouble is its own.
		{"server-dies", outside, 2, permits{server: true}, (*doer).dieServer},
		{"server-garbage", outside, 2, permits{server: true}, (*doer).garbage},
		{"server-cuts", outside, 2, permits{server: true}, (*doer).cutOff},
		{"server-unasked", outside, 2, permits{}, (*doer).unasked},
		{"server-slow", outside, 2, permits{}, (*doer).slow},

		{"rotate", archive, 4, permits{}, (*doer).rotate},
		{"logrotate", archive, 2, permits{}, (*doer).logrotate},
		{"sighup", archive, 1, permits{}, (*doer).hangup},
		{"power-cut", archive, 2, permits{}, (*doer).powerCut},
		{"disk-full", archive, 2, permits{waits: true}, (*doer).fillDisk},
	}
}
