package config

import "time"

// timeoutTable holds the timeouts and their old spellings.
func timeoutTable() []row[*draft] {
	set := func(field func(t *Timeouts) *time.Duration) func(*call, *draft) error {
		return func(c *call, d *draft) error {
			v, err := duration(c.name, c.args[0], time.Millisecond)
			*field(&d.Timeouts) = v
			return err
		}
	}
	rows := []struct {
		name  string
		in    sections
		field func(t *Timeouts) *time.Duration
		old   string
	}{
		{"timeout check", back, func(t *Timeouts) *time.Duration { return &t.Check }, ""},
		{"timeout client", front, func(t *Timeouts) *time.Duration { return &t.Client }, "clitimeout"},
		{"timeout client-fin", front, func(t *Timeouts) *time.Duration { return &t.ClientFin }, ""},
		{"timeout client-hs", front, func(t *Timeouts) *time.Duration { return &t.ClientHandshake }, ""}, // 2.9
		{"timeout connect", back, func(t *Timeouts) *time.Duration { return &t.Connect }, "contimeout"},
		{"timeout http-keep-alive", anywhere, func(t *Timeouts) *time.Duration { return &t.HTTPKeepAlive }, ""},
		{"timeout http-request", anywhere, func(t *Timeouts) *time.Duration { return &t.HTTPRequest }, ""},
		{"timeout queue", back, func(t *Timeouts) *time.Duration { return &t.Queue }, ""},
		{"timeout server", back, func(t *Timeouts) *time.Duration { return &t.Server }, "srvtimeout"},
		{"timeout server-fin", back, func(t *Timeouts) *time.Duration { return &t.ServerFin }, ""},
		{"timeout server-hs", back, func(t *Timeouts) *time.Duration { return &t.ServerHandshake }, ""}, // 3.3
		{"timeout tarpit", anywhere, func(t *Timeouts) *time.Duration { return &t.Tarpit }, ""},
		{"timeout tunnel", back, func(t *Timeouts) *time.Duration { return &t.Tunnel }, ""},
	}
	var table []row[*draft]
	for _, r := range rows {
		table = append(table, row[*draft]{name: r.name, args: "<time>", min: 1, max: 1, in: r.in, apply: set(r.field)})
		if r.old != "" {
			table = append(table, row[*draft]{name: r.old, args: "<time>", min: 1, max: 1, in: r.in, status: Translated, doc: "it is read as '" + r.name + "'", apply: set(r.field)})
		}
	}
	return table
}
