package stats

import (
	"encoding/json"
	"testing"
)

// TestAverageGoesOn holds that an average that another process began goes on, and fades as new values come.
func TestAverageGoesOn(t *testing.T) {
	var before Average
	for range 5000 {
		before.Add(100)
	}
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var told Average
	if err := json.Unmarshal(text, &told); err != nil || told != before {
		t.Fatalf("%s is %+v, was %+v, %v", text, told, before, err)
	}
	for _, c := range []struct{ seen, low, high int }{{0, 100, 100}, {1, 99, 100}, {512, 45, 55}, {1024, 0, 1}, {5000, 0, 1}} {
		var a Average
		for range c.seen {
			a.Add(0)
		}
		a.Before(told)
		if got := a.Value(); got < c.low || got > c.high || a.Max != 100 {
			t.Errorf("after %d values of 0: %d (at most %d), want %d to %d", c.seen, got, a.Max, c.low, c.high)
		}
	}
	var a Average
	a.Add(7)
	a.Before(Average{})
	if a.Value() != 7 {
		t.Errorf("nothing before changed it to %d", a.Value())
	}
	if err := json.Unmarshal([]byte(`"x"`), &a); err == nil {
		t.Error("nonsense is an average")
	}
}
