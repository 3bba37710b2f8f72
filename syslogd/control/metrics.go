package control

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteMetrics writes the status in Prometheus' text format. The counters are the fields of Status under the same names.
func (s *Status) WriteMetrics(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# HELP syslogd_build_info The running version.\n# TYPE syslogd_build_info gauge\nsyslogd_build_info{version=%s} 1\n", label(s.Version))
	fmt.Fprintf(out, "# HELP syslogd_start_time_seconds When the process started.\n# TYPE syslogd_start_time_seconds gauge\nsyslogd_start_time_seconds %d\n", s.Started.Unix())
	for _, m := range []struct {
		name, kind, help string
		value            func(*Input) float64
	}{
		{"received_total", "counter", "Messages received.", func(i *Input) float64 { return float64(i.Received) }},
		{"received_bytes_total", "counter", "Bytes received.", func(i *Input) float64 { return float64(i.Bytes) }},
		{"kernel_drops_total", "counter", "Messages that the kernel dropped because the receive buffer was full.", func(i *Input) float64 { return float64(i.KernelDrops) }},
		{"unmatched_total", "counter", "Messages that no output wanted.", func(i *Input) float64 { return float64(i.Unmatched) }},
		{"oversized_total", "counter", "Messages refused for their size.", func(i *Input) float64 { return float64(i.Oversized) }},
		{"cut_total", "counter", "Messages of which only the beginning was kept.", func(i *Input) float64 { return float64(i.Cut) }},
		{"cut_bytes_total", "counter", "Bytes that came of those and were dropped.", func(i *Input) float64 { return float64(i.CutBytes) }},
		{"denied_total", "counter", "Messages from networks that may not send.", func(i *Input) float64 { return float64(i.Denied) }},
		{"limited_total", "counter", "Messages of senders beyond their limit.", func(i *Input) float64 { return float64(i.Limited) }},
		{"undecodable_total", "counter", "Messages with nothing in them.", func(i *Input) float64 { return float64(i.Undecodable) }},
		{"beats_total", "counter", "What senders said of what they have sent.", func(i *Input) float64 { return float64(i.Beats) }},
		{"sequence_gaps_total", "counter", "Numbers that senders' sequenceIds left out.", func(i *Input) float64 { return float64(i.SequenceGaps) }},
		{"sequence_late_total", "counter", "Those of them that came later.", func(i *Input) float64 { return float64(i.SequenceLate) }},
		{"refused_connections_total", "counter", "Connections refused.", func(i *Input) float64 { return float64(i.Refused) }},
		{"broken_connections_total", "counter", "Connections that ended with an error.", func(i *Input) float64 { return float64(i.Broken) }},
		{"tls_handshakes_failed_total", "counter", "TLS handshakes that failed.", func(i *Input) float64 { return float64(i.HandshakesFailed) }},
		{"out_of_step_total", "counter", "Octet counts that were wrong.", func(i *Input) float64 { return float64(i.OutOfStep) }},
		{"acknowledged_total", "counter", "Messages of RELP that are written and acknowledged.", func(i *Input) float64 { return float64(i.Acknowledged) }},
		{"unacknowledged_total", "counter", "Messages of RELP that could not be acknowledged, so that they come again.", func(i *Input) float64 { return float64(i.Unacknowledged) }},
		{"bad_frames_total", "counter", "Connections that were ended because a frame of RELP was wrong.", func(i *Input) float64 { return float64(i.BadFrames) }},
		{"connections", "gauge", "Connections now.", func(i *Input) float64 { return float64(i.Connections) }},
		{"receive_buffer_bytes", "gauge", "Receive buffer that the kernel granted.", func(i *Input) float64 { return float64(i.ReceiveBuffer) }},
	} {
		fmt.Fprintf(out, "# HELP syslogd_input_%s %s\n# TYPE syslogd_input_%s %s\n", m.name, m.help, m.name, m.kind)
		for i := range s.Inputs {
			fmt.Fprintf(out, "syslogd_input_%s{input=%s} %g\n", m.name, label(s.Inputs[i].Name), m.value(&s.Inputs[i]))
		}
	}
	s.writeReaderMetrics(out)
	for _, m := range []struct {
		name, kind, help string
		value            func(*Output) float64
	}{
		{"given_total", "counter", "Lines made for the output.", func(o *Output) float64 { return float64(o.Given) }},
		{"written_total", "counter", "Lines written.", func(o *Output) float64 { return float64(o.Written) }},
		{"ring_overflow_total", "counter", "Lines dropped because the disk was too slow.", func(o *Output) float64 { return float64(o.RingOverflow) }},
		{"disk_lost_total", "counter", "Lines dropped because the disk refused for too long.", func(o *Output) float64 { return float64(o.DiskLost) }},
		{"limited_total", "counter", "Messages beyond the output's limit.", func(o *Output) float64 { return float64(o.Limited) }},
		{"rotations_total", "counter", "Rotations.", func(o *Output) float64 { return float64(o.Rotations) }},
		{"reopens_total", "counter", "Reopens by command or signal.", func(o *Output) float64 { return float64(o.Reopens) }},
		{"stalls_total", "counter", "How often the disk began to refuse.", func(o *Output) float64 { return float64(o.Stalls) }},
		{"renamed_total", "counter", "Lines with _other in their file's name.", func(o *Output) float64 { return float64(o.Renamed) }},
		{"waiting", "gauge", "Lines on the way to the file.", func(o *Output) float64 { return float64(o.Waiting) }},
		{"size_bytes", "gauge", "Size of the current file.", func(o *Output) float64 { return float64(o.Size) }},
		{"errors", "gauge", "How many things do not work right now.", func(o *Output) float64 { return float64(len(o.Errors)) }},
	} {
		fmt.Fprintf(out, "# HELP syslogd_output_%s %s\n# TYPE syslogd_output_%s %s\n", m.name, m.help, m.name, m.kind)
		for i := range s.Outputs {
			fmt.Fprintf(out, "syslogd_output_%s{output=%s} %g\n", m.name, label(s.Outputs[i].Name), m.value(&s.Outputs[i]))
		}
	}
	writeMetrics(out, "syslogd_forward_", forwardMetrics, s.Outputs, func(o *Output) (*Forward, string) {
		if o.Forward == nil {
			return nil, ""
		}
		return o.Forward, "output=" + label(o.Name) + ",to=" + label(o.Forward.To)
	})
	writeMetrics(out, "syslogd_chain_", chainMetrics, s.Outputs, func(o *Output) (*Chain, string) {
		return o.Chain, "output=" + label(o.Name)
	})
	s.Ledger.writeMetrics(out)
	return out.Flush()
}

