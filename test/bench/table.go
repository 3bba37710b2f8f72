package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the result.
type row struct {
	Name    string           `json:"name"`
	What    string           `json:"what"`
	Unit    string           `json:"unit"`
	Goal    float64          `json:"goal,omitempty"` // lb / HAProxy is to be at most this
	Most    float64          `json:"most,omitempty"` // lb's value itself is
	Figures []figure         `json:"figures"`
	Ratios  map[string]ratio `json:"ratios,omitempty"` // of lb to each other subject, by its label
	Note    string           `json:"note,omitempty"`
}

// figure is what was measured of one subject.
type figure struct {
	Label  string    `json:"label"`
	Value  float64   `json:"value"`            // the median of the rounds
	Rounds []float64 `json:"rounds,omitempty"` // each one's value, in order
	Rate   []float64 `json:"rate,omitempty"`   // requests per second in each
	RSS    int       `json:"rss,omitempty"`    // bytes at the end
	Lines  int       `json:"lines,omitempty"`  // in the log file at the end
	Failed int       `json:"failed,omitempty"` // requests whose connection ended under them

	served int64 // in all rounds
}

// compare fills in what follows from the rounds.
func (r *row) compare() {
	ours := slices.IndexFunc(r.Figures, func(f figure) bool { return f.Label == kindLB })
	r.Ratios = map[string]ratio{}
	for i := range r.Figures {
		f := &r.Figures[i]
		f.Value = median(f.Rounds)
		if i != ours && ours >= 0 && len(f.Rounds) > 1 {
			r.Ratios[f.Label] = paired(r.Figures[ours].Rounds, f.Rounds)
		}
	}
}

func (r *row) figure(label string) *figure {
	for i := range r.Figures {
		if r.Figures[i].Label == label {
			return &r.Figures[i]
		}
	}
	return nil
}

// held says what became of the row's goal.
func (r *row) held() string {
	ours, theirs := r.figure(kindLB), r.figure(kindHAProxy)
	switch {
	case ours == nil:
		return ""
	case r.Most > 0:
		return mark(ours.Value <= r.Most, fmt.Sprintf("<= %g %s", r.Most, r.Unit))
	case r.Goal > 0 && theirs != nil:
		got, has := r.Ratios[kindHAProxy]
		if !has {
			got.Median = ours.Value / theirs.Value
		}
		return mark(got.Median <= r.Goal, fmt.Sprintf("<= %.2f", r.Goal))
	}
	return "-"
}

func mark(held bool, goal string) string {
	if held {
		return goal
	}
	return goal + " missed"
}

var titles = map[string]string{kindHAProxy: "HAProxy", kindLB: "lb", "before": "before", kindNginx: "nginx", "haproxy34": "HAProxy 3.4"}

// cells are a table's: a header and a line for each row.
func cells(candidates []candidate, rows []row) [][]string {
	head := []string{"case", "unit"}
	for _, c := range candidates {
		head = append(head, titles[c.label])
	}
	for _, c := range candidates {
		if c.label != kindLB {
			head = append(head, "lb / "+titles[c.label])
		}
	}
	all := [][]string{append(head, "goal", "requests/s")}
	for i := range rows {
		r := &rows[i]
		line := []string{r.What, r.Unit}
		var rates []string
		for _, c := range candidates {
			f, text := r.figure(c.label), "-"
			if f != nil {
				text = number(f.Value)
				if f.Failed > 0 {
					text += fmt.Sprintf(" (%d broken)", f.Failed)
				}
			}
			line = append(line, text)
			if f != nil && len(f.Rate) > 0 && (c.label == kindLB || c.label == kindHAProxy) {
				rates = append(rates, fmt.Sprintf("%.0f", median(f.Rate)))
			}
		}
		for _, c := range candidates {
			if c.label == kindLB {
				continue
			}
			text, f, ours := "-", r.figure(c.label), r.figure(kindLB)
			if got, has := r.Ratios[c.label]; has {
				text = got.String()
			} else if f != nil && ours != nil && f.Value > 0 {
				text = fmt.Sprintf("%.2f", ours.Value/f.Value)
			}
			line = append(line, text)
		}
		line = append(line, r.held(), strings.Join(rates, "; "))
		all = append(all, line)
	}
	return all
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func writeText(w io.Writer, candidates []candidate, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range cells(candidates, rows) {
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	return t.Flush()
}

func writeMarkdown(w io.Writer, candidates []candidate, rows []row) error {
	for i, line := range cells(candidates, rows) {
		if _, err := fmt.Fprintln(w, "| "+strings.Join(line, " | ")+" |"); err != nil {
			return err
		}
		if i == 0 {
			fmt.Fprintln(w, strings.Repeat("|---", len(line))+"|")
		}
	}
	return nil
}

// The lines between which a document has the table.
const (
	tableBegins = "<!-- make bench: begin -->\n"
	tableEnds   = "<!-- make bench: end -->\n"
)

// writeDocument puts the table, as markdown, into a document in the place of the one that is there.
func writeDocument(path string, candidates []candidate, rows []row) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %q and %q for the table to stand between", path, strings.TrimSpace(tableBegins), strings.TrimSpace(tableEnds))
	}
	var b strings.Builder
	b.WriteString(before + tableBegins)
	if err := writeMarkdown(&b, candidates, rows); err != nil {
		return err
	}
	b.WriteString(tableEnds + after)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func writeJSON(path string, rows []row) error {
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
