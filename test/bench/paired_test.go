package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// TestPairedRatioWins plays a machine whose speed wanders, by up to a half within a run, and jumps. The paired ratio must come closer to the truth than
// the ratio of the medians.
func TestPairedRatioWins(t *testing.T) {
	const truth, runs, rounds = 0.90, 400, 25
	rng := rand.New(rand.NewPCG(1, 2))
	var ofPairs, ofMedians []float64
	for range runs {
		speed := 1.0
		var costs [2][]float64
		for round := range rounds {
			if rng.Float64() < 0.1 {
				speed = 1 + rng.Float64()/2 // a neighbour comes or goes
			}
			turn := [2]float64{}
			for _, i := range order(2, round) {
				speed *= 1 + 0.02*rng.NormFloat64()
				turn[i] = speed * (1 + 0.02*rng.NormFloat64())
			}
			costs[0] = append(costs[0], turn[0]*truth)
			costs[1] = append(costs[1], turn[1])
		}
		ofPairs = append(ofPairs, paired(costs[0], costs[1]).Median-truth)
		ofMedians = append(ofMedians, median(costs[0])/median(costs[1])-truth)
	}
	pairs, medians := rms(ofPairs), rms(ofMedians)
	t.Logf("error of the paired ratio %.4f, of the ratio of the medians %.4f", pairs, medians)
	if pairs > 0.01 || pairs > 0.7*medians {
		t.Errorf("the paired ratio is off by %.4f, the ratio of the medians by %.4f", pairs, medians)
	}
}

// TestPairedRatioWinsOnRecordedNoise takes rounds of one binary against itself, recorded on a machine with much else to do, and cuts them into runs: 1 is the
// truth.
func TestPairedRatioWinsOnRecordedNoise(t *testing.T) {
	text, err := os.ReadFile("testdata/noise.json")
	if err != nil {
		t.Fatal(err)
	}
	var rounds [2][]float64
	if err := json.Unmarshal(text, &rounds); err != nil {
		t.Fatal(err)
	}
	const size = 25
	var ofPairs, ofMedians []float64
	for at := 0; at+size <= len(rounds[0]); at++ {
		a, b := rounds[0][at:at+size], rounds[1][at:at+size]
		ofPairs = append(ofPairs, paired(a, b).Median-1)
		ofMedians = append(ofMedians, median(a)/median(b)-1)
	}
	pairs, medians := rms(ofPairs), rms(ofMedians)
	t.Logf("%d runs: error of the paired ratio %.4f, of the ratio of the medians %.4f", len(ofPairs), pairs, medians)
	if pairs >= medians {
		t.Errorf("the paired ratio is off by %.4f, the ratio of the medians by %.4f", pairs, medians)
	}
}

func rms(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum / float64(len(v)))
}

// TestOrderKeepsNeighbours: what grows steadily from round to round must favour nobody.
func TestOrderKeepsNeighbours(t *testing.T) {
	var at [2]int
	for round := range 10 {
		for turn, i := range order(2, round) {
			at[i] += 2*round + turn
		}
	}
	if at[0] != at[1] {
		t.Errorf("the subjects' moments: %v", at)
	}
}

func TestQuantile(t *testing.T) {
	row := func(p, want float64, values ...float64) {
		t.Helper()
		before := slices.Clone(values)
		if got := quantile(values, p); got != want || !slices.Equal(values, before) {
			t.Errorf("%v of %v: got %v, want %v", p, before, got, want)
		}
	}
	row(0.5, 0)
	row(0.5, 3, 3)
	row(0.5, 2.5, 9, 1, 2, 3)
	row(0.25, 2, 1, 2, 3, 4, 5)
	row(1, 5, 5, 4, 1)
}
