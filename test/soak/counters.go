package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// counters are the columns of show stat that are compared with the books.
type counters struct {
	requests int // of the frontend
	sessions int // of the plain tunnels
}

// counters asks lb for what it has counted, until it says the same twice: what a worker that has left had counted comes a moment later.
func (s *site) counters() (counters, error) {
	last, err := s.ask()
	for range 100 {
		if err != nil {
			break
		}
		before := last
		time.Sleep(50 * time.Millisecond)
		if last, err = s.ask(); last == before {
			break
		}
	}
	return last, err
}

// ask asks for the counters of this moment.
func (s *site) ask() (c counters, err error) {
	text, err := s.lb.Command("show stat")
	if err != nil {
		return c, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return c, fmt.Errorf("show stat: %q: %w", text, err)
	}
	for _, want := range []struct {
		proxy, column string
		n             *int
	}{{"www", "req_tot", &c.requests}, {"echo", "stot", &c.sessions}} {
		column := slices.Index(rows[0], want.column)
		row := slices.IndexFunc(rows, func(r []string) bool { return r[0] == want.proxy && r[1] == "FRONTEND" })
		if column < 0 || row < 0 {
			return c, fmt.Errorf("show stat has no %s of %s:\n%s", want.column, want.proxy, text)
		}
		if *want.n, err = strconv.Atoi(rows[row][column]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// counted compares what lb has counted in a round with the lines of its log. Where a fault permits that counts are lost, they may be short, and still
// nothing may be counted twice. A request that failed and has no line may have been counted or not: it was not read, or syslogd was killed with its line.
func (j *judge) counted(runs []*run, before, after counters) {
	short := slices.ContainsFunc(j.windows, func(w window) bool { return w.fault.permits.counters })
	var lines, most counters // most: with those that have no line, and of which nobody knows whether they were counted
	for _, r := range runs {
		n, unknown := 0, 0
		for i := range r.asked {
			// A line that may be missing was counted all the same.
			if i < len(r.logged) && r.logged[i].lines > 0 || r.asked[i].outcome == 0 {
				n++
			} else {
				unknown++
			}
		}
		if r.plain {
			lines.sessions, most.sessions = lines.sessions+n, most.sessions+n+unknown
		} else {
			lines.requests, most.requests = lines.requests+n, most.requests+n+unknown
		}
	}
	row := func(what string, n, lines, most int) {
		switch {
		case !short && n < lines:
			j.complain("", "show stat counts %d %s, the books %d", n, what, lines)
		case n > most:
			j.complain("", "show stat counts %d %s, the books %d at most", n, what, most)
		}
	}
	row("requests", after.requests-before.requests, lines.requests, most.requests)
	row("sessions of tunnels", after.sessions-before.sessions, lines.sessions, most.sessions)
}
