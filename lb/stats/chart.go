package stats

import (
	"strconv"
	"time"
)

// The charts of the last hour: drawings in the page itself, without a script.

// Size of a chart's drawing, in its own units: one for each step across.
const (
	chartWidth  = points
	chartHeight = 60
)

// curve is one line of a chart; a value below 0 leaves a gap.
type curve struct {
	name, class string
	of          func(p *Point) float64
}

// chart is one drawing.
type chart struct {
	title string
	unit  string
	lines []curve
}

var charts = []chart{
	{"requests", "/s", []curve{{"requests", "a", func(p *Point) float64 { return p.Requests }}}},
	{"errors (5xx)", "/s", []curve{{"errors", "x", func(p *Point) float64 { return p.Errors }}}},
	{"total time", " ms", []curve{
		{"p50", "a", func(p *Point) float64 { return float64(p.P50) }}, {"p99", "b", func(p *Point) float64 { return float64(p.P99) }},
	}},
	{"connections", "", []curve{{"connections", "a", func(p *Point) float64 { return float64(p.Conns) }}}},
}

// htmlHistory writes the charts; nothing before the first step is over.
func (p *Page) htmlHistory(w *page) {
	past := p.Past
	if past == nil || len(past.Points) == 0 {
		return
	}
	end := past.Points[len(past.Points)-1].At
	w.raw("<section class=\"charts\" aria-label=\"the last hour\">\n")
	for i := range charts {
		charts[i].html(w, past, end)
	}
	w.raw("</section>\n")
}

func (c *chart) html(w *page, past *Past, end int64) {
	most := 0.0
	for i := range past.Points {
		for _, l := range c.lines {
			most = max(most, l.of(&past.Points[i]))
		}
	}
	last := &past.Points[len(past.Points)-1]
	w.raw("<figure><figcaption><b>").raw(c.title).raw("</b> now ")
	words := ""
	for i, l := range c.lines {
		if i > 0 {
			words += ", "
		}
		if len(c.lines) > 1 {
			words += l.name + " "
		}
		words += quantity(l.of(last), c.unit)
	}
	w.raw(words).raw(", most ").raw(quantity(most, c.unit)).raw("</figcaption>")
	w.raw(`<svg viewBox="0 0 `).int(chartWidth).raw(" ").int(chartHeight).raw(`" preserveAspectRatio="none" role="img" aria-label="`).
		raw(c.title).raw(" in the last hour: now ").raw(words).raw(", most ").raw(quantity(most, c.unit)).raw(`">`)
	for _, m := range past.Marks {
		if x := chartX(m.At, end); x >= 0 {
			w.raw(`<path class="m" d="M`).coord(x).raw(" 0V").int(chartHeight).raw(`"><title>reload: generation `).int(m.Generation).raw("</title></path>")
		}
	}
	for _, l := range c.lines {
		w.raw(`<path class="`).raw(l.class).raw(`" d="`)
		drawn := false
		for i := range past.Points {
			v, x := l.of(&past.Points[i]), chartX(past.Points[i].At, end)
			if v < 0 || x < 0 {
				drawn = false
				continue
			}
			y := float64(chartHeight - 2)
			if most > 0 {
				y -= v / most * (chartHeight - 4)
			}
			if drawn {
				w.raw("L")
			} else {
				w.raw("M")
			}
			drawn = true
			w.coord(x).raw(" ").coord(y)
		}
		w.raw(`"/>`)
	}
	w.raw("</svg></figure>\n")
}

// chartX is where a time lies; below 0 is not in the chart.
func chartX(at, end int64) float64 {
	return float64(chartWidth) - float64(end-at)/Step.Seconds()
}

func (w *page) coord(v float64) *page {
	w.buf = strconv.AppendFloat(w.buf, float64(int(v*10+0.5))/10, 'f', -1, 64)
	return w
}

func quantity(v float64, unit string) string {
	switch {
	case v < 0:
		return "-"
	case v < 10:
		return strconv.FormatFloat(float64(int(v*10+0.5))/10, 'f', -1, 64) + unit
	}
	return thousands(uint64(v+0.5)) + unit
}

// mostReloads is how many reloads are listed.
const mostReloads = 5

// htmlMoved says what the last reloads moved.
func (p *Page) htmlMoved(w *page) {
	if p.Past == nil || len(p.Past.Marks) == 0 {
		return
	}
	list := p.Past.Marks[max(len(p.Past.Marks)-mostReloads, 0):]
	w.raw(`<p>reloads of late:`)
	for i := len(list) - 1; i >= 0; i-- {
		m := &list[i]
		w.raw(" <span class=\"g\">").raw(time.Unix(m.At, 0).Format(time.TimeOnly)).raw(" generation <b>").int(m.Generation).raw("</b>, ").
			count(uint64(max(m.Moved, 0))).raw(" connections moved</span>")
	}
	w.raw("</p>\n")
}

// Pipe is one receiver of log lines.
type Pipe struct {
	Target     string
	Sent, Lost uint64
}

// htmlPipeline follows requests to their log lines.
func (p *Page) htmlPipeline(w *page) {
	if len(p.Pipeline) == 0 {
		return
	}
	w.raw("<p>this worker: requests <b>").count(p.Requests).raw("</b>")
	for _, t := range p.Pipeline {
		w.raw(` &rarr; <span class="g"><b>`).count(t.Sent).raw("</b> log lines sent to ").text(t.Target)
		if t.Lost > 0 {
			w.raw(`, <b class="lost">`).count(t.Lost).raw(" lost</b>")
		} else {
			w.raw(", none lost")
		}
		w.raw("</span>")
	}
	w.raw(" <small>(<code>syslogd status</code> says what arrived and is on disk)</small></p>\n")
}
