package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// summary is what all rounds came to.
type summary struct {
	took                    time.Duration
	rounds, differences     int
	requests, done, excused map[string]int

	until  int  // requests up to the first difference, if there is one
	broken bool // a round could not be played to its end
	what   string

	generations, moved int // workers that began, and connections that went from one to the next, as lb says

	processor   time.Duration // of the whole machine, whoever used it
	early, late []vitals      // of the daemons after the first round, and after the last
}

func (s *summary) add(r result, early []vitals, took time.Duration) {
	s.early, s.late = early, r.vitals
	s.took = took
	s.rounds++
	s.differences += r.count
	if len(r.problems) > 0 {
		s.what = r.problems[0].text
	}
	merge(&s.requests, r.requests)
	merge(&s.done, r.done)
	merge(&s.excused, r.excused)
}

func merge(sum *map[string]int, more map[string]int) {
	if *sum == nil {
		*sum = map[string]int{}
	}
	for k, n := range more {
		(*sum)[k] += n
	}
}

// total is how many requests there were.
func (s summary) total() (n int) {
	for _, k := range s.requests {
		n += k
	}
	return n
}

func (s summary) String() string {
	var b strings.Builder
	total := s.total()
	fmt.Fprintf(&b, "\n%d requests in %d rounds, %v, %.0f a second\n", total, s.rounds, s.took.Round(time.Second), float64(total)/max(s.took.Seconds(), 1))
	fmt.Fprintf(&b, "the machine's processors were busy for %v, %v a request; the soak itself had %d MiB at most\n", s.processor.Round(time.Second),
		(s.processor / time.Duration(max(total, 1))).Round(time.Microsecond), mostMemory()>>10)
	for _, table := range []struct {
		title string
		rows  map[string]int
	}{{"requests", s.requests}, {"deeds", s.done}, {"permitted differences", s.excused}} {
		fmt.Fprintf(&b, "%s\n", table.title)
		for _, name := range slices.Sorted(maps.Keys(table.rows)) {
			fmt.Fprintf(&b, "  %-40s %10d\n", name, table.rows[name])
		}
	}
	fmt.Fprintf(&b, "%d generations, %d connections moved\n", s.generations, s.moved)
	for i := range s.late {
		fmt.Fprintf(&b, "after the first round: %v\nafter the last:        %v\n", s.early[i], s.late[i])
	}
	fmt.Fprintf(&b, "differences that nothing permits: %d\n", s.differences)
	return b.String()
}

// told counts in what lb has printed how many generations there were, and how many connections moved.
func (s *summary) told(text string) {
	s.generations = strings.Count(text, "Loading success.") + strings.Count(text, " is on trial: ")
	s.moved = 0
	for _, m := range movedLine.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		s.moved += n
	}
}

var movedLine = regexp.MustCompile(`has left after \S+: (\d+) connections? moved`)
