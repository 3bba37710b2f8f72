package control

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Status is what the daemon says about itself. Its JSON form is an interface that scripts read: names stay, and are only added.
//
// Nothing is lost without a number: for each input received = routed + unmatched + oversized + denied + limited + undecodable + beats,
// what was sent = received + kernel_drops; for each output routed to it = given + limited, and given = written + ring_overflow + disk_lost + waiting.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Config  string    `json:"config,omitempty"`
	Total   Total     `json:"total"`
	Inputs  []Input   `json:"inputs"`
	Outputs []Output  `json:"outputs"`
	Ledger  *Ledger   `json:"ledger,omitempty"` // of senders that say what they have sent, which lb does
}

// Ledger adds up what senders say they have sent and what came of it: sent = received + missing, but for what is on its way.
type Ledger struct {
	Sent     uint64         `json:"sent"`
	Lost     uint64         `json:"lost_by_sender"`
	Received uint64         `json:"received"`
	Missing  uint64         `json:"missing"` // sent, and not received when the sender said so
	Before   uint64         `json:"before"`  // lines sent before their sender was heard of: nothing is known of these
	Killed   uint64         `json:"killed"`  // lines that outputs had taken and not written when syslogd was killed
	Senders  []LedgerSender `json:"senders"` // the newest first; the sums have those too that are forgotten
}

// LedgerSender is one process.
type LedgerSender struct {
	Input      string    `json:"input"`
	Peer       string    `json:"peer,omitempty"` // its address; empty: this host
	PID        string    `json:"pid"`
	Generation uint64    `json:"generation"`
	Sent       uint64    `json:"sent"`
	Lost       uint64    `json:"lost_by_sender"`
	Received   uint64    `json:"received"`
	Missing    uint64    `json:"missing"`
	Heard      time.Time `json:"heard"`
	Ended      bool      `json:"ended"` // it said that it sends no more
}

// Total adds up all inputs and outputs. With one output for each message, received = written + each of the others but
// kernel_drops, which were never received.
type Total struct {
	Received     uint64 `json:"received"`
	Written      uint64 `json:"written"`
	Waiting      uint64 `json:"waiting"`
	KernelDrops  uint64 `json:"kernel_drops"`
	RingOverflow uint64 `json:"ring_overflow"`
	DiskLost     uint64 `json:"disk_lost"`
	Oversized    uint64 `json:"oversized"`
	Undecodable  uint64 `json:"undecodable"`
	Denied       uint64 `json:"denied"`
	Limited      uint64 `json:"limited"` // by the limits of senders and those of outputs
	Unmatched    uint64 `json:"unmatched"`
	Beats        uint64 `json:"beats"`
	Rotations    uint64 `json:"rotations"`
	Reopens      uint64 `json:"reopens"`
}

// Input is one socket.
type Input struct {
	Name          string `json:"name"`
	Address       string `json:"address"`
	ReceiveBuffer int    `json:"receive_buffer"` // bytes that the kernel granted
	Received      uint64 `json:"received"`
	Bytes         uint64 `json:"bytes"`
	KernelDrops   uint64 `json:"kernel_drops"`
	EarlierDrops  uint64 `json:"earlier_drops"` // before this process got the socket
	ReceiveErrors uint64 `json:"receive_errors"`
	Routed        uint64 `json:"routed"`
	Unmatched     uint64 `json:"unmatched"`
	Oversized     uint64 `json:"oversized"`   // refused for their size
	Cut           uint64 `json:"cut"`         // of the routed: only their beginning was kept
	CutBytes      uint64 `json:"cut_bytes"`   // what came of those and was dropped
	Denied        uint64 `json:"denied"`      // from a network that may not send
	Limited       uint64 `json:"limited"`     // beyond what a sender may send
	Undecodable   uint64 `json:"undecodable"` // nothing in them
	Beats         uint64 `json:"beats"`       // what senders said of what they have sent
	Connections   int    `json:"connections,omitempty"`
	Refused       uint64 `json:"refused_connections,omitempty"`
	Hint          string `json:"hint,omitempty"`

	// Of UDP: each socket and what reads it. The numbers above have also what readers did that a reload has ended.
	Readers []Reader `json:"readers,omitempty"`
	// The senders whose limit has dropped most.
	LimitedSenders []LimitedSender `json:"limited_senders,omitempty"`

	// Of TCP and TLS. Those that failed are among the ReceiveErrors.
	Broken           uint64 `json:"broken_connections,omitempty"` // ended by an error, such as a reset
	HandshakesFailed uint64 `json:"tls_handshakes_failed,omitempty"`
	LastHandshake    string `json:"last_failed_handshake,omitempty"` // from where, and why
	OutOfStep        uint64 `json:"out_of_step,omitempty"`           // octet counts that were wrong

	// Of RELP: received = acknowledged + unacknowledged + those that are being written.
	Acknowledged   uint64 `json:"acknowledged,omitempty"`   // messages that are written, and the client was told
	Unacknowledged uint64 `json:"unacknowledged,omitempty"` // messages that the client sends again, since the connection ended before that
	BadFrames      uint64 `json:"bad_frames,omitempty"`     // connections that were ended, since what came was no RELP
	LastBadFrame   string `json:"last_bad_frame,omitempty"` // from where, and what it was

	// Of senders that number their messages in [meta sequenceId].
	SequenceGaps uint64     `json:"sequence_gaps,omitempty"` // numbers left out
	SequenceLate uint64     `json:"sequence_late,omitempty"` // those of them that came later
	Gaps         []Sequence `json:"gaps,omitempty"`          // the worst senders
}

