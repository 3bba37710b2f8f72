package backend

// This file holds roundrobin: whose turn is when, place by place as HAProxy has
// it, so that clients who count on an order find it here too.
//
// A wheel has as many places as its servers weigh together. A server whose turn
// it is gets its next one as much further on as the wheel weighs more than it.
// Servers stand in three piles: those that have a place on this round, those that
// wait for their first one, the heaviest first, and those whose next place is
// beyond the end of this round. At the end of a round the last become those that
// wait. A weight that changes therefore changes the rounds to come, and no place
// that was given.

// The piles of a wheel. The numbers of the last two change places after each round.
const (
	placed = iota
	waiting
	beyond
)

// heaviest is more than any server weighs, in steps.
const heaviest = 256 * steps

// wheel gives the servers of one kind their turns. Backend.mu guards it.
type wheel struct {
	piles        [3]pile
	first, after int    // which of piles has those that wait, and those beyond
	pos          int    // of the next turn
	size         int    // of this round
	sum          int    // of the weights: the size of the rounds to come
	pushed       uint64 // numbers those that go onto piles
}

// turn is a server's part in it. Backend.mu guards it.
type turn struct {
	weight int // in steps; 0: no part
	in     int // the pile's number + 1; 0: none
	index  int // there
	key    int // the least comes first, of equals
	order  uint64
	due    int // the place of its next turn
	last   int // and of the one before
	rest   int // what is left of places, in shares of weight
	held   *Server
}

// pile is a heap of servers.
type pile []*Server

func (p pile) less(i, j int) bool {
	a, b := &p[i].turn, &p[j].turn
	return a.key < b.key || a.key == b.key && a.order < b.order
}

func (p pile) swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].turn.index, p[j].turn.index = i, j
}

// settle moves the server at i to where it belongs.
func (p pile) settle(i int) {
	for i > 0 && p.less(i, (i-1)/2) {
		p.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	p.sink(i)
}

// sink is settle for one that belongs no higher than at i.
func (p pile) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(p) {
			return
		}
		if child+1 < len(p) && p.less(child+1, child) {
			child++
		}
		if !p.less(child, i) {
			return
		}
		p.swap(i, child)
		i = child
	}
}

// push puts s onto a pile.
func (w *wheel) push(s *Server, to, key int) {
	w.pushed++
	t := &s.turn
	t.key, t.order, t.in, t.index = key, w.pushed, to+1, len(w.piles[to])
	w.piles[to] = append(w.piles[to], s) // has room: reserve
	w.piles[to].settle(t.index)
}

// pull takes s off its pile.
func (w *wheel) pull(s *Server) {
	t := &s.turn
	if t.in == 0 {
		return
	}
	p := w.piles[t.in-1]
	last := len(p) - 1
	if i := t.index; i != last {
		p.swap(i, last)
		w.piles[t.in-1] = p[:last]
		w.piles[t.in-1].settle(i)
	} else {
		w.piles[t.in-1] = p[:last]
	}
	p[last], t.in = nil, 0
}

// byWeight puts s onto a pile in which weights decide.
func (w *wheel) byWeight(s *Server, to int) { w.push(s, to, heaviest-s.turn.weight) }

// reset makes the wheel one for up to n servers, with none.
func (w *wheel) reset(n int) {
	for i := range w.piles {
		w.piles[i] = make(pile, 0, n)
	}
	w.first, w.after, w.pos, w.size, w.sum = waiting, beyond, 0, 0, 0
}

// reserve makes room for n servers.
func (w *wheel) reserve(n int) {
	for i, p := range w.piles {
		if cap(p) < n {
			w.piles[i] = append(make(pile, 0, n), p...)
		}
	}
}

// place gives s the place that it is due at, on this round or beyond it.
func (w *wheel) place(s *Server) {
	if t := &s.turn; !w.fits(t) {
		t.due -= w.size
		w.byWeight(s, w.after)
		return
	}
	w.push(s, placed, s.turn.rank())
}

// fits reports whether a turn is on this round.
func (w *wheel) fits(t *turn) bool { return t.due < w.size+min(w.size, w.sum) }

// rank is the key of those that have a place: the place first, of those that want
// the same one the heaviest first.
func (t *turn) rank() int { return 256*t.due + int(uint(heaviest+t.rest-t.weight)/steps) }

// locate makes s's due one of this round.
func (w *wheel) locate(s *Server) {
	t := &s.turn
	switch t.in {
	case w.first + 1:
		t.due, t.rest = 0, 0
	case w.after + 1:
		t.due += w.size
	case 0:
		t.due = w.pos
	}
}

