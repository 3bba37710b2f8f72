package assemble

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"lbsyslogd/lb/cache"
	"lbsyslogd/lb/control"
	patterns "lbsyslogd/lb/lookup"
	"lbsyslogd/lb/stick"
)

// tables makes the stick tables and gives them to the rules that name them.
func (b *builder) tables() {
	b.eng.Tables = map[string]*stick.Table{}
	add := func(spec *stick.Spec) {
		t := stick.New(*spec)
		b.eng.Tables[spec.Name] = t
		b.rt.tables = append(b.rt.tables, t)
	}
	for _, spec := range b.cfg.PeerTables {
		add(spec)
	}
	for _, p := range b.cfg.Proxies {
		if p.Table != nil {
			add(p.Table)
		}
	}
	slices.SortStableFunc(b.rt.tables, func(a, t *stick.Table) int { return cmp.Compare(a.Place, t.Place) })
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

// Files implements control.Runtime.
func (rt *Runtime) Files() []*patterns.File { return rt.cfg.Files }

// Tables implements control.Runtime.
func (rt *Runtime) Tables() []*stick.Table { return rt.tables }

// appendTables appends the stick tables' metrics, as HAProxy has them.
func (rt *Runtime) appendTables(dst []byte) []byte {
	if len(rt.tables) == 0 {
		return dst
	}
	now := stick.Now()
	for _, m := range []struct {
		name, help string
		value      func(t *stick.Table) int
	}{
		{"size", "Stick table size.", func(t *stick.Table) int { return t.Size }},
		{"used", "Number of entries used in this stick table.", func(t *stick.Table) int { return t.Used(now) }},
	} {
		dst = fmt.Appendf(dst, "# HELP haproxy_sticktable_%[1]s %[2]s\n# TYPE haproxy_sticktable_%[1]s gauge\n", m.name, m.help)
		for _, t := range slices.Backward(rt.tables) {
			dst = fmt.Appendf(dst, "haproxy_sticktable_%s{name=%q,type=%q} %d\n", m.name, t.Name, t.Type, m.value(t))
		}
	}
	return dst
}

// caches makes the caches, empty: what the worker before has kept is its own.
func (b *builder) caches() {
	for _, c := range b.cfg.Caches {
		made, err := cache.New(c.Settings)
		if err != nil {
			b.refuse(c.Pos, fmt.Errorf("cache '%s': %d MiB of memory: %w", c.Name, c.Size>>20, err))
			continue
		}
		if b.eng.Caches == nil {
			b.eng.Caches = map[string]*cache.Cache{}
		}
		b.eng.Caches[c.Name] = made
	}
}

// Caches implements control's part of that name.
func (rt *Runtime) Caches() (all []control.Cache) {
	now := time.Now().Unix()
	for _, c := range rt.cfg.Caches {
		rows, free := rt.eng.Caches[c.Name].Rows(now)
		one := control.Cache{Name: c.Name, Free: free}
		for _, r := range rows {
			one.Objects = append(one.Objects, control.CacheObject(r))
		}
		all = append(all, one)
	}
	return all
}
