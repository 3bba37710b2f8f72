package message

import (
	"bytes"
	"strconv"
	"time"
)

// A Beat is what a process says of the lines it has sent to one receiver, in a message of its own among them. Other receivers take it for
// a message of RFC 5424 from the program lb with the message id ledger, facility syslog, severity info.
type Beat struct {
	Instance   uint64 // when the process began, in Unix nanoseconds: pids come again
	Generation uint64
	Sent       uint64 // lines handed to the network, but for those that came back
	Lost       uint64 // lines that were not
	Final      bool   // the process sends no more
}

const (
	beatProgram = "lb"
	beatID      = "ledger"
	// beatElement is the id of the structured data; the number is the one of RFC 5612, for want of one of our own.
	beatElement = "[lb@32473 "
)

// AppendBeat appends the message.
func AppendBeat(dst []byte, now time.Time, pid int, b Beat) []byte {
	dst = AppendPriority(dst, Priority(Syslog, Info))
	dst = append(dst, "1 "...)
	dst = now.AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	dst = append(dst, " - "+beatProgram+" "...)
	dst = strconv.AppendInt(dst, int64(pid), 10)
	dst = append(dst, " "+beatID+" "+beatElement...)
	for _, p := range [...]struct {
		name  string
		value uint64
	}{{"instance", b.Instance}, {"generation", b.Generation}, {"sent", b.Sent}, {"lost", b.Lost}} {
		dst = append(dst, p.name...)
		dst = append(dst, `="`...)
		dst = strconv.AppendUint(dst, p.value, 10)
		dst = append(dst, `" `...)
	}
	if b.Final {
		dst = append(dst, `final="1"] `...)
	} else {
		dst = append(dst, `final="0"] `...)
	}
	dst = strconv.AppendUint(dst, b.Sent, 10)
	dst = append(dst, " lines sent, "...)
	dst = strconv.AppendUint(dst, b.Lost, 10)
	return append(dst, " lost"...)
}

// Beat is the beat that a message is; ok is false for all others.
func (m *Message) Beat() (b Beat, ok bool) {
	if !m.RFC5424 || string(m.MsgID) != beatID || string(m.Tag) != beatProgram || !bytes.HasPrefix(m.Data, []byte(beatElement)) {
		return b, false
	}
	params, _ := cutElement(m.Data[len(beatElement):])
	seen := 0
	for len(params) > 0 {
		name, value, rest := cutParam(params)
		params = rest
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return b, false
		}
		switch string(name) {
		case "instance":
			b.Instance = n
		case "generation":
			b.Generation = n
		case "sent":
			b.Sent = n
		case "lost":
			b.Lost = n
		case "final":
			b.Final = n == 1
		default:
			continue
		}
		seen++
	}
	return b, seen == 5 && len(m.PID) > 0
}
