package health

// Status is the outcome of a check. The numbers are HAProxy's, which `show
// servers state` prints.
type Status uint8

// Statuses.
const (
	Unknown       Status = 0
	INI           Status = 1 // not checked yet
	Checked       Status = 3 // an agent answered, and said nothing of the health
	Observed      Status = 4 // too many errors of the traffic in a row
	SocketError   Status = 5 // no socket: our side's trouble
	L4OK          Status = 6
	L4TOUT        Status = 7
	L4CON         Status = 8
	L6OK          Status = 9
	L6TOUT        Status = 10
	L6RSP         Status = 11
	L7TOUT        Status = 12
	L7RSP         Status = 13 // not HTTP
	L7OK          Status = 15
	L7OKC         Status = 16
	L7STS         Status = 17 // HTTP, but not what is expected
	ProcError     Status = 18 // a program exited with another code than 0
	ProcTimeout   Status = 19
	ProcOK        Status = 20
	lastStatus           = ProcOK
	firstWithCode        = L7OK // from here on there is a status code to show
)

// String is the short name, as in `show stat`.
func (s Status) String() string {
	switch s {
	case INI:
		return "INI"
	case Checked:
		return "CHECKED"
	case Observed:
		return "HANA"
	case SocketError:
		return "SOCKERR"
	case L4OK:
		return "L4OK"
	case L4TOUT:
		return "L4TOUT"
	case L4CON:
		return "L4CON"
	case L6OK:
		return "L6OK"
	case L6TOUT:
		return "L6TOUT"
	case L6RSP:
		return "L6RSP"
	case L7TOUT:
		return "L7TOUT"
	case L7RSP:
		return "L7RSP"
	case L7OK:
		return "L7OK"
	case L7OKC:
		return "L7OKC"
	case L7STS:
		return "L7STS"
	case ProcError:
		return "PROCERR"
	case ProcTimeout:
		return "PROCTOUT"
	case ProcOK:
		return "PROCOK"
	}
	return "UNK"
}

// Describe is the long name, as in log lines.
func (s Status) Describe() string {
	switch s {
	case INI:
		return "Initializing"
	case Checked:
		return "No status change"
	case Observed:
		return "Health analyze"
	case SocketError:
		return "Socket error"
	case L4OK:
		return "Layer4 check passed"
	case L4TOUT:
		return "Layer4 timeout"
	case L4CON:
		return "Layer4 connection problem"
	case L6OK:
		return "Layer6 check passed"
	case L6TOUT:
		return "Layer6 timeout"
	case L6RSP:
		return "Layer6 invalid response"
	case L7TOUT:
		return "Layer7 timeout"
	case L7RSP:
		return "Layer7 invalid response"
	case L7OK:
		return "Layer7 check passed"
	case L7OKC:
		return "Layer7 check conditionally passed"
	case L7STS:
		return "Layer7 wrong status"
	case ProcError:
		return "External check error"
	case ProcTimeout:
		return "External check timeout"
	case ProcOK:
		return "External check passed"
	}
	return "Unknown"
}

// HasCode tells whether a status code, or a program's exit code, came with it.
func (s Status) HasCode() bool { return s >= firstWithCode && s <= lastStatus }

// FromAgent tells whether it is an agent's answer, whatever that said.
func (s Status) FromAgent() bool { return s == L7OK || s == L7STS || s == Checked }

// Passed tells whether the check was good.
func (s Status) Passed() bool {
	return s == L4OK || s == L6OK || s == L7OK || s == L7OKC || s == ProcOK
}

// ParseStatus reads the names that expectations may use for their outcome.
func ParseStatus(name string, good bool) (Status, bool) {
	for s := L4OK; s <= L7STS; s++ {
		if s.Passed() == good && s.String() == name {
			return s, true
		}
	}
	return Unknown, false
}

// Result is the number `show servers state` prints: 0 unknown, 1 neutral, 2
// failed, 3 passed, 4 conditionally passed.
func (s Status) Result() int {
	switch {
	case s <= INI:
		return 0
	case s == Checked:
		return 1
	case s == L7OKC:
		return 4
	case s.Passed():
		return 3
	}
	return 2
}
