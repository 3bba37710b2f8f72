package seldom

import (
	"sync"
	"time"
)

// A Trouble is something that does not work for a while, and what the log has heard of it. The zero value is that it works.
type Trouble struct {
	// mu guards the fields below.
	mu     sync.Mutex
	text   string // empty: it works
	said   string // what was logged last; empty: nothing, or that it works again
	saidAt time.Time
}

// quiet is how long the log hears nothing of a trouble that it knows already, whatever becomes of it.
const quiet = time.Minute

// Note notes what does not work; empty: it works. It says whether that is news for the log: trouble that it has not heard of, or that what it has
// heard of is over.
func (t *Trouble) Note(text string) (news, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = text
	if text != "" {
		return t.due(text), false
	}
	over = t.said != ""
	t.said = ""
	return false, over
}

// Due says whether to log text now, for what happens and is over at once.
func (t *Trouble) Due(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.due(text)
}

// due says whether to log text now. Called with mu held.
func (t *Trouble) due(text string) bool {
	now := time.Now()
	if t.said == text || !t.saidAt.IsZero() && now.Sub(t.saidAt) < quiet {
		return false
	}
	t.said, t.saidAt = text, now
	return true
}

// Text is what does not work now; empty: it works.
func (t *Trouble) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
