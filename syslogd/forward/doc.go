// Package forward sends the lines of a log file to another syslog server, each at least once and in order, over TCP or TLS with
// octet counting (RFC 6587 section 3.4.1, RFC 5425).
//
//  1. A queue.Queue reads whole lines from the file that the output writes: what waits for the peer waits on the disk (forward.go),
//  2. each becomes a counted frame; a line that is no RFC 5424 message gets a header without fields (frame.go),
//  3. frames go out on one connection for some seconds, or some megabytes: a session (session.go),
//  4. then the next connection is made and our side of this one is closed, and the peer closes its own when it has read everything: that, unlike TCP's
//     acknowledgement, says that a process has taken the lines,
//  5. when the next connection still stands a while later, the peer has not died with what it had taken: the position after the lines is
//     stored next to the file, and the files before it are released (syslogd/queue),
//  6. when anything else happens to a connection, all lines after the last stored position are sent again; a line for which the peer ends every
//     connection is found and left out (refusal.go), and lines that come back from the peer are not sent again (syslogd/circle),
//  7. when the peer cannot be reached any more, and there are several, the next one has its turn (failover.go).
package forward
