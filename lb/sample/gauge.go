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
}

func (*Gauge) isRef() {}

// fetchesGauge tell how the proxies and servers are (HAProxy configuration
// manual, section 7.3.2).
var fetchesGauge = gaugeRows()

func gaugeRows() []fetchRow {
	var rows []fetchRow
	for _, g := range []struct{ name, args string }{
		{"avg_queue", "g?"}, {"be_conn", "g?"}, {"connslots", "g?"}, {"fe_conn", "g?"}, {"nbsrv", "g?"}, {"queue", "g?"},
		{"srv_conn", "v"}, {"srv_is_up", "v"}, {"srv_queue", "v"}, {"srv_weight", "v"},
	} {
		var row fetchRow
		row = fetchRow{name: g.name, args: g.args, kind: Int, where: Anywhere, get: func(_ *Ctx, a *args) (Value, bool) {
			if a.gauge.Read == nil {
				return Value{}, false
			}
			return Value{kind: row.kind, n: a.gauge.Read()}, true
		}}
		if g.name == "srv_is_up" { // its number is 0 or 1
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
