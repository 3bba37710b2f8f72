package backend

// Admit takes a place on s for a connection that is there already, whatever
// s's state and maxconn: one that came from an earlier process.
func (b *Backend) Admit(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(s)
}
