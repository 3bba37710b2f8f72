package syslog

import (
	"fmt"
	"strconv"
	"time"

	"lbsyslogd/syslogd/message"
)

// Target is one destination of log lines, a `log` line of the configuration.
type Target struct {
	Network  string // "udp" or "unixgram"; with a Stream its own
	Address  string // "127.0.0.1:514" or "/dev/log"; "@name" is an abstract unix socket
	Format   string // "" and "local", "rfc3164", "rfc5424", "raw", "short", "priority", "timed", "iso", "journal"
	Len      int    // longest line with its header, in bytes, without the line end; 0 means 1024
	Facility int
	Level    int // highest severity number sent
	MinLevel int // smaller severity numbers are raised to this one
	Tag      string
	Hostname string // "" unless log-send-hostname
	Pid      int
	Backlog  int // bytes kept for a receiver that does not take them; 0 means 4 MiB

	Health *Health // shared by all targets of this address; nil: one of its own
	Stream *Stream // where lines go in place of datagrams; shared like Health, and closed by its owner
	Ring   *Ring   // keeps lines in memory, in place of datagrams
	Sample *Sample // nil: every line
}

const (
	defaultLen     = 1024
	defaultBacklog = 4 << 20
)

// header writes what stands before the message. The parts that do not change
// within a second are kept. Owned by its target.
type header struct {
	format   headerFormat
	facility message.Facility
	second   int64
	ready    bool
	zone     []byte // "+00:00"
	stamp    []byte // the second's text
	tail     []byte // " HOST TAG[PID]: ", or in RFC 5424 all before the structured data, or the journal's fields of the process
}

type headerFormat uint8

const (
	formatLocal headerFormat = iota
	format5424
	formatRaw
	formatShort
	formatPriority
	formatTimed
	formatISO
	formatJournal
)

func newHeader(t *Target) (header, error) {
	h := header{facility: message.Facility(t.Facility)}
	host := t.Hostname
	switch t.Format {
	case "", "local":
	case "rfc3164":
		if host == "" {
			host = "localhost" // as HAProxy without log-send-hostname
		}
	case "rfc5424":
		h.format = format5424
	case "raw":
		h.format = formatRaw
	case "short":
		h.format = formatShort
	case "priority":
		h.format = formatPriority
	case "timed":
		h.format = formatTimed
	case "iso":
		h.format = formatISO
	case "journal":
		h.format = formatJournal
		h.tail = appendField(h.tail, "SYSLOG_IDENTIFIER", []byte(t.Tag))
		h.tail = fmt.Appendf(h.tail, "\nSYSLOG_PID=%d\n", t.Pid)
		return h, nil
	default:
		return h, fmt.Errorf("log target %s: format '%s' is unknown; use local, rfc3164, rfc5424, raw, short, priority, timed, iso or journal", t.Address, t.Format)
	}
	h.tail = []byte{' '}
	if h.format == format5424 {
		if host == "" {
			host = "-"
		}
		h.tail = fmt.Appendf(h.tail, "%s %s %d - ", host, t.Tag, t.Pid)
		return h, nil
	}
	if host != "" {
		h.tail = append(append(h.tail, host...), ' ')
	}
	h.tail = fmt.Appendf(h.tail, "%s[%d]: ", t.Tag, t.Pid)
	return h, nil
}

// append appends the header of a line of severity sev written at now. Only RFC
// 5424 has a place for data.
func (h *header) append(dst []byte, sev message.Severity, now time.Time, data []byte) []byte {
	switch h.format {
	case formatRaw:
		return dst
	case formatShort:
		return message.AppendPriority(dst, int(sev))
	case formatPriority:
		return message.AppendPriority(dst, message.Priority(h.facility, sev))
	}
	if s := now.Unix(); !h.ready || s != h.second {
		h.second, h.ready = s, true
		h.tick(now)
	}
	switch h.format {
	case formatTimed:
		dst = h.appendISO(message.AppendPriority(dst, int(sev)), now)
		return append(dst, ' ')
	case formatISO:
		return append(h.appendISO(dst, now), ' ')
	case format5424:
		dst = append(message.AppendPriority(dst, message.Priority(h.facility, sev)), '1', ' ')
		dst = append(h.appendISO(dst, now), h.tail...)
		if len(data) == 0 {
			return append(dst, "- "...)
		}
		return append(append(dst, data...), ' ')
	}
	dst = message.AppendPriority(dst, message.Priority(h.facility, sev))
	dst = append(dst, h.stamp...)
	return append(dst, h.tail...)
}

// tick builds the texts of a new second.
func (h *header) tick(now time.Time) {
	if h.format == formatLocal {
		h.stamp = message.AppendTimestamp(h.stamp[:0], now)
		return
	}
	h.stamp = now.AppendFormat(h.stamp[:0], "2006-01-02T15:04:05.")
	h.zone = now.AppendFormat(h.zone[:0], "-07:00")
}

// appendISO appends "2026-11-21T03:04:05.123456+00:00".
func (h *header) appendISO(dst []byte, now time.Time) []byte {
	dst = append(dst, h.stamp...)
	us := now.Nanosecond() / 1000
	at := len(dst)
	dst = strconv.AppendInt(dst, int64(us+1_000_000), 10)
	copy(dst[at:], dst[at+1:]) // the leading 1 only kept the zeros
	dst = dst[:len(dst)-1]
	return append(dst, h.zone...)
}
