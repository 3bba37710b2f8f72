package config

import (
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
)

// Status says what becomes of a keyword.
type Status uint8

// Statuses of a keyword.
const (
	Supported  Status = iota // has its effect
	Ignored                  // accepted without effect; the reason is noted
	Translated               // an older spelling, replaced by today's; noted
	Refused                  // known to HAProxy, an error here, with the way out
)

func (s Status) String() string {
	return [...]string{"supported", "ignored", "translated", "refused"}[s]
}

// sections is a set of places where a keyword may stand.
type sections uint8

const (
	inGlobal sections = 1 << iota
	inDefaults
	inFrontend
	inListen
	inBackend
	onBind
	onServer

	front    = inDefaults | inFrontend | inListen
	back     = inDefaults | inListen | inBackend
	anywhere = front | back
	// The same without defaults.
	ownFront    = inFrontend | inListen
	ownBack     = inListen | inBackend
	ownAnywhere = ownFront | ownBack
)

// row is one keyword. T is what it changes: *Global, *draft, *Bind, *Server.
type row[T any] struct {
	name  string // one to three words: "maxconn", "option httplog"
	args  string // how arguments are written, for messages and documents
	wants string // which are missing, in HAProxy's words; "" args says it
	min   int    // fewest arguments
	max   int    // most arguments; many has no bound
	in    sections
	// status other than Supported needs doc: the reason, the replacement or
	// the way out, as half a sentence.
	status Status
	doc    string
	loud   bool                // an ignored one: a warning, as somebody may count on its effect
	negate bool                // "no NAME" and "default NAME" are possible
	lax    bool                // HAProxy reads no more arguments than max, and passes over others
	loose  looseness           // what HAProxy takes for its number
	hard   bool                // in a proxy of the other side: an error instead of a warning
	paren  bool                // its name carries an argument: set-var(check.x)
	check  func(c *call) error // of its arguments, in a section that has no use for it, too
	apply  func(c *call, t T) error
}

const many = -1

// call is one use of a keyword.
type call struct {
	p    *parser
	pos  cfgfile.Pos
	name string   // as in the table
	args []string // after the name
	no   bool     // "no NAME"
}

// run checks the arguments and applies the keyword as its status says.
func (r *row[T]) run(c *call, t T) error {
	switch {
	case c.no && (r.status == Refused || r.status == Ignored):
		return nil // what lb does not do is off already
	case r.status == Refused:
		return r.refusal()
	case len(c.args) < r.min && !c.no:
		if r.args == "" {
			return fmt.Errorf("'%s' expects %d argument(s)", r.name, r.min)
		}
		if r.wants != "" {
			return fmt.Errorf("'%s' expects %s", r.name, r.wants)
		}
		return fmt.Errorf("'%s' expects arguments: %s %s", r.name, r.name, r.args)
	case r.max >= 0 && len(c.args) > r.max && r.lax:
		c.passOver(r.name, r.max)
	case r.max >= 0 && len(c.args) > r.max:
		return fmt.Errorf("'%s' cannot handle unexpected argument '%s'", r.name, c.args[r.max])
	}
	c.trim(r.loose, strings.HasPrefix(r.args, "<time>"))
	switch r.status {
	case Ignored:
		if r.loud {
			c.p.report.Advisef(c.pos, "'%s' is ignored: %s", r.name, r.doc)
			break
		}
		c.p.report.Notef(c.pos, "'%s' is ignored: %s", r.name, r.doc)
	case Translated:
		c.p.report.Notef(c.pos, "'%s' is an old spelling: %s", r.name, r.doc)
	}
	if r.apply == nil {
		return nil
	}
	return r.apply(c, t)
}

// passOver drops what HAProxy does not read of a line, and says so.
func (c *call) passOver(name string, read int) {
	if len(c.args) > read {
		c.p.report.Advisef(c.pos, "'%s' : '%s' is not read; put quotes around a text with blanks", name, strings.Join(c.args[read:], " "))
		c.args = c.args[:read]
	}
}

// refusal is the error for a keyword whose status is Refused.
func (r *row[T]) refusal() error {
	return fmt.Errorf("'%s' is known to HAProxy, but not supported by lb yet: %s", r.name, r.doc)
}

// index finds rows by their words. Immutable after newIndex.
type index[T any] struct {
	rows   map[string]*row[T]
	names  []string
	groups map[string][]string // "option" -> "httplog", ...
}

func newIndex[T any](tables ...[]row[T]) *index[T] {
	x := &index[T]{rows: map[string]*row[T]{}, groups: map[string][]string{}}
	for _, table := range tables {
		for i := range table {
			r := &table[i]
			x.rows[r.name] = r
			x.names = append(x.names, r.name)
			if first, rest, ok := strings.Cut(r.name, " "); ok {
				x.groups[first] = append(x.groups[first], rest)
			}
		}
	}
	return x
}

// find gives the row whose name is the longest prefix of words, and how many
// words that is.
func (x *index[T]) find(words []string) (*row[T], int) {
	if len(words) > 1 && x.groups[words[0]] != nil {
		for n := min(3, len(words)); n > 1; n-- {
			if r := x.rows[strings.Join(words[:n], " ")]; r != nil {
				return r, n
			}
		}
	}
	if len(words) > 0 {
		if r := x.rows[words[0]]; r != nil {
			return r, 1
		}
	}
	return nil, 0
}

// apart separates a keyword's second word from the argument that it carries in
// parentheses: http-check set-var(check.port).
func (x *index[T]) apart(words []string) []string {
	if len(words) < 2 {
		return words
	}
	at := strings.IndexByte(words[1], '(')
	if at < 0 {
		return words
	}
	if r := x.rows[words[0]+" "+words[1][:at]]; r == nil || !r.paren {
		return words
	}
	return append([]string{words[0], words[1][:at], words[1][at:]}, words[2:]...)
}

// unknown is the error for words that no row has, in a section.
func (x *index[T]) unknown(words []string, section string, in sections) error {
	if group := x.groups[words[0]]; group != nil {
		if len(words) == 1 {
			return fmt.Errorf("'%s' expects one of '%s'", words[0], strings.Join(group, "', '"))
		}
		second := strings.Join(words[1:min(3, len(words))], " ")
		guess := cfgfile.Suggest(words[1], group)
		if guess == "" {
			guess = cfgfile.Suggest(second, group)
		}
		if words[0] == "option" {
			return fmt.Errorf("unknown option '%s'%s", words[1], didYouMean(guess))
		}
		if guess != "" {
			return fmt.Errorf("'%s' does not know '%s'%s", words[0], words[1], didYouMean(guess))
		}
		return fmt.Errorf("'%s' supports '%s' (got '%s')", words[0], strings.Join(group, "', '"), words[1])
	}
	return fmt.Errorf("unknown keyword '%s' in '%s' section%s", words[0], section, didYouMean(x.guess(words[0], in)))
}

// guess gives the keyword of a section that word was meant to be.
func (x *index[T]) guess(word string, in sections) string {
	var candidates []string
	for _, name := range x.names {
		if x.rows[name].in&in == 0 {
			continue
		}
		first, _, _ := strings.Cut(name, " ")
		if !slices.Contains(candidates, first) {
			candidates = append(candidates, first)
		}
	}
	return cfgfile.Suggest(word, candidates)
}

// didYouMean is HAProxy's way to put a guess after an error.
func didYouMean(guess string) string {
	if guess == "" {
		return ""
	}
	return "; did you mean '" + guess + "' maybe ?"
}
