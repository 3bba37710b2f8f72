package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTheArithmeticIsComputed holds the tables of docs/cluster.md to be what follows from the measured figures that stand there.
func TestTheArithmeticIsComputed(t *testing.T) {
	page, err := os.ReadFile("../../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- make bench-cluster -->\n\n", "\n<!-- end -->"
	_, after, found := strings.Cut(string(page), begin)
	tables, _, closed := strings.Cut(after, end)
	if !found || !closed {
		t.Fatalf("the page has no tables between %q and %q", begin, end)
	}
	measured, _, _ := strings.Cut(tables, "\n\n")
	var f clusterFigures
	figures := []*float64{&f.stored, &f.wire, &f.packed, &f.compress, &f.receive, &f.forward, &f.take, &f.changeBytes, &f.entry, &f.changeSent, &f.changeLearned}
	values := regexp.MustCompile(`([\d.]+) (?:bytes|us)\b`).FindAllStringSubmatch(measured, -1)
	if len(values) != len(figures) {
		t.Fatalf("%d figures are measured, and %d are used", len(values), len(figures))
	}
	for i, v := range values {
		if *figures[i], err = strconv.ParseFloat(v[1], 64); err != nil {
			t.Fatal(err)
		}
	}
	var want strings.Builder
	if err := documented.print(f, &want); err != nil {
		t.Fatal(err)
	}
	if tables != want.String() {
		t.Errorf("the page has\n%s\nand from its figures follows\n%s", tables, want.String())
	}
}
