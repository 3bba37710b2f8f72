package sample

// Needs are facts that cost the engine something, and that it gathers only when
// a rule or a log line shows them.
type Needs uint8

// The facts.
const (
	NeedsFrontAddr Needs = 1 << iota // Record.FrontAddr: %fi, %fp, dst, dst_port
	NeedsBackAddr                    // Record.BackAddr: %bi, %bp
	NeedsLogCount                    // Record.LogCount: %lc
	NeedsTLS                         // TLSFacts.Detail of the client's connection
	NeedsBackTLS                     // and of the server's
)
