package succession

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

// ticketKeys are the session ticket keys of one bind line, the newest first.
// They live in memory only, and pass from worker to worker, so that a client's
// session can be resumed after a reload.
type ticketKeys struct {
	Bind string     `json:"bind"`
	Keys [][32]byte `json:"keys"`
}

// Session tickets are good for three turns of the key.
const (
	ticketTurn = 8 * time.Hour
	ticketKeep = 3
)

// Tickets holds the keys of all bind lines.
type Tickets struct {
	mu sync.Mutex
	// mu guards the fields below.
	binds []*ticketBind
}

type ticketBind struct {
	ticketKeys
	cfg *tls.Config
}

// Add begins with a key of its own for a bind line.
func (t *Tickets) Add(bind string, cfg *tls.Config) {
	if cfg.SessionTicketsDisabled {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &ticketBind{ticketKeys: ticketKeys{Bind: bind}, cfg: cfg}
	b.turn()
	t.binds = append(t.binds, b)
}

// turn makes a new key; tickets of the older ones are still good.
func (b *ticketBind) turn() {
	var key [32]byte
	rand.Read(key[:])
	b.Keys = append([][32]byte{key}, b.Keys[:min(len(b.Keys), ticketKeep-1)]...)
	b.cfg.SetSessionTicketKeys(b.Keys)
}

// Run turns the keys until ctx ends.
func (t *Tickets) Run(ctx context.Context) {
	tick := time.NewTicker(ticketTurn)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.mu.Lock()
			for _, b := range t.binds {
				b.turn()
			}
			t.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// all gives the keys for the next worker.
func (t *Tickets) all() []ticketKeys {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []ticketKeys
	for _, b := range t.binds {
		list = append(list, b.ticketKeys)
	}
	return list
}

// take replaces keys by those of the worker before.
func (t *Tickets) take(list []ticketKeys) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.binds {
		for _, k := range list {
			if k.Bind == b.Bind && len(k.Keys) > 0 {
				b.Keys = k.Keys
				b.cfg.SetSessionTicketKeys(b.Keys)
			}
		}
	}
}
