package search

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
)

// Searcher is a search in some logs. It belongs to one goroutine.
type Searcher struct {
	Logs   []Log
	Query  Query
	Fields bool // lines come with their fields

	small int64 // what is read whole; 0: smallFile
	scans []*scan
}

// Unsearchable is why a log cannot be searched as a query wants.
type Unsearchable struct{ Log, Why string }

func (u Unsearchable) Error() string { return fmt.Sprintf("output %s: %s", u.Log, u.Why) }

// begin makes the scans.
func (r *Searcher) begin(follow bool) error {
	var problems []error
	q := &r.Query
	for i := range r.Logs {
		log := &r.Logs[i]
		s, err := newScan(log, q, len(r.Logs) > 1, r.Fields)
		if err != nil {
			return err
		}
		s.follow = follow
		if r.small > 0 {
			s.small = r.small
		}
		for _, need := range []struct {
			field, option, way string
			asked              bool
		}{
			{"time", "--since and --until", "give its template %time%, %received% or %stamp%, with a text after it that ends it", q.timed()},
			{"host", "--host", "give its template %host%, with a text after it that ends it", q.Hosts != nil},
			{"tag", "--tag", "give its template %tag%, with a text after it that ends it", q.Tags != nil},
			{"severity", "--severity", "format rfc5424 or json has it, and a template with %severity% or %pri%", q.Rated},
		} {
			if need.asked && !s.reader.Has(need.field) {
				problems = append(problems, Unsearchable{log.Output, fmt.Sprintf("its lines have no %s, so %s cannot choose among them; %s", need.field, need.option, need.way)})
			}
		}
		r.scans = append(r.scans, s)
	}
	return errors.Join(problems...)
}

// Run hands each line that is wanted to do, until that returns false: those of one log in the order in which they are stored, those of several
// merged by time. What cannot be read is an error, after the lines of everything that can.
func (r *Searcher) Run(follow bool, do func(Line) bool) error {
	if err := r.begin(follow); err != nil {
		return err
	}
	if len(r.scans) == 1 {
		return r.scans[0].files(do)
	}
	var problems []error
	var heads merge
	defer func() {
		for _, h := range heads {
			h.stop()
		}
	}()
	for i, s := range r.scans {
		h := &head{scan: s, rank: i}
		h.next, h.stop = iter.Pull(func(yield func(Line) bool) {
			if err := s.files(yield); err != nil {
				problems = append(problems, err)
			}
		})
		if h.advance() {
			heads = append(heads, h)
		}
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		h := heads[0]
		if !do(h.line) {
			return errors.Join(problems...)
		}
		if h.advance() {
			heap.Fix(&heads, 0)
		} else {
			heap.Pop(&heads)
		}
	}
	return errors.Join(problems...)
}

// A head is the next line of a scan.
type head struct {
	scan *scan
	rank int // among scans whose lines have the same time
	key  int64
	line Line
	next func() (Line, bool)
	stop func()
}

func (h *head) advance() (ok bool) {
	h.line, ok = h.next()
	h.key = h.scan.key
	return ok
}

// merge is a heap of the heads of scans.
type merge []*head

func (m merge) Len() int { return len(m) }
func (m merge) Less(i, j int) bool {
	if m[i].key != m[j].key {
		return m[i].key < m[j].key
	}
	return m[i].rank < m[j].rank
}
func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)   { *m = append(*m, x.(*head)) }
func (m *merge) Pop() any {
	old := *m
	last := old[len(old)-1]
	*m = old[:len(old)-1]
	return last
}
