// Package syslog sends log lines from an event loop without ever making it
// wait.
//
//  1. Sender.Log puts header and message after one another in each target's
//     batch: no system call, no allocation.
//  2. Sender.Flush, at the end of the loop's turn, hands every batch to the
//     kernel with one sendmmsg.
//  3. What the kernel does not take stays in the batch, which is bounded: the
//     oldest lines are dropped and counted when it is full. Pending tells the
//     loop to come back soon.
//  4. A receiver that was replaced (unix sockets) is connected to anew, with a
//     short backoff; datagrams that nobody received (UDP, by ICMP) are counted.
//  5. Lines for standard output and for TCP go to a Stream, whose one goroutine
//     may wait for the reader; a full Stream is like a full socket.
//  6. A Health per receiver counts for all senders, and tells when an outage
//     begins and when it is over.
//
// Always: lines logged = sent + dropped + pending.
package syslog
