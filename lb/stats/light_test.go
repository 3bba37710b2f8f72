//go:build !race

package stats

import (
	"fmt"
	"testing"
)

// thousandServers is a balancer with 100 backends of ten servers, in all states.
func thousandServers() *Snapshot {
	s := &Snapshot{Info: Info{Name: "lb"}}
	s.Rows = append(s.Rows, Row{Kind: Frontend, HTTP: true, Proxy: "www", Status: "OPEN"})
	for b := range 100 {
		name := fmt.Sprintf("app%d", b)
		for i := range 10 {
			r := Row{Kind: Server, HTTP: true, Proxy: name, Name: fmt.Sprintf("s%d", i), State: Running, Addr: "127.0.0.1:9", Checks: Checks{CheckConfigured: true, CheckStatus: "L7OK", CheckDesc: "Layer7 check passed", CheckDuration: 1}}
			switch i {
			case 1:
				r.State = Stopped
			case 2:
				r.Admin = ForcedMaint
			}
			s.Rows = append(s.Rows, r)
		}
		s.Rows = append(s.Rows, Row{Kind: Backend, HTTP: true, Proxy: name, Status: "UP"})
	}
	return s
}

func BenchmarkPage(b *testing.B) {
	s, p := thousandServers(), Page{URI: "/stats", ShowLegends: true}
	n := 0
	for b.Loop() {
		n = len(p.RenderFor("/stats", s, true).Body)
	}
	b.ReportMetric(float64(n), "bytes/page")
}

// A page of a thousand servers is not larger than it has to be, and made in one piece of memory.
func TestPageIsLight(t *testing.T) {
	s, p := thousandServers(), Page{URI: "/stats", ShowLegends: true}
	if n := len(p.RenderFor("/stats", s, true).Body); n > 640<<10 {
		t.Errorf("%d bytes", n)
	}
	if n := testing.AllocsPerRun(3, func() { p.RenderFor("/stats", s, true) }); n > 10*1100 {
		t.Errorf("%v allocations for 1,101 rows", n)
	}
}
