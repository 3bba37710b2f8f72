package certs

// transactions are changes that were set and not committed.
type transactions struct{}
