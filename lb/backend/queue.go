package backend

// Waiter is one request in line for a place. It is owned by its loop, but for
// the guarded fields.
type Waiter struct {
	// Wake tells the loop that a place may have been granted; it is called
	// with the backend's lock held, from any goroutine, and must only post.
	Wake func()

	// Class and Due are where it stands in line: before those of a higher class,
	// and of its own class before those that are due later, in ms.
	Class int32
	Due   int64

	// Backend.mu guards the fields below.
	next, prev *Waiter
	in         *queue
	seq        uint64 // smaller is older
	granted    *Server
	begun      uint64 // how many of its queue had been granted a place when it came
	place      int    // in the queue, as HAProxy has it in logs: 1, and one for each who was granted a place before it
}

// leaves takes w out of its queue. mu is held.
func (w *Waiter) leaves() {
	w.place = int(w.in.granted-w.begun) + 1
	w.in.remove(w)
}

// Place is what the log says of where w stood, once it has left the queue.
func (w *Waiter) Place() int { return w.place }

// before reports whether w's turn is before o's.
func (w *Waiter) before(o *Waiter) bool {
	switch {
	case w.Class != o.Class:
		return w.Class < o.Class
	case w.Due != o.Due:
		return w.Due < o.Due
	}
	return w.seq < o.seq
}

// queue is a line of waiters in the order of their turns, which is their age
// where no rule has set priorities.
type queue struct {
	head, tail *Waiter
	len, max   int
	granted    uint64 // places
}

// enter puts w into its place.
func (q *queue) enter(w *Waiter) {
	at := (*Waiter)(nil)
	for last := q.tail; last != nil && w.before(last); last = last.prev {
		at = last
	}
	q.insert(w, at)
	w.begun = q.granted
}

// insert puts w before at, or last when at is nil.
func (q *queue) insert(w, at *Waiter) {
	w.in, w.prev, w.next = q, q.tail, at
	if at != nil {
		w.prev, at.prev = at.prev, w
	} else {
		q.tail = w
	}
	if w.prev != nil {
		w.prev.next = w
	} else {
		q.head = w
	}
	q.len++
	q.max = max(q.max, q.len)
}

// merge moves the waiters of from to where their turn is.
func (q *queue) merge(from *queue) {
	at := q.head
	for w := from.head; w != nil; w = from.head {
		from.remove(w)
		w.begun += q.granted - from.granted
		for at != nil && at.before(w) {
			at = at.next
		}
		q.insert(w, at)
	}
}

func (q *queue) remove(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.tail = w.prev
	}
	w.in, w.prev, w.next = nil, nil, nil
	q.len--
}

// Enqueue puts w in line for any server, or for s alone when s is not nil and
// still usable. When a place came free meanwhile
// it is granted at once.
func (b *Backend) Enqueue(w *Waiter, s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	w.seq = b.seq
	q := &b.queue
	if s != nil && s.usable() {
		q = &s.queue
	}
	q.enter(w)
	if q != &b.queue {
		b.grant(s)
	} else {
		b.grantAll()
	}
}

// Granted takes the place that w was granted, nil when there is none yet.
func (b *Backend) Granted(w *Waiter) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := w.granted
	w.granted = nil
	return s
}

// LineOf is the server that w waits for, nil where any will do.
func (b *Backend) LineOf(w *Waiter) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.Servers {
		if w.in == &s.queue {
			return s
		}
	}
	return nil
}

// Cancel takes w out of the line. A place granted meanwhile is given, and must
// be used or released.
func (b *Backend) Cancel(w *Waiter) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.in != nil {
		w.leaves()
	}
	s := w.granted
	w.granted = nil
	return s
}

// grant hands free places on s to those who wait for s or for any server, in
// the order of their turns. mu is held.
func (b *Backend) grant(s *Server) {
	for !s.full() {
		var own, any *Waiter
		if s.usable() {
			own = s.queue.head
		}
		if s.active {
			any = b.queue.head
		}
		w := own
		switch {
		case own == nil && any == nil:
			return
		case own == nil || any != nil && any.before(own):
			w = any
		}
		in := w.in
		w.leaves()
		in.granted++
		b.take(s)
		w.granted = s
		w.Wake()
	}
}

// grantAll hands out every free place.
// Invariant: after it, and after each exported call, whoever waits for any
// server waits because all the active ones are full. mu is held.
func (b *Backend) grantAll() {
	for _, s := range b.active {
		if b.queue.head == nil {
			return
		}
		b.grant(s)
	}
}
