package cfgfile

import (
	"fmt"
	"slices"
	"strconv"
)

// Pos is a place in a configuration file.
type Pos struct {
	File string
	Line int // from 1
	Col  int // byte in the line, from 1; 0 means the whole line
}

// String gives FILE:LINE, the form that HAProxy's messages and editors use.
func (p Pos) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Level is how loud a Note is.
type Level uint8

// Levels of a Note.
const (
	Notice  Level = iota // good to know: ignored with a reason, translated
	Warning              // accepted, but probably not what is wanted
)

// Note is something an operator should hear although the line is accepted.
type Note struct {
	Pos   Pos // a zero Pos belongs to no line
	Level Level
	Text  string
	Own   bool // a warning that HAProxy does not have
}

// Error is one thing that makes a configuration unusable.
type Error struct {
	Pos  Pos // a zero Pos belongs to no line
	Text string
	// Source is the offending line when a caret at Pos.Col helps to find the
	// mistake (quoting, conditions); else empty.
	Source string
}

func (e *Error) Error() string {
	if e.Pos.File == "" {
		return e.Text
	}
	return e.Pos.String() + ": " + e.Text
}

// Errors is the error of a load: everything that is wrong, not only the first.
type Errors struct {
	List  []*Error // never empty, in the order of the files
	Notes []Note   // what would have been noted besides the errors
}

func (e *Errors) Error() string {
	if len(e.List) == 1 {
		return e.List[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e.List[0], len(e.List)-1)
}

// Unwrap gives the single errors to errors.Is and errors.As.
func (e *Errors) Unwrap() []error {
	all := make([]error, len(e.List))
	for i, one := range e.List {
		all[i] = one
	}
	return all
}

// Report collects what is found while files are read. The zero value is
// ready. Not for concurrent use.
type Report struct {
	list  []*Error
	notes []Note
	noted map[Note]bool
	files []string // names in the order of reading, for sorting

	// Excuse gives why an error at a place does not count, or "": it becomes a
	// notice that ends in that. Nil excuses none.
	Excuse func(Pos) string
}

// Opened tells the order of the files; what is found is sorted by it.
func (r *Report) Opened(file string) { r.files = append(r.files, file) }

// Errorf adds an error at pos.
func (r *Report) Errorf(pos Pos, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if r.Excuse != nil {
		if why := r.Excuse(pos); why != "" {
			r.Notef(pos, "%s (no error, as %s)", text, why)
			return
		}
	}
	r.list = append(r.list, &Error{Pos: pos, Text: text})
}

// Mark adds an error that shows the source line with a caret at pos.Col.
func (r *Report) Mark(pos Pos, source, text string) {
	r.list = append(r.list, &Error{Pos: pos, Text: text, Source: source})
}

// Warnf adds a warning at pos.
func (r *Report) Warnf(pos Pos, format string, args ...any) {
	r.note(Note{Pos: pos, Level: Warning, Text: fmt.Sprintf(format, args...)})
}

// Advisef adds a warning at pos that HAProxy does not have: what demands that
// there be no warning (zero-warning) does not mean it.
func (r *Report) Advisef(pos Pos, format string, args ...any) {
	r.note(Note{Pos: pos, Level: Warning, Own: true, Text: fmt.Sprintf(format, args...)})
}

// Notef adds a notice at pos.
func (r *Report) Notef(pos Pos, format string, args ...any) {
	r.note(Note{Pos: pos, Level: Notice, Text: fmt.Sprintf(format, args...)})
}

// note adds a note once: a line of a defaults section speaks for many proxies.
func (r *Report) note(n Note) {
	if r.noted[n] {
		return
	}
	if r.noted == nil {
		r.noted = map[Note]bool{}
	}
	r.noted[n] = true
	r.notes = append(r.notes, n)
}

// Warned says whether a warning was added that HAProxy has, too.
func (r *Report) Warned() bool {
	return slices.ContainsFunc(r.notes, func(n Note) bool { return n.Level == Warning && !n.Own })
}

// Notes gives what was noted, in the order of the files.
func (r *Report) Notes() []Note {
	slices.SortStableFunc(r.notes, func(a, b Note) int { return r.compare(a.Pos, b.Pos) })
	return r.notes
}

// Err gives the errors in the order of the files, or nil if there are none.
func (r *Report) Err() error {
	if len(r.list) == 0 {
		return nil
	}
	slices.SortStableFunc(r.list, func(a, b *Error) int { return r.compare(a.Pos, b.Pos) })
	return &Errors{List: r.list, Notes: r.Notes()}
}

// compare orders places by file as read, then by line; what belongs to no
// line comes last.
func (r *Report) compare(a, b Pos) int {
	rank := func(p Pos) int {
		if i := slices.Index(r.files, p.File); i >= 0 {
			return i
		}
		return len(r.files)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return a.Line - b.Line
}
