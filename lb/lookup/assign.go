package lookup

// Assign gives all lines of a key a value; a key that has none gets one. Where
// that is so already, nothing changes.
func (f *File) Assign(key, value string) error {
	ref := Ref{Key: key}
	f.mu.Lock()
	places := f.places(ref)
	same := true
	for _, at := range places {
		same = same && f.entries[at].Value == value
	}
	f.mu.Unlock()
	switch {
	case len(places) == 0:
		return f.Add(Entry{Key: key, Value: value})
	case same:
		return nil
	}
	return f.Set(ref, value)
}