// writeReaderMetrics writes those of ports with several readers: of others the input says the same.
func (s *Status) writeReaderMetrics(out io.Writer) {
	for _, m := range []struct {
		name, help string
		value      func(Reader) uint64
	}{
		{"received_total", "Messages that one of several readers of a port received.", func(r Reader) uint64 { return r.Received }},
		{"kernel_drops_total", "Messages that the kernel dropped because the receive buffer of this reader was full.", func(r Reader) uint64 { return r.KernelDrops }},
	} {
		head := false
		for i := range s.Inputs {
			in := &s.Inputs[i]
			for k, r := range in.Readers {
				if len(in.Readers) == 1 {
					continue
				}
				if !head {
					fmt.Fprintf(out, "# HELP syslogd_reader_%s %s\n# TYPE syslogd_reader_%s counter\n", m.name, m.help, m.name)
					head = true
				}
				fmt.Fprintf(out, "syslogd_reader_%s{input=%s,reader=\"%d\"} %d\n", m.name, label(in.Name), k+1, m.value(r))
			}
		}
	}
}

// writeMetrics writes the sums: a label for each process would never end.
func (l *Ledger) writeMetrics(out io.Writer) {
	if l == nil {
		return
	}
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"sent_total", "counter", "Lines that senders say they have sent.", l.Sent},
		{"lost_by_sender_total", "counter", "Lines that senders say they have lost.", l.Lost},
		{"received_total", "counter", "Lines that came from these senders.", l.Received},
		{"missing", "gauge", "Lines that were sent and not received when the sender last said so.", l.Missing},
		{"before_total", "counter", "Lines sent before their sender was heard of: nothing is known of these.", l.Before},
		{"killed_total", "counter", "Lines that outputs had taken and not written when syslogd was killed.", l.Killed},
		{"senders", "gauge", "Processes that are known.", uint64(len(l.Senders))},
	} {
		fmt.Fprintf(out, "# HELP syslogd_ledger_%s %s\n# TYPE syslogd_ledger_%s %s\nsyslogd_ledger_%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
}

// metric is a number of T, which an output may have.
type metric[T any] struct {
	name, kind, help string
	value            func(*T) float64
}

// writeMetrics writes metrics of those outputs that have a T; of gives it, and its labels.
func writeMetrics[T any](out io.Writer, prefix string, metrics []metric[T], outputs []Output, of func(*Output) (t *T, labels string)) {
	for _, m := range metrics {
		head := false
		for i := range outputs {
			t, labels := of(&outputs[i])
			if t == nil {
				continue
			}
			if !head {
				fmt.Fprintf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, m.name, m.help, prefix, m.name, m.kind)
				head = true
			}
			fmt.Fprintf(out, "%s%s{%s} %s\n", prefix, m.name, labels, strconv.FormatFloat(m.value(t), 'f', -1, 64))
		}
	}
}

