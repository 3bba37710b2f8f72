package main

import (
	"fmt"
	"slices"
)

// A machine's speed changes from second to second: other machines share its caches and its memory, and its clock rises and falls. What a request
// costs one subject in a round therefore says little; what it costs two subjects in rounds that follow each other has the same
// disturbance in both, and their quotient has almost none. So there are many short rounds, and the result is the median of the quotients of rounds that are
// neighbours, not the quotient of the medians (TestPairedRatioWins).

// ratio is the cost of one subject divided by that of another: the median of all rounds' quotients, and their quartiles.
type ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // a quarter of the rounds is below
	High   float64 `json:"high"` // and a quarter above
}

// paired compares the rounds of two subjects; a's round i was next to b's round i.
func paired(a, b []float64) ratio {
	var q []float64
	for i := range min(len(a), len(b)) {
		q = append(q, a[i]/b[i])
	}
	return ratio{Median: quantile(q, 0.5), Low: quantile(q, 0.25), High: quantile(q, 0.75)}
}

func (r ratio) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", r.Median, r.Low, r.High) }

// quantile returns the value below which a share p of the values lies, between two of them if need be. No values make 0.
func quantile(values []float64, p float64) float64 { return quantiles(values, p)[0] }

func quantiles(values []float64, shares ...float64) []float64 {
	v := slices.Sorted(slices.Values(values))
	all := make([]float64, len(shares))
	for n, p := range shares {
		if len(v) == 0 {
			continue
		}
		at := p * float64(len(v)-1)
		i := int(at)
		all[n] = v[i]
		if i+1 < len(v) {
			all[n] += (at - float64(i)) * (v[i+1] - v[i])
		}
	}
	return all
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// order returns who is measured when in a round: one after the other, and backwards in every second round, so that neighbours stay neighbours and what
// grows steadily meanwhile favours nobody.
func order(subjects, round int) []int {
	all := make([]int, subjects)
	for i := range all {
		all[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(all)
	}
	return all
}
