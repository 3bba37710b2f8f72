package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// counters are the columns of show stat that are compared with the books.
type counters struct {
	requests int // of the frontend
	sessions int // of the plain tunnels
}

// counters asks lb for what it has counted.
func (s *site) counters() (c counters, err error) {
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

// counted compares what lb has counted in a round with the lines of its log.
func (j *judge) counted(runs []*run, before, after counters) {
	for _, w := range j.windows {
		if w.fault.permits.counters {
			return
		}
	}
	var lines counters
	for _, r := range runs {
		n := 0
		for i := range r.asked {
			// A line that may be missing was counted all the same.
			if i < len(r.logged) && r.logged[i].lines > 0 || r.asked[i].outcome == 0 {
				n++
			}
		}
		if r.plain {
			lines.sessions += n
		} else {
			lines.requests += n
		}
	}
	if n := after.requests - before.requests; n != lines.requests {
		j.complain("", "show stat counts %d requests, the books %d", n, lines.requests)
	}
	if n := after.sessions - before.sessions; n != lines.sessions {
		j.complain("", "show stat counts %d sessions of tunnels, the books %d", n, lines.sessions)
	}
}