var forwardMetrics = []metric[Forward]{
	{"sent_total", "counter", "Lines sent to the peer.", func(f *Forward) float64 { return float64(f.Sent) }},
	{"confirmed_total", "counter", "Lines that the peer has taken.", func(f *Forward) float64 { return float64(f.Confirmed) }},
	{"again_total", "counter", "Lines sent in vain, and so once more.", func(f *Forward) float64 { return float64(f.Again) }},
	{"connections_total", "counter", "Connections made.", func(f *Forward) float64 { return float64(f.Connections) }},
	{"missed_files_total", "counter", "Files that were gone before they were sent.", func(f *Forward) float64 { return float64(f.Missed) }},
	{"given_up_bytes_total", "counter", "Bytes that retention took before they were sent.", func(f *Forward) float64 { return float64(f.GivenUp) }},
	{"refused_lines_total", "counter", "Lines that the peer refuses.", func(f *Forward) float64 { return float64(f.Refused) }},
	{"requests_total", "counter", "How often lines were sent to a sink.", func(f *Forward) float64 { return float64(f.Requests) }},
	{"split_total", "counter", "Requests that were halved, because they were too large or something in them was refused.", func(f *Forward) float64 { return float64(f.Split) }},
	{"throttled_total", "counter", "Pauses that a sink asked for.", func(f *Forward) float64 { return float64(f.Throttled) }},
	{"behind_bytes", "gauge", "Bytes that are not confirmed yet.", func(f *Forward) float64 { return float64(f.Behind) }},
}

var chainMetrics = []metric[Chain]{
	{"up", "gauge", "Whether the journal can be written.", func(c *Chain) float64 {
		if c.State == "ok" {
			return 1
		}
		return 0
	}},
	{"records_total", "counter", "Records written to journals.", func(c *Chain) float64 { return float64(c.Records) }},
	{"lines_total", "counter", "Lines that the records cover.", func(c *Chain) float64 { return float64(c.Lines) }},
	{"adopted_lines_total", "counter", "Those of them that were found in the file without a record.", func(c *Chain) float64 { return float64(c.Adopted) }},
	{"waiting_bytes", "gauge", "Bytes of the current file that no record covers yet.", func(c *Chain) float64 { return float64(c.Waiting) }},
	{"last_record_timestamp_seconds", "gauge", "When the newest record was made; 0 is not known.", func(c *Chain) float64 {
		if c.Last.IsZero() {
			return 0
		}
		return float64(c.Last.UnixMilli()) / 1000
	}},
	{"failures_total", "counter", "How often the journal could not be written.", func(c *Chain) float64 { return float64(c.Failures) }},
}

// label quotes a label's value: the format knows three escapes, and Go's quoting has more.
func label(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}
