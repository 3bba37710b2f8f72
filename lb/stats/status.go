package stats

import (
	"strconv"
	"time"
)

// class is what a server's row comes down to: it chooses the status word, the
// colour on the page and the state on the Prometheus page.
type class uint8

const (
	classDown class = iota
	classDownAgent
	classGoingUp
	classGoingDown
	classUp
	classNoLB
	classDrain
	classNoCheck
	classMaint
)

// class of a server's row.
func (r *Row) class() class {
	checked := r.CheckConfigured || r.TrackedChecked
	full := !checked || r.CheckHealth >= r.CheckRise+r.CheckFall-1
	switch {
	case r.Admin.Maint():
		return classMaint
	case r.State == Stopped:
		if r.agent() && r.AgentHealth == 0 {
			return classDownAgent
		}
		if checked && r.CheckHealth > 0 {
			return classGoingUp
		}
		return classDown
	case r.State == Stopping:
		return classNoLB
	case r.Admin.Drain():
		return classDrain
	case !full:
		return classGoingDown
	case !checked:
		return classNoCheck
	}
	return classUp
}

// StatusText is the status column: a server's made of its states ("UP 1/3",
// "DOWN", "MAINT (via b/s)", "no check"), Status for the other kinds.
func (r *Row) StatusText() string {
	if r.Kind != Server {
		return r.Status
	}
	full := !(r.CheckConfigured || r.TrackedChecked) || r.CheckHealth >= r.CheckRise+r.CheckFall-1
	word := "UP"
	switch r.class() {
	case classMaint:
		switch {
		case r.Admin&ResolvedMaint != 0:
			return "MAINT (resolution)"
		case r.Admin&InheritedMaint != 0:
			return "MAINT (via " + r.Tracked + ")"
		}
		return "MAINT"
	case classDown:
		return "DOWN"
	case classDownAgent:
		return "DOWN (agent)"
	case classGoingUp:
		return "DOWN " + strconv.Itoa(r.CheckHealth) + "/" + strconv.Itoa(r.CheckRise)
	case classNoCheck:
		return "no check"
	case classNoLB:
		word = "NOLB"
	case classDrain:
		if r.agent() {
			return "DRAIN (agent)"
		}
		word = "DRAIN"
	}
	if full {
		return word
	}
	return word + " " + strconv.Itoa(r.CheckHealth-r.CheckRise+1) + "/" + strconv.Itoa(r.CheckFall)
}

// agent tells whether an agent is asked.
func (r *Row) agent() bool { return r.AgentConfigured && r.AgentStatus != "" || r.TrackedAgent }

// down tells whether the filter "up" hides the row.
func (r *Row) down() bool {
	switch r.Kind {
	case Server:
		return r.State == Stopped
	case Backend:
		return r.Status == "DOWN"
	}
	return false
}

// checked tells whether the results of health checks are shown: a server in
// maintenance is not checked.
func (r *Row) checked() bool {
	return r.CheckConfigured && r.CheckStatus != "" && !r.Admin.Maint()
}

// Uptime is how HAProxy writes the time since the start: "0d 1h02m03s".
func Uptime(d time.Duration) string {
	s := int(d / time.Second)
	return strconv.Itoa(s/86400) + "d " + strconv.Itoa(s/3600%24) + "h" + two(s/60%60) + "m" + two(s%60) + "s"
}

// Ago is how the page writes a number of seconds: the two largest units.
func Ago(s int) string {
	switch {
	case s < 0:
		return "?"
	case s < 60:
		return strconv.Itoa(s) + "s"
	case s < 3600:
		return strconv.Itoa(s/60) + "m" + strconv.Itoa(s%60) + "s"
	case s < 86400:
		return strconv.Itoa(s/3600) + "h" + strconv.Itoa(s/60%60) + "m"
	}
	return strconv.Itoa(s/86400) + "d" + strconv.Itoa(s/3600%24) + "h"
}

func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}