// Reader is one of those that share a UDP port.
type Reader struct {
	Received     uint64 `json:"received"`
	KernelDrops  uint64 `json:"kernel_drops"`
	EarlierDrops uint64 `json:"earlier_drops"`
}

// LimitedSender is a sender that has sent more than it may.
type LimitedSender struct {
	Sender  string `json:"sender"`
	Dropped uint64 `json:"dropped"`
}

// Sequence is a sender of which numbered messages are missing.
type Sequence struct {
	Sender  string `json:"sender"` // its address, and the host it speaks for
	Seen    uint64 `json:"seen"`
	Missing uint64 `json:"missing"`
}

// Output is one file.
type Output struct {
	Name         string   `json:"name"`
	File         string   `json:"file"`
	Inode        uint64   `json:"inode"`
	Size         int64    `json:"size"`
	Given        uint64   `json:"given"`
	Written      uint64   `json:"written"`
	Waiting      uint64   `json:"waiting"`
	RingOverflow uint64   `json:"ring_overflow"` // the disk was too slow
	DiskLost     uint64   `json:"disk_lost"`     // the disk refused for too long
	Limited      uint64   `json:"limited"`       // beyond the output's limit, and so not given
	Rotations    uint64   `json:"rotations"`
	Reopens      uint64   `json:"reopens"`
	Followed     uint64   `json:"followed"` // reopened because somebody moved or deleted the file
	Truncations  uint64   `json:"truncations"`
	Compressed   uint64   `json:"compressed"`
	Removed      uint64   `json:"removed"` // rotated files, by retention
	Stalls       uint64   `json:"stalls"`
	Errors       []string `json:"errors,omitempty"` // what does not work right now
	Forward      *Forward `json:"forward,omitempty"`
	Chain        *Chain   `json:"chain,omitempty"` // of an output with "chain: yes"

	// When messages choose the file.
	Files   int    `json:"files,omitempty"`   // open now
	Names   int    `json:"names,omitempty"`   // different ones, of the last day
	Renamed uint64 `json:"renamed,omitempty"` // lines with "_other" in their file's name, for want of names or for what a field would have brought
}

// Chain is the journal that proves what was written to an output's file.
type Chain struct {
	State    string    `json:"state"` // "ok", or "failed": the journal cannot be written
	Journal  string    `json:"journal,omitempty"`
	Records  uint64    `json:"records"`
	Lines    uint64    `json:"lines"`         // that the records cover, since the start
	Adopted  uint64    `json:"adopted_lines"` // those of them that were found in the file without a record, after a kill or a failure
	Waiting  int64     `json:"waiting_bytes"` // of the current file: without a record yet
	Last     time.Time `json:"last_record,omitzero"`
	Failures uint64    `json:"failures"` // how often it could not be written, since the start
	Error    string    `json:"error,omitempty"`
}

// write writes it as a line.
func (c *Chain) write(w io.Writer, output string, now time.Time) {
	if c == nil {
		return
	}
	last := "no record yet"
	if !c.Last.IsZero() {
		last = "the last record " + now.Sub(c.Last).Round(time.Second).String() + " ago"
	}
	fmt.Fprintf(w, "\n%s: chain %s: %d lines in %d records, %s; %d bytes without one", output, c.State, c.Lines, c.Records, last, c.Waiting)
	if c.Adopted > 0 {
		fmt.Fprintf(w, "; %d of the lines were adopted", c.Adopted)
	}
	if c.Failures > 0 {
		fmt.Fprintf(w, "; the journal could not be written %d times", c.Failures)
	}
	fmt.Fprintln(w)
}

