package config

import "testing"

// TestDefaultsWithRules: rules of a defaults section serve frontends or backends, not both, and no other kind of section; a section that inherits without
// naming it has them as well.
func TestDefaultsWithRules(t *testing.T) {
	const (
		deny     = "  http-request deny\n"
		accept   = "  tcp-request connection accept\n"
		session  = "  tcp-request session accept\n"
		answers  = "  tcp-response content accept\n"
		delay    = "  tcp-request inspect-delay 1s\n"
		named    = "  acl a always_true\n"
		front    = "  bind 127.0.0.1:18000\n  default_backend b\n"
		back     = "  server s 127.0.0.1:1\n"
		plain    = "defaults x\n  mode http\n" + timeouts
		wontBoth = "frontends and backends cannot inherit from the same defaults section"
		wontTake = "section cannot inherit from a defaults section defining"
	)
	base := func(name, rules string) string { return "defaults " + name + "\n  mode http\n" + timeouts + rules }
	v := newVerdicts(t)
	for _, row := range []struct {
		text string
		want string // what lb says of the refusal; "" is accepted
	}{
		{base("d", deny) + "frontend f from d\n" + front + plain + "backend b\n" + back, ""},
		{base("d", deny) + "frontend f\n" + front + plain + "backend b\n" + back, ""},
		{base("d", deny) + "backend b\n" + back + plain + "frontend f\n" + front, ""},
		{base("d", deny) + plain + "frontend f from x\n" + front + "backend b from d\n" + back, ""},
		{base("d", named+delay) + "frontend f\n" + front + "backend b\n" + back, ""},
		{base("d", named+delay) + "listen l\n  bind 127.0.0.1:18000\n" + back, ""},
		{base("d", named) + "defaults e from d\n" + deny + "frontend f\n" + front + "defaults y from d\nbackend b\n" + back, ""},
		{base("d", accept+session) + "frontend f from d\n" + front + plain + "backend b\n" + back, ""},
		{base("d", answers) + plain + "frontend f from x\n" + front + "backend b from d\n" + back, ""},

		{base("d", deny) + "frontend f\n" + front + "backend b\n" + back, wontBoth},
		{base("d", deny) + "frontend f from d\n" + front + "backend b from d\n" + back, wontBoth},
		{base("d", deny) + "backend b from d\n" + back + plain + "frontend f from d\n" + front, wontBoth},
		{base("d", deny) + "frontend f from d\n" + front + "backend b from d\n  disabled\n" + back, wontBoth},
		{base("d", deny) + "listen l from d\n  bind 127.0.0.1:18000\n" + back, "a listen " + wontTake},
		{base("d", answers) + "listen l\n  bind 127.0.0.1:18000\n" + back, "a listen " + wontTake},
		{base("d", deny) + "defaults e from d\nfrontend f\n" + front + plain + "backend b\n" + back, "a defaults " + wontTake},
		{base("d", accept) + plain + "frontend f from x\n" + front + "backend b from d\n" + back, "a backend " + wontTake},
		{base("d", session) + plain + "frontend f from x\n" + front + "backend b from d\n" + back, "a backend " + wontTake},
		{base("d", answers) + "frontend f from d\n" + front + plain + "backend b\n" + back, "a frontend " + wontTake},
		{base("d", "") + base("d", "") + "frontend f from d\n" + front + plain + "backend b\n" + back, "ambiguous defaults section name 'd'"},
		{base("d", "") + base("d", "") + "defaults e from d\nfrontend f\n" + front + "backend b\n" + back, "ambiguous defaults section name 'd'"},
	} {
		if row.want == "" {
			v.accept(row.text, "")
		} else {
			v.refuse(row.text, row.want)
		}
	}
	const mixed = "is named by one section and used implicitly by another"
	v.accept(base("d", "")+"frontend f from d\n"+front+"backend b\n"+back, mixed)
	v.accept(base("d", "")+base("d", "")+"frontend f\n"+front+"backend b\n"+back, "")
}
