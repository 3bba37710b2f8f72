package health

import "strconv"

// Who is the server a message is about.
type Who struct {
	Backend, Server string
	Backup          bool
	Via             string // the server it tracks, "" none
	Name            string // that its address is looked up by, "" none
}

// Around is what a message says of the backend after the change.
type Around struct {
	Active, Backup int // usable servers
	Sessions       int // on the server, when it went down
	Requeued       int // requests taken off it
	Queued         int // requests waiting in the backend

	Down, Drain bool // the server
}

// AppendCheck writes the line of `option log-health-checks` for a report:
//
//	Health check for server b/s failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 0/2 DOWN.
func AppendCheck(dst []byte, w Who, r *Report) []byte {
	if r.Agent {
		dst = append(dst, "Agent check for "...)
	} else {
		dst = append(dst, "Health check for "...)
	}
	if w.Backup {
		dst = append(dst, "backup "...)
	}
	dst = append(dst, "server "...)
	dst = appendName(dst, w)
	switch {
	case r.Status == L7OKC:
		dst = append(dst, " conditionally succeeded"...)
	case r.Passed:
		dst = append(dst, " succeeded"...)
	default:
		dst = append(dst, " failed"...)
	}
	dst = appendReason(dst, r)
	dst = append(dst, ", status: "...)
	if r.Up {
		dst = strconv.AppendInt(dst, int64(r.Health-r.Rise+1), 10)
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, int64(r.Fall), 10)
		if r.Unweighted {
			return append(dst, " DRAIN."...)
		}
		return append(dst, " UP."...)
	}
	dst = strconv.AppendInt(dst, int64(r.Health), 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(r.Rise), 10)
	return append(dst, " DOWN."...)
}

// Logged tells whether `option log-health-checks` writes a line for this
// report: health moved, or the outcome is another than before.
func (r *Report) Logged(before *Report) bool {
	return r.First || before == nil || r.Health != before.Health || r.Status != before.Status
}

// AppendChange writes the line about a server that went up or down:
//
//	Server b/s is DOWN, reason: Layer4 timeout, check duration: 2001ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.
//	Server b/s is UP. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.
//
// r is nil when no check is the reason, or when AppendCheck has reported it.
func AppendChange(dst []byte, w Who, up bool, r *Report, a Around) []byte {
	dst = appendServer(dst, w)
	if up {
		dst = append(dst, " is UP"...)
	} else {
		dst = append(dst, " is DOWN"...)
	}
	return appendAround(appendCause(dst, w, r), up, a)
}

// AppendStopping writes the line about a server that wants no new clients, as
// AppendChange does.
func AppendStopping(dst []byte, w Who, r *Report, a Around) []byte {
	return appendAround(appendCause(append(appendServer(dst, w), " is stopping"...), w, r), true, a)
}

// appendCause writes what caused a change: the server that is tracked, or
// a check.
func appendCause(dst []byte, w Who, r *Report) []byte {
	dst = appendVia(dst, w)
	if r != nil {
		dst = appendReason(dst, r)
	}
	return dst
}

// Event is what became of a server without a check.
type Event uint8

// Events.
const (
	IntoMaint       Event = iota
	DownIntoMaint         // it was down already
	OutOfMaint            // of its own
	OutOfOtherMaint       // of that of the server it tracks
	Resolved              // its name has an address again
	OwnMaintEnds          // but the tracked server's goes on
	OwnMaintGoesOn        // but the tracked server's has ended
	IntoDrain
	OutOfDrain
	OwnDrainEnds   // as OwnMaintEnds
	OwnDrainGoesOn // as OwnMaintGoesOn, and where it comes out of maintenance
	SetUp          // set server ... health up
	SetStopping    // set server ... health stopping
	SetDown        // set server ... health down
)

