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
	// nobody can know whether it has left: it may have another line, with XL. A tunnel that was just being taken over may have none, and so may what was in
	// flight if the next worker, which writes these lines, is killed as well. A worker that was just leaving finishes what it has: a connection that was made
	// before another one served may end after an answer that says so, and what its client had sent ahead is not read.
	breaks bool
	// lines: the lines of requests that ended in the second before may be missing: those syslogd had read and not written.
	lines bool
	// waits: lines wait, in memory for a full disk or in the socket for a frozen syslogd, which reads many at once when it goes on. They are lost if
	// syslogd is killed before it has written them.
	waits bool
	// late: a worker that is stopped writes the lines of requests that it had answered when it goes on, two seconds later.
	late bool
	// lasts: the next master has another worker take over when the deed has ended. What is changed at run time meanwhile reaches that one a moment later.
	lasts bool
	// server: requests whose line names the server may have failed on it, with 502, 503 or 504 and a state that begins with S or P.
	server bool
	// dies: what the server had answered may not have arrived, whatever its book says: the request may be tried again.
	dies bool
	// scarce: requests that needed a descriptor which could not be had may be refused with 503 by lb itself, each with its line. A connection that the next
	// worker has no descriptor for ends after its answer; what its client had sent ahead is not read. A worker that has no descriptor to meet the next one
	// with cannot tell it what it has counted, nor what was changed at run time.
	scarce bool
	// commands: what these hands do meanwhile may fail.
	commands []hand
	// resends: lines may come to the sink more than once.
	resends bool
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

	replaces bool // it puts one worker in the place of another
}

// faults is filled by init, because deeds look plans up. It is never written to afterwards.
var faults []*fault

func init() {
	faults = []*fault{
		// What an operator does on purpose costs nothing at all.
		{"reload", operator, 12, permits{}, (*doer).reload, true},
		{"bad-reload", operator, 3, permits{}, (*doer).badReload, false},
		{"restart", operator, 2, permits{lasts: true}, (*doer).restart, true},

		{"canary", operator, 2, permits{}, (*doer).canary, true},
		{"upgrade", operator, 1, permits{}, (*doer).upgrade, true},
		{"certificate", operator, 2, permits{}, (*doer).certificate, true},
		{"weight", operator, 2, permits{}, (*doer).weigh, false},
		{"map", operator, 2, permits{}, (*doer).changeMap, true},
		{"list", operator, 2, permits{}, (*doer).changeList, true},
		{"name", operator, 2, permits{}, (*doer).rename, false},
		{"disable", operator, 2, permits{}, (*doer).disable, false},

		// What accident takes is bounded.
		{"kill-worker", fate, 2, permits{breaks: true, counters: true, commands: []hand{operator}}, (*doer).killWorker, false},
		{"kill-master", fate, 2, permits{lasts: true, commands: []hand{operator, fate}}, (*doer).killMaster, true},
		{"kill-syslogd", fate, 2, permits{lines: true, resends: true, commands: []hand{archive}}, (*doer).killSyslogd, false},

		{"freeze-worker", fate, 1, permits{late: true}, (*doer).freezeWorker, false},
		{"freeze-master", fate, 1, permits{}, (*doer).freezeMaster, false},
		{"freeze-syslogd", fate, 1, permits{waits: true}, (*doer).freezeSyslogd, false},

		{"few-descriptors", fate, 1, permits{scarce: true, counters: true, commands: []hand{operator}}, (*doer).starveWorker, false},
		{"little-memory", fate, 1, permits{breaks: true, counters: true, commands: []hand{operator}}, (*doer).starveMemory, false},

		// A server's trouble is its own.
		{"server-dies", outside, 2, permits{server: true, dies: true}, (*doer).dieServer, false},
		{"server-garbage", outside, 2, permits{server: true}, (*doer).garbage, false},
		{"server-cuts", outside, 2, permits{server: true}, (*doer).cutOff, false},
		{"server-unasked", outside, 2, permits{}, (*doer).unasked, false},
		{"server-slow", outside, 2, permits{}, (*doer).slow, false},

		{"rotate", archive, 4, permits{}, (*doer).rotate, false},
		{"logrotate", archive, 2, permits{}, (*doer).logrotate, false},
		{"receiver-fails", archive, 2, permits{resends: true}, (*doer).failReceiver, false},
		{"rotate-by-three", archive, 1, permits{}, (*doer).rotateByThree, false},
		{"log-few-descriptors", archive, 1, permits{}, (*doer).starveSyslogd, false},
		{"sighup", archive, 1, permits{}, (*doer).hangup, false},
		{"power-cut", archive, 2, permits{}, (*doer).powerCut, false},
		{"disk-full", archive, 2, permits{waits: true}, (*doer).fillDisk, false},
	}
}
