package daemon

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/clienttls"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/forward"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/syslogd/sink"
)

// OpenSink prepares what delivers to a sink. The error says what is wrong with files that are read again for each connection or request, and so
// may be right by then: the Peer can be used all the same, unless it is nil.
type OpenSink func(to *config.Forward) (sink.Peer, error)

// A sender sends the lines of an output's file to a peer.
type sender interface {
	Start()
	Close() error
	status() *control.Forward
}

// newSender prepares to send file to where c says; nil when the output is not forwarded. The error says what is wrong with the files for TLS and
// those with secrets, which are read again, and so may be right by then: the sender can be used all the same, unless it is nil.
func (d *Daemon) newSender(c *config.Forward, file *rotate.Writer, log *slog.Logger) (sender, error) {
	if c == nil {
		return nil, nil
	}
	q := &queue.Queue{File: file, Log: log, To: c.String()}
	if c.Sink() {
		return d.newSink(c, q)
	}
	f := &forward.Forwarder{Peers: &peers.List{Entries: c.Peers}, Queue: q, Confirm: forward.Confirmation(c.Confirm)}
	if c.Scheme != "tls" {
		return server{f, c.String()}, nil
	}
	files := clienttls.Files{CA: c.CA, Name: c.Name, Cert: c.Cert, Key: c.Key}
	f.TLS = func(name string) *tls.Config {
		settings, _ := files.Config(name) // what is wrong with the files a connection reports
		return settings
	}
	_, err := files.Config("")
	if err != nil {
		err = fmt.Errorf("forward to %s: %w", c, err)
	}
	return server{f, c.String()}, err
}

func (d *Daemon) newSink(c *config.Forward, q *queue.Queue) (sender, error) {
	open := d.Sinks[c.Scheme]
	if open == nil {
		return nil, fmt.Errorf("forward to %s: this syslogd has no sink for %s", c, c.Scheme)
	}
	peer, err := open(c)
	if err != nil {
		err = fmt.Errorf("forward to %s: %w", c, err)
	}
	if peer == nil {
		return nil, err
	}
	// A position that a power cut takes back by a second costs a second's lines, sent again.
	q.SyncEvery = time.Second
	limits := sink.Limits{Size: c.Batch.Size, Lines: c.Batch.Lines, Age: c.Batch.Age}
	return receiver{&sink.Sender{Peer: peer, Queue: q, Limits: limits, Backoff: c.Batch.Backoff}, c.String()}, err
}

// server is a syslog server that an output is sent to.
type server struct {
	*forward.Forwarder
	to string
}

func (s server) status() *control.Forward {
	c := s.Counts()
	return &control.Forward{
		To: s.to, Peer: c.Peer, Connected: c.Connected, Sent: c.Sent, Confirmed: c.Confirmed, Again: c.Again,
		Acknowledged: c.Acknowledged, Behind: c.Behind, Connections: c.Connections, Missed: c.Missed, MissedBytes: c.MissedBytes,
		GivenUp: s.Queue.File.Stats().Unheld, Error: c.Error, Looped: c.Looped, Refused: c.Refused, LastError: c.LastError, LastErrorAt: c.LastErrorAt,
	}
}

// receiver is a sink that an output is sent to.
type receiver struct {
	*sink.Sender
	to string
}

func (r receiver) status() *control.Forward {
	c := r.Counts()
	f := &control.Forward{
		To: r.to, Connected: c.Connected, Sent: c.Sent, Confirmed: c.Confirmed, Again: c.Again, Behind: c.Behind, Missed: c.Missed,
		MissedBytes: c.MissedBytes, GivenUp: r.Queue.File.Stats().Unheld, Error: c.Error, Refused: c.Refused, LastError: c.LastError,
		LastErrorAt: c.LastErrorAt, Requests: c.Requests, Split: c.Split, Throttled: c.Throttled,
	}
	if one, ok := r.Peer.(interface{ Current() string }); ok { // of several
		f.Peer = one.Current()
	}
	if one, ok := r.Peer.(interface{ Looped() (uint64, error) }); ok { // a syslog server, which may send them back
		lines, err := one.Looped()
		f.Looped = lines
		if err != nil && f.Error == "" {
			f.Error = err.Error()
		}
	}
	return f
}

// startForwarding starts the outputs' senders. Nobody else may forward the same files.
func startForwarding(outputs []*output) {
	for _, o := range outputs {
		if o.forward != nil {
			o.forward.Start()
		}
	}
}

func forwardStatus(o *output) *control.Forward {
	if o.forward == nil {
		return nil
	}
	return o.forward.status()
}
