package stream

// step is how a step of a session or an exchange ended.
type step uint8

const (
	onward step = iota // the next step may come at once
	waits              // nothing more can be done until something happens
	left               // the exchange ended, or is in another phase now: what the caller knew of it is over
)
