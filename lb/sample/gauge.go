package sample

import (
	"fmt"
	"strings"
)

// Gauge is a number that the engine knows of a proxy or a server, as a rule
// names it. It means nothing until Read is set.
type Gauge struct {
	What   string // the fetch's name
	Proxy  string // "" is the proxy in which the rule stands
	Server string
	Read   func() int64

	// Of reads it of what each evaluation names: the proxy of an exchange, where
	// a defaults section holds the rule, or what a converter is given. Named says
	// that this is wanted in place of Read.
	Named bool
	Of    func(name string) int64
}

func (*Gauge) isRef() {}

// OfFrontend reports whether the proxy is a frontend.
func (g *Gauge) OfFrontend() bool { return strings.HasPrefix(g.What, "fe_") }

// OfProcess reports whether it belongs to no proxy.
func (g *Gauge) OfProcess() bool { return g.What == "stopping" }

// fetchesGauge tell how the proxies and servers are (HAProxy configuration
// manual, section 7.3.2).
var fetchesGauge = gaugeRows()

func gaugeRows() []fetchRow {
	var rows []fetchRow
	for _, g := range []struct{ name, args string }{
		{"avg_queue", "g?"}, {"be_conn", "g?"}, {"be_conn_free", "g?"}, {"connslots", "g?"}, {"fe_conn", "g?"}, {"nbsrv", "g?"}, {"queue", "g?"},
		{"be_sess_rate", "g?"}, {"fe_req_rate", "g?"}, {"fe_sess_rate", "g?"}, {"stopping", ""},
		{"srv_conn", "v"}, {"srv_conn_free", "v"}, {"srv_uweight", "v"}, {"srv_is_up", "v"}, {"srv_queue", "v"}, {"srv_weight", "v"},
		{"srv_iweight", "v"}, {"srv_sess_rate", "v"},
	} {
		var row fetchRow
		row = fetchRow{name: g.name, args: g.args, kind: Int, where: Anywhere, get: func(x *Ctx, a *args) (Value, bool) {
			switch {
			case a.gauge.Of != nil && a.gauge.OfFrontend():
				return IntValue(a.gauge.Of(x.Rec.Frontend)), true
			case a.gauge.Of != nil:
				return IntValue(a.gauge.Of(x.Rec.Backend)), true
			case a.gauge.Read == nil:
				return Value{}, false
			}
			return Value{kind: row.kind, n: a.gauge.Read()}, true
		}}
		if g.name == "srv_is_up" || g.name == "stopping" { // its number is 0 or 1
			row.kind = Bool
		}
		row.check = func(a *args) error {
			if a.gauge == nil {
				a.gauge = &Gauge{}
			}
			a.gauge.What = g.name
			return nil
		}
		rows = append(rows, row)
	}
	return rows
}

// gaugeOf reads [BACKEND/]SERVER or, without server, a proxy's name.
func gaugeOf(word string, server bool) (*Gauge, error) {
	if !server {
		return &Gauge{Proxy: word}, nil
	}
	proxy, name, both := strings.Cut(word, "/")
	if !both {
		proxy, name = "", word
	}
	if name == "" {
		return nil, fmt.Errorf("'%s' names no server: [<backend>/]<server> is expected", word)
	}
	return &Gauge{Proxy: proxy, Server: name}, nil
}

// convsGauge ask the engine about a backend or a server by the name that a
// sample gives.
var convsGauge = []convRow{
	{name: "nbsrv", in: Str, out: Int, get: convGauge, check: namedGauge("nbsrv")},
	{name: "srv_queue", in: Str, out: Int, get: convGauge, check: namedGauge("srv_queue")},
}

func namedGauge(what string) func(a *args) error {
	return func(a *args) error {
		a.gauge = &Gauge{What: what, Named: true}
		return nil
	}
}

// convGauge fails for a name that nobody has.
func convGauge(x *Ctx, a *args, v Value) (Value, bool) {
	if a.gauge.Of == nil {
		return Value{}, false
	}
	name := string(v.Text(x))
	if a.gauge.What == "srv_queue" && !strings.Contains(name, "/") {
		name = x.Rec.Backend + "/" + name
	}
	n := a.gauge.Of(name)
	return IntValue(n), n >= 0
}
