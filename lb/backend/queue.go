package backend

// Waiter is one request in line for a place. It is owned by its loop, but for
// the guarded fields.
type Waiter struct {
	// Wake tells the loop that a place may have been granted; it is called
	// with the backend's lock held, from any goroutine, and must only post.
	Wake func()

	// Backend.mu guards the fields below.
	next, prev *Waiter
	in         *queue
	granted    *Server
}

// queue is a first-in first-out line of waiters.
type queue struct {
	head, tail *Waiter
	len, max   int
}

func (q *queue) push(w *Waiter) {
	w.in, w.prev, w.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = w
	} else {
		q.head = w
	}
	q.tail = w
	q.len++
	q.max = max(q.max, q.len)
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

// Enqueue puts w in line for any server, or for s alone when s is not nil. It
// gives how many waited before it. When a place came free meanwhile it is
// granted at once.
func (b *Backend) Enqueue(w *Waiter, s *Server) (ahead int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queue
	if s != nil {
		q = &s.queue
	}
	ahead = q.len
	q.push(w)
	if s != nil {
		b.grant(s)
		return ahead
	}
	for _, s := range b.active {
		b.grant(s)
	}
	return ahead
}

// Granted takes the place that w was granted, nil when there is none yet.
func (b *Backend) Granted(w *Waiter) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := w.granted
	w.granted = nil
	return s
}

// Cancel takes w out of the line. A place granted meanwhile is given, and must
// be used or released.
func (b *Backend) Cancel(w *Waiter) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.in != nil {
		w.in.remove(w)
	}
	s := w.granted
	w.granted = nil
	return s
}

// grant hands free places on s to those who wait: for s itself first. mu is
// held.
func (b *Backend) grant(s *Server) {
	for !s.full() {
		var w *Waiter
		switch {
		case s.queue.head != nil && s.usable():
			w = s.queue.head
			s.queue.remove(w)
		case b.queue.head != nil && s.balanced():
			w = b.queue.head
			b.queue.remove(w)
			b.picked++
			s.picked++
		default:
			return
		}
		b.take(s)
		w.granted = s
		w.Wake()
	}
}

// requeue lets those who wait for s alone wait for any server, now that s is
// not usable. mu is held.
func (b *Backend) requeue(s *Server) {
	for s.queue.head != nil {
		w := s.queue.head
		s.queue.remove(w)
		b.queue.push(w)
	}
	for _, other := range b.active {
		b.grant(other)
	}
}