// AppendEvent writes the line about what became of a server:
//
//	Server b/s is going DOWN for maintenance. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.
//	Server b/s is UP/READY (leaving forced maintenance).
func AppendEvent(dst []byte, w Who, e Event, a Around) []byte {
	dst = appendServer(dst, w)
	state := " is UP"
	if a.Down {
		state = " is DOWN"
	}
	switch e {
	case IntoMaint:
		return appendAround(appendVia(append(dst, " is going DOWN for maintenance"...), w), false, a)
	case DownIntoMaint:
		return append(appendVia(append(dst, " was DOWN and now enters maintenance"...), w), '.')
	case OutOfMaint:
		return append(append(append(dst, state...), a.willing()...), " (leaving forced maintenance)."...)
	case OutOfOtherMaint:
		return append(append(append(dst, state...), a.willing()...), " (leaving maintenance)."...)
	case Resolved:
		dst = append(append(append(dst, " ('"...), w.Name...), "')"...)
		return append(append(append(dst, state...), a.willing()...), " (resolves again)."...)
	case OwnMaintEnds:
		return append(appendVia(append(dst, " is leaving forced maintenance but remains in maintenance"...), w), '.')
	case OwnMaintGoesOn:
		return append(dst, " remains in forced maintenance."...)
	case IntoDrain:
		return appendAround(appendVia(append(dst, " enters drain state"...), w), !a.Down, a)
	case OutOfDrain:
		return append(append(dst, state...), " (leaving forced drain)."...)
	case OwnDrainEnds:
		return append(appendVia(append(dst, " is leaving forced drain but remains in drain mode"...), w), '.')
	case OwnDrainGoesOn:
		return append(dst, " remains in forced drain mode."...)
	case SetUp:
		return appendAround(append(dst, " is UP, changed from CLI"...), true, a)
	case SetStopping:
		return appendAround(append(dst, " is stopping, changed from CLI"...), true, a)
	}
	return appendAround(append(dst, " is DOWN, changed from CLI"...), false, a)
}

// willing is whether a server takes new clients.
func (a *Around) willing() string {
	if a.Drain {
		return "/DRAIN"
	}
	return "/READY"
}

// appendVia names the server that is tracked, if it is the cause.
func appendVia(dst []byte, w Who) []byte {
	if w.Via != "" {
		dst = append(append(dst, " via "...), w.Via...)
	}
	return dst
}

// AppendNoServer writes the line about a proxy that has lost its last server;
// kind is "backend", or "proxy" for a listen section.
func AppendNoServer(dst []byte, kind, name string) []byte {
	dst = append(dst, kind...)
	dst = append(dst, ' ')
	dst = append(dst, name...)
	return append(dst, " has no server available!"...)
}

func appendServer(dst []byte, w Who) []byte {
	if w.Backup {
		dst = append(dst, "Backup "...)
	}
	dst = append(dst, "Server "...)
	return appendName(dst, w)
}

func appendName(dst []byte, w Who) []byte {
	dst = append(dst, w.Backend...)
	dst = append(dst, '/')
	return append(dst, w.Server...)
}

func appendReason(dst []byte, r *Report) []byte {
	dst = append(dst, ", reason: "...)
	dst = append(dst, r.Status.Describe()...)
	if r.Status.HasCode() {
		dst = append(dst, ", code: "...)
		dst = strconv.AppendInt(dst, int64(r.Code), 10)
	}
	if r.Info != "" {
		dst = append(dst, `, info: "`...)
		dst = appendSaid(dst, r.Info)
		dst = append(dst, '"')
	}
	if r.Duration < 0 { // no check, but the traffic
		return dst
	}
	dst = append(dst, ", check duration: "...)
	dst = strconv.AppendInt(dst, r.Duration.Milliseconds(), 10)
	return append(dst, "ms"...)
}

// appendSaid writes what servers said so that nothing of it ends the quotes or the line.
func appendSaid(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' || b == '"' || b == '<' || b == '>' {
			dst = append(dst, '<', digits[b>>4], digits[b&15], '>')
			continue
		}
		dst = append(dst, b)
	}
	return dst
}

func appendAround(dst []byte, up bool, a Around) []byte {
	dst = append(dst, ". "...)
	dst = strconv.AppendInt(dst, int64(a.Active), 10)
	dst = append(dst, " active and "...)
	dst = strconv.AppendInt(dst, int64(a.Backup), 10)
	dst = append(dst, " backup servers "...)
	if up {
		dst = appendBackup(append(dst, "online."...), a)
		dst = strconv.AppendInt(dst, int64(a.Requeued), 10)
		dst = append(dst, " sessions requeued, "...)
		dst = strconv.AppendInt(dst, int64(a.Queued), 10)
		return append(dst, " total in queue."...)
	}
	dst = appendBackup(append(dst, "left."...), a)
	dst = strconv.AppendInt(dst, int64(a.Sessions), 10)
	dst = append(dst, " sessions active, "...)
	dst = strconv.AppendInt(dst, int64(a.Requeued), 10)
	dst = append(dst, " requeued, "...)
	dst = strconv.AppendInt(dst, int64(a.Queued), 10)
	return append(dst, " remaining in queue."...)
}

// appendBackup says that none but backup servers are left, where it is so.
func appendBackup(dst []byte, a Around) []byte {
	if a.Active == 0 && a.Backup > 0 {
		dst = append(dst, " Running on backup."...)
	}
	return append(dst, ' ')
}
