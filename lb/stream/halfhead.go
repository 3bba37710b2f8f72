package stream

// Half a head waits in memory of its own size, not in the 32 KiB buffer it was
// read into: a client that sends a head a byte at a time, or one in pieces over
// a slow line, would otherwise hold a whole buffer for as long as timeout
// http-request lets it. The pieces lie in a table of the shard, because nearly no
// session ever has one.

// park takes the half head out of the input buffer and gives the buffer back.
// All of it is scanned, so an input-less session with scanned > 0 is a parked one.
func (s *session) park() {
	s.sh.halfHeads[s] = append(s.sh.halfHeads[s][:0], s.in.Bytes()...)
	s.putIn()
}

// half is the parked part of a head; nil when nothing is parked.
func (s *session) half() []byte {
	if s.in != nil || s.scanned == 0 {
		return nil
	}
	return s.sh.halfHeads[s]
}

// unpark gives the session an input buffer with what was parked in it. The
// memory of the half stays for the next park, until the head is complete or
// the session ends.
func (s *session) unpark() {
	half := s.half()
	s.in = s.sh.Loop.Buffers.Get()
	s.in.W = copy(s.in.Data[:], half)
}

// dropHalf forgets the parked part of a head.
func (s *session) dropHalf() {
	if s.scanned > 0 {
		delete(s.sh.halfHeads, s)
		s.scanned = 0
	}
}