// Forward is where an output's lines are sent besides. Sent = confirmed + acknowledged + again + those that are not decided yet.
type Forward struct {
	To          string `json:"to"`
	Peer        string `json:"peer,omitempty"` // which of several has the lines
	Connected   bool   `json:"connected"`
	Connections uint64 `json:"connections"`
	Sent        uint64 `json:"sent"`
	Confirmed   uint64 `json:"confirmed"` // the peer has taken them
	// Acknowledged are lines that the peer's kernel has taken, where the peer itself does not confirm.
	Acknowledged uint64    `json:"acknowledged,omitempty"`
	Again        uint64    `json:"again"`        // sent in vain, as far as is known, and so once more
	Behind       int64     `json:"behind_bytes"` // not confirmed yet
	Missed       uint64    `json:"missed_files"` // times that a file was gone or emptied before it was sent
	MissedBytes  uint64    `json:"missed_bytes,omitempty"`
	GivenUp      uint64    `json:"given_up_bytes"`
	Looped       uint64    `json:"looped,omitempty"`        // not sent again, because they were sent and have come back
	Refused      uint64    `json:"refused_lines,omitempty"` // left out or set aside, because the peer refuses them
	Requests     uint64    `json:"requests,omitempty"`      // of a sink: how often lines were sent to it
	Split        uint64    `json:"split,omitempty"`         // of those: halved, because they were too large or something in them was refused
	Throttled    uint64    `json:"throttled,omitempty"`     // pauses that the sink asked for
	Error        string    `json:"error,omitempty"`         // what does not work right now
	LastError    string    `json:"last_error,omitempty"`    // what did not work last
	LastErrorAt  time.Time `json:"last_error_at,omitzero"`
}

// AddUp fills Total. past is what was counted by inputs and outputs that are closed.
func (s *Status) AddUp(past Total) {
	t := past
	for _, in := range s.Inputs {
		t.Received += in.Received
		t.KernelDrops += in.KernelDrops
		t.Oversized += in.Oversized
		t.Undecodable += in.Undecodable
		t.Denied += in.Denied
		t.Limited += in.Limited
		t.Unmatched += in.Unmatched
		t.Beats += in.Beats
	}
	for _, out := range s.Outputs {
		t.Written += out.Written
		t.Waiting += out.Waiting
		t.RingOverflow += out.RingOverflow
		t.DiskLost += out.DiskLost
		t.Limited += out.Limited
		t.Rotations += out.Rotations
		t.Reopens += out.Reopens
	}
	s.Total = t
}

// shownSenders is how many processes the table has.
const shownSenders = 12

// write writes what was sent, what of it was received, and what the outputs did with all lines: they know no senders, and their counts begin with
// the process.
func (l *Ledger) write(w io.Writer, now time.Time, all Total) {
	if l == nil {
		return
	}
	verdict := "nothing is missing"
	if l.Missing > 0 {
		verdict = fmt.Sprintf("%d MISSING", l.Missing)
	}
	if n := l.Received + l.Missing - l.Sent; l.Received+l.Missing > l.Sent {
		verdict += fmt.Sprintf(" (%d came since the senders' last reports)", n)
	}
	fmt.Fprintf(w, "\nledger: %d lines sent, %d received: %s; %d were lost by the senders\n", l.Sent, l.Received, verdict, l.Lost)
	if l.Before > 0 {
		fmt.Fprintf(w, "  besides: %d lines were sent before their senders' first reports came; what became of these is not known\n", l.Before)
	}
	if l.Killed > 0 {
		fmt.Fprintf(w, "  besides: %d lines were received, and lost because syslogd was killed before it had written them\n", l.Killed)
	}
	lost := all.RingOverflow + all.DiskLost
	fmt.Fprintf(w, "outputs, since the start: %d lines given, %d on disk, %d waiting, %d lost\n", all.Written+all.Waiting+lost, all.Written, all.Waiting, lost)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "generation\tpid\tsent\treceived\tmissing\tlost by sender\theard\t  from\t")
	for i, s := range l.Senders {
		if i == shownSenders {
			break
		}
		peer, heard := s.Peer, now.Sub(s.Heard).Round(time.Second).String()+" ago"
		if peer == "" {
			peer = "here"
		}
		if s.Ended {
			heard = "ended"
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t%s\t  %s, %s\t\n", s.Generation, s.PID, s.Sent, s.Received, s.Missing, s.Lost, heard, peer, s.Input)
	}
	_ = t.Flush() // as the other writes, to a buffer
}

