package main

import (
	"os"
	"path/filepath"
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

func TestTableInADocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + tableBegins + "old\n" + tableEnds + "after\n")
	candidates := []candidate{{label: kindLB}}
	r := row{What: "small", Unit: "us", Figures: []figure{{Label: kindLB, Value: 7}}}
	if err := writeDocument(path, candidates, []row{r}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + tableBegins + "| case | unit | lb | goal | requests/s |\n|---|---|---|---|---|\n| small | us | 7.00 | - |  |\n" + tableEnds + "after\n"
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	write("nothing\n")
	if err := writeDocument(path, candidates, nil); err == nil {
		t.Error("a document without the lines was changed")
	}
}
