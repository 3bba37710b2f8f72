package stats

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

// An hour is kept, over processes, and what was cleared in between does no harm.
func TestHistory(t *testing.T) {
	var first, second History
	for i := range points + 5 {
		first.Add(Point{At: int64(i) * 10, Requests: float64(i)})
	}
	past := first.Past(0)
	text, err := json.Marshal(past)
	if err != nil {
		t.Fatal(err)
	}
	var sent Past
	if err := json.Unmarshal(text, &sent); err != nil || len(sent.Points) != points || sent.Points[0].Requests != 5 {
		t.Fatalf("%d points, %v", len(sent.Points), err)
	}
	second.Inherit(sent, Mark{At: 4000, Generation: 2})
	second.Add(Point{At: 4010})
	past = second.Past(7)
	if len(past.Points) != points || past.Points[points-1].At != 4010 || len(past.Marks) != 1 || past.Marks[0].Moved != 7 {
		t.Errorf("%d points, marks %+v", len(past.Points), past.Marks)
	}

	var before, now Latency
	before.Add(TotalTime, 5)
	now.Merge(before)
	now.Add(TotalTime, 700)
	if d := now.Since(before); d.Count(TotalTime) != 1 || d.Sum(TotalTime) != 700 {
		t.Errorf("since: %d, %d ms", d.Count(TotalTime), d.Sum(TotalTime))
	}
	if d := before.Since(now); d.Count(TotalTime) != 1 {
		t.Errorf("after a clear: %d", d.Count(TotalTime))
	}
}

// The charts are well-formed, have a gap where nothing was measured, and a mark for each reload.
func TestCharts(t *testing.T) {
	past := &Past{Marks: []Mark{{At: 940, Generation: 3, Moved: 1234}}}
	for i := range 20 {
		past.Points = append(past.Points, Point{At: 810 + int64(i)*10, Requests: float64(i), P50: -1, P99: i, Conns: 5})
	}
	p := Page{URI: "/st", Past: past, Pipeline: []Pipe{{"udp@127.0.0.1:514", 5, 2}}, Reloads: &Reloads{Generation: 3, Refused: "lb.cfg:3: <x>"}}
	body := string(p.Render("/st", sample()).Body)
	for _, want := range []string{"1,234 connections moved", `<path class="m" d="M354 0V60">`, "2 lost", "lb.cfg:3: &lt;x&gt;", "generation <b>3</b>", time.Unix(940, 0).Format(time.TimeOnly)} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(body, "style=") || strings.Contains(body, "<script") {
		t.Error("the page has what its policy forbids")
	}
	from, to := strings.Index(body, `<section class="charts"`), strings.Index(body, "<h2>")
	d := xml.NewDecoder(strings.NewReader(body[from : strings.Index(body[from:to], "</section>")+from+len("</section>")]))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
