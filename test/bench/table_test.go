package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	candidates := []candidate{{label: kindHAProxy}, {label: kindLB}, {label: "before"}}
	held := row{What: "small", Unit: "us", Goal: 0.9, Figures: []figure{
		{Label: kindHAProxy, Rounds: []float64{10, 20, 30}, Rate: []float64{100}},
		{Label: kindLB, Rounds: []float64{8, 16, 30}, Rate: []float64{120}},
		{Label: "before", Rounds: []float64{8, 16, 30}},
	}}
	missed := row{What: "idle", Unit: "bytes", Most: 3000, Figures: []figure{
		{Label: kindHAProxy, Rounds: []float64{6000}, Failed: 3},
		{Label: kindLB, Rounds: []float64{3001}},
	}}
	held.compare()
	missed.compare()
	var b strings.Builder
	if err := writeMarkdown(&b, candidates, []row{held, missed}); err != nil {
		t.Fatal(err)
	}
	want := `| case | unit | HAProxy | lb | before | lb / HAProxy | lb / before | goal | requests/s |
|---|---|---|---|---|---|---|---|---|
| small | us | 20.00 | 16.00 | 16.00 | 0.80 (0.80-0.90) | 1.00 (1.00-1.00) | <= 0.90 | 100; 120 |
| idle | bytes | 6000 (3 broken) | 3001 | - | 0.50 | - | <= 3000 bytes missed |  |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