// weigh gives s another weight, in steps; 0 takes it off the wheel.
func (w *wheel) weigh(s *Server, weight int) {
	t := &s.turn
	was := t.weight
	w.sum += weight - was
	switch {
	case weight == was:
	case weight == 0:
		w.pull(s)
		t.weight = 0
	case was == 0:
		t.weight = weight
		t.due = w.pos + (w.sum+w.size-w.pos)/weight
		w.place(s)
	case t.in == w.first+1:
		w.pull(s)
		t.weight = weight
		w.byWeight(s, w.first)
	default:
		w.locate(s)
		before, step := t.due, w.sum/weight
		t.due, t.rest = min(t.last+step, before), 0
		if t.due < w.pos+2 {
			t.due = w.pos + step
		}
		w.pull(s)
		t.weight = weight
		w.place(s)
	}
}

// next is the server whose turn it is; nil: the round is over.
func (w *wheel) next() *Server {
	var s *Server
	if p := w.piles[placed]; len(p) > 0 {
		if s = p[0]; s.turn.due <= w.pos {
			return s
		}
	}
	if p := w.piles[w.first]; len(p) > 0 { // there is a place that nobody has
		s = p[0]
		w.locate(s)
	}
	return s
}

// advance reckons when s, whose turn it is, has its next one.
func (w *wheel) advance(s *Server) {
	t := &s.turn
	if t.due == 0 { // its first
		t.due = w.pos
	}
	t.last = t.due
	t.due += w.sum / t.weight
	if t.rest += w.sum % t.weight; t.rest >= t.weight {
		t.rest -= t.weight
		t.due++
	}
}

// choose gives the server whose turn it is and who has room. One that has none
// uses its turn up; so does the one to be avoided, unless there is no other.
func (w *wheel) choose(avoid *Server) *Server {
	if w.size == 0 {
		w.pos, w.size = w.sum, w.sum
	}
	if p := w.piles[placed]; len(p) > 0 { // almost always
		if s := p[0]; s.turn.due <= w.pos && s != avoid && !s.full() {
			t := &s.turn
			w.advance(s)
			w.pos++
			if w.fits(t) {
				w.pushed++
				t.key, t.order = t.rank(), w.pushed
				p.sink(0)
				return s
			}
			w.pull(s)
			w.place(s)
			return s
		}
	}
	var held, avoided, chosen *Server
	over := false
	for chosen == nil {
		s := w.next()
		if s == nil {
			if over {
				chosen = avoided
				break
			}
			over = true
			w.first, w.after = w.after, w.first
			w.pos, w.size = w.sum, w.sum
			continue
		}
		w.advance(s)
		w.pull(s)
		w.pos++
		if !s.full() {
			if s != avoid || avoided != nil {
				chosen = s
				break
			}
			avoided = s
		}
		held, s.turn.held = s, held
	}
	if chosen != nil {
		w.place(chosen)
	}
	for s := held; s != nil; {
		after := s.turn.held
		s.turn.held = nil
		switch {
		case s == chosen:
		case over:
			w.byWeight(s, w.first)
		default:
			w.place(s)
		}
		s = after
	}
	return chosen
}

// wheel is that of the servers of s's kind.
func (b *Backend) wheel(s *Server) *wheel {
	if s.Backup {
		return &b.wheels[1]
	}
	return &b.wheels[0]
}

// spin gives each server its turns anew, as far as they are not those that were
// restored. mu is held.
func (b *Backend) spin() {
	for i := range b.wheels {
		b.wheels[i].reset(len(b.Servers))
	}
	for _, s := range b.Servers {
		t, w := &s.turn, b.wheel(s)
		restored := s.restored
		*t, s.restored = turn{weight: s.heft()}, nil
		if t.weight == 0 {
			continue
		}
		w.sum += t.weight
		if len(restored) == turnNumbers {
			w.pos, w.size = max(w.pos, restored[4]), max(w.size, restored[5])
			t.due, t.last, t.rest = restored[1], restored[2], min(max(restored[3], 0), t.weight-1)
			switch restored[0] {
			case placed:
				w.push(s, placed, t.rank())
				continue
			case beyond:
				w.byWeight(s, w.after)
				continue
			}
			t.due, t.rest = 0, 0
		}
		w.byWeight(s, w.first)
	}
	for i := range b.wheels {
		if w := &b.wheels[i]; w.size == 0 {
			w.pos, w.size = w.sum, w.sum
		}
	}
}

// turnNumbers is how many numbers tell the next process of a server's turn.
const turnNumbers = 6

// told is s's turn for the next process; nil while there has been none. mu is held.
func (s *Server) told() []int {
	w, t := s.b.wheel(s), &s.turn
	where := placed
	switch t.in {
	case 0:
		return nil
	case w.first + 1:
		where = waiting
	case w.after + 1:
		where = beyond
	}
	if w.pos == w.size { // a round begins
		return nil
	}
	return []int{where, t.due, t.last, t.rest, w.pos, w.size}
}

// heft is what the server weighs on the wheel, in steps: nothing unless it takes
// part. mu is held.
func (s *Server) heft() int {
	if !s.b.turns() || !s.balanced() {
		return 0
	}
	return s.weight * s.step()
}

// turns reports whether a wheel gives servers their turns.
func (o *Options) turns() bool { return o.Algo == RoundRobin && !o.Fixed }
