package worker

import (
	"context"
	"time"

	"lbsyslogd/lb/stick"
)

// tables makes the stick tables and gives them to the rules that name them.
func (b *builder) tables() {
	b.eng.Tables = map[string]*stick.Table{}
	for _, p := range b.cfg.Proxies {
		if p.Table != nil {
			t := stick.New(*p.Table)
			b.eng.Tables[p.Name] = t
			b.rt.tables = append(b.rt.tables, t)
		}
	}
	for _, use := range b.cfg.Tables {
		use.Ref.Bind(b.eng.Tables[use.Name])
	}
}

// sweepEvery is how often entries whose time is over give their memory back.
// Nobody finds them earlier either; it is about the room they take.
const sweepEvery = time.Second

// sweepTables removes entries whose time is over until ctx ends.
func (rt *Runtime) sweepTables(ctx context.Context) {
	if len(rt.tables) == 0 {
		return
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, t := range rt.tables {
				t.Sweep(stick.Now())
			}
		case <-ctx.Done():
			return
		}
	}
}

// Tables implements control.Runtime.
func (rt *Runtime) Tables() []*stick.Table { return rt.tables }