// writeReaders writes what each of several readers received.
func (i *Input) writeReaders(w io.Writer) {
	if len(i.Readers) < 2 {
		return
	}
	fmt.Fprintln(w)
	for k, r := range i.Readers {
		fmt.Fprintf(w, "%s: reader %d received %d messages; the kernel dropped %d of its part\n", i.Name, k+1, r.Received, r.KernelDrops)
	}
}

// writeTroubles writes what went wrong with connections and large messages, a line each.
func (i *Input) writeTroubles(w io.Writer) {
	for _, t := range []struct {
		n    uint64
		text string
	}{
		{i.Cut, fmt.Sprintf("messages were cut, too large or broken off by their client; %d bytes were dropped", i.CutBytes)},
		{i.Refused, "connections were refused"},
		{i.HandshakesFailed, "TLS handshakes failed, the last of " + i.LastHandshake},
		{i.Broken, "connections ended with an error"},
		{i.BadFrames, "connections were ended because a frame of RELP was wrong, the last of " + i.LastBadFrame},
		{i.Unacknowledged, "messages of RELP could not be acknowledged, and come again"},
		{i.OutOfStep, "octet counts were wrong; messages next to those may be torn"},
	} {
		if t.n > 0 {
			fmt.Fprintf(w, "\n%s: %d %s\n", i.Name, t.n, t.text)
		}
	}
}

// WriteTable writes the status for people.
func (s *Status) WriteTable(w io.Writer, now time.Time) error {
	fmt.Fprintf(w, "syslogd %s, pid %d, up %s\n\n", s.Version, s.PID, now.Sub(s.Started).Round(time.Second))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "received\tkernel drops\toversized\tempty\tdenied\tunmatched\tbuffer KiB\t  input\t")
	for _, in := range s.Inputs {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t  %s\t\n", in.Received, in.KernelDrops, in.Oversized, in.Undecodable,
			in.Denied, in.Unmatched, in.ReceiveBuffer>>10, in.Name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(t, "written\twaiting\tring overflow\tdisk lost\trotations\treopens\tcompressed\tremoved\t  output\t")
	for _, out := range s.Outputs {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t  %s\t\n", out.Written, out.Waiting, out.RingOverflow, out.DiskLost,
			out.Rotations, out.Reopens, out.Compressed, out.Removed, out.Name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, out := range s.Outputs {
		if out.Limited > 0 {
			fmt.Fprintf(w, "\n%s: %d messages were dropped by its limit\n", out.Name, out.Limited)
		}
		if out.Renamed > 0 {
			fmt.Fprintf(w, "\n%s: %d lines went to _other, for what a field would have brought into the name or for want of names\n", out.Name, out.Renamed)
		}
		out.Chain.write(w, out.Name, now)
		if f := out.Forward; f != nil {
			fmt.Fprintf(w, "\n%s -> %s: %d sent, %d confirmed, %d again, %d bytes behind, %d bytes given up\n", out.Name, f.To, f.Sent,
				f.Confirmed, f.Again, f.Behind, f.GivenUp)
			if f.Peer != "" {
				fmt.Fprintf(w, "%s -> %s has the lines\n", out.Name, f.Peer)
			}
			if f.Refused > 0 {
				fmt.Fprintf(w, "%s -> %s: %d lines refused by the peer\n", out.Name, f.To, f.Refused)
			}
			if f.Acknowledged > 0 || f.Missed > 0 {
				fmt.Fprintf(w, "%s -> %s: %d acknowledged by the peer's kernel only, %d times a file was gone before it was sent (%d bytes)\n", out.Name,
					f.To, f.Acknowledged, f.Missed, f.MissedBytes)
			}
		}
	}
	s.Ledger.write(w, now, s.Total)
	for _, in := range s.Inputs {
		in.writeReaders(w)
		for _, l := range in.LimitedSenders {
			fmt.Fprintf(w, "\n%s: %d messages of %s were dropped by its limit\n", in.Name, l.Dropped, l.Sender)
		}
		in.writeTroubles(w)
		for _, g := range in.Gaps {
			fmt.Fprintf(w, "\n%s: of sender %q %d messages arrived and %d are missing by their numbers\n", in.Name, g.Sender, g.Seen, g.Missing)
		}
	}
	for _, in := range s.Inputs {
		if in.Hint != "" {
			fmt.Fprintf(w, "\n%s: %s\n", in.Name, in.Hint)
		}
	}
	for _, out := range s.Outputs {
		for _, e := range out.Errors {
			fmt.Fprintf(w, "\n%s: %s\n", out.Name, e)
		}
	}
	return nil
}
