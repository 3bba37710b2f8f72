package acl

import (
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/sample"
)

// ACLs are the named ACLs of one proxy, besides the predefined ones. It is
// written while the configuration is read, and only read afterwards.
type ACLs struct {
	sample.Uses
	Buffer int // most bytes of a reply that a rule reads from a file; 0: 16384
	named  map[string]*acl
}

// acl is one name: it is true when any of its tests is.
type acl struct {
	name  string
	tests []*aclTest
	where sample.Where
}

// aclTest is one acl line, or one { ... }.
type aclTest struct {
	expr  *sample.Expr
	match sample.Matcher
}

// NewACLs gives an empty set.
func NewACLs() *ACLs { return &ACLs{} }

// predefined has the ACLs that exist without being declared (HAProxy
// configuration manual, section 7.4).
var predefined = map[string][]string{
	"FALSE":          {"always_false"},
	"HTTP":           {"req.proto_http"},
	"HTTP_1.0":       {"req.ver", "1.0"},
	"HTTP_1.1":       {"req.ver", "1.1"},
	"HTTP_2.0":       {"req.ver", "2.0"},
	"HTTP_CONTENT":   {"req.hdr_val(content-length)", "gt", "0"},
	"HTTP_URL_ABS":   {"url_reg", "^[^/:]*://"},
	"HTTP_URL_SLASH": {"url_beg", "/"},
	"HTTP_URL_STAR":  {"url", "*"},
	"LOCALHOST":      {"src", "127.0.0.1/8", "::1"},
	"METH_CONNECT":   {"method", "CONNECT"},
	"METH_DELETE":    {"method", "DELETE"},
	"METH_GET":       {"method", "GET", "HEAD"},
	"METH_HEAD":      {"method", "HEAD"},
	"METH_OPTIONS":   {"method", "OPTIONS"},
	"METH_POST":      {"method", "POST"},
	"METH_PUT":       {"method", "PUT"},
	"METH_TRACE":     {"method", "TRACE"},
	"RDP_COOKIE":     {"rdp_cookie_cnt", "gt", "0"},
	"REQ_CONTENT":    {"req.len", "gt", "0"},
	"TRUE":           {"always_true"},
	"WAIT_END":       {"wait_end"},
}

// Define reads one acl line: its name, its criterion, flags and patterns. A
// name that exists already gets one more test, and is true when any is.
func (a *ACLs) Define(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return fmt.Errorf("missing ACL name; 'acl' expects <name> <criterion> [flags] [operator] <value>")
	}
	name := words[0]
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.:", c)) {
			return fmt.Errorf("character '%c' is not permitted in acl name '%s'; use letters, digits, '-', '_', '.' and ':'", c, name)
		}
	}
	if name == "or" {
		return fmt.Errorf("acl name '%s' will never match: 'or' is the operator of conditions; choose another name", name)
	}
	t, err := parseTest(words[1:], &a.Uses)
	if err != nil {
		return fmt.Errorf("error detected while parsing ACL '%s' : %w", name, err)
	}
	have := a.named[name]
	if have == nil {
		have = &acl{name: name, where: sample.Anywhere}
		if a.named == nil {
			a.named = map[string]*acl{}
		}
		a.named[name] = have
	}
	have.tests = append(have.tests, t)
	have.where &= t.expr.Places()
	return nil
}

// find gives the ACL of that name, compiling a predefined one at first use.
func (a *ACLs) find(name string) (*acl, error) {
	if have := a.named[name]; have != nil {
		return have, nil
	}
	if words, ok := predefined[name]; ok {
		t, err := parseTest(words, &a.Uses)
		if err != nil {
			return nil, err
		}
		return &acl{name: name, tests: []*aclTest{t}, where: t.expr.Places()}, nil
	}
	var names []string
	for n := range a.named {
		names = append(names, n)
	}
	for n := range predefined {
		names = append(names, n)
	}
	hint := sample.Hint(name, names)
	if word, _, _ := strings.Cut(name, "("); hint == "" && sample.IsFetch(word) {
		hint = fmt.Sprintf("; it is a sample fetch: without a name it stands in braces, with blanks around them: '{ %s ... }'", name)
	}
	return nil, fmt.Errorf("no such ACL : '%s'%s", name, hint)
}

// parseTest reads CRITERION [flags] [--] [operator] PATTERN...
func parseTest(words []string, uses *sample.Uses) (*aclTest, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("missing fetch method in ACL expression")
	}
	e, method, err := sample.ParseCriterion(words[0], uses)
	if err != nil {
		return nil, fmt.Errorf("%w (in ACL expression '%s')", err, words[0])
	}
	r := &aclReader{method: method}
	rest, err := r.flags(words[1:])
	if err != nil {
		return nil, fmt.Errorf("%w (in ACL expression '%s')", err, words[0])
	}
	m, err := r.compile(e, rest)
	if err != nil {
		return nil, fmt.Errorf("%w (in ACL expression '%s')", err, words[0])
	}
	for _, text := range r.remarks {
		uses.Note(&sample.Remark{Text: fmt.Sprintf("ACL expression '%s' : %s", words[0], text)})
	}
	t := &aclTest{expr: e, match: m}
	if m == (sample.Never{}) && !slices.Contains(words, "--") {
		uses.Note(&sample.NoPattern{Expr: words[0]})
	}
	if r.keyed && len(r.paths) == 0 {
		return nil, fmt.Errorf("flag '-M' (map files) says how '-f' reads its file, and there is no '-f' in ACL expression '%s'", words[0])
	}
	if len(r.paths) > 0 {
		if err := t.watch(r, uses); err != nil {
			return nil, fmt.Errorf("%w (in ACL expression '%s')", err, words[0])
		}
	}
	return t, nil
}

// aclReader reads the flags and patterns of one test.
type aclReader struct {
	method  string // of -m, or the ACL keyword's
	fold    bool
	files   bool             // -f was given: an empty file is no mistake
	keyed   bool             // -M: of the files' lines only the first word counts
	remarks []string         // what is worth a warning
	own     []sample.Pattern // those of the line itself
	paths   []aclFile        // and the files'
}

// flags reads what stands before the patterns and gives the rest.
func (r *aclReader) flags(words []string) ([]string, error) {
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' && !isNumber(words[0]) {
		flag := words[0]
		words = words[1:]
		switch flag {
		case "--":
			return words, nil
		case "-i":
			r.fold = true
			continue
		case "-n": // names are never resolved here
			continue
		case "-M":
			r.keyed = true
			continue
		case "-m", "-f", "-u":
		default:
			return nil, fmt.Errorf("unknown flag '%s'; the flags are -i, -f, -m, -M, -n, -u and --", flag)
		}
		if len(words) == 0 {
			return nil, fmt.Errorf("flag '%s' expects an argument", flag)
		}
		switch flag {
		case "-m":
			if r.files {
				return nil, fmt.Errorf("'-m' must stand before '-f'")
			}
			r.method = words[0]
		case "-f":
			r.file(words[0])
		}
		words = words[1:]
	}
	return words, nil
}

// isNumber keeps "-1" from being read as a flag.
func isNumber(s string) bool { return s[1] >= '0' && s[1] <= '9' }

// file notes a file of patterns, one a line.
func (r *aclReader) file(name string) {
	r.files = true
	r.paths = append(r.paths, aclFile{name, r.keyed, r.fold})
}

// aclFile is one -f.
type aclFile struct {
	path  string
	keyed bool
	fold  bool
}

// compile builds the matcher now that the sample's type and the method are
// known. Operators count only where patterns are integers.
func (r *aclReader) compile(e *sample.Expr, words []string) (sample.Matcher, error) {
	method := r.method
	if method == "" {
		if e.Untyped() {
			return nil, fmt.Errorf("a variable has the type of what it was set to: write how to compare it, such as '-m str', '-m int', '-m bool' or '-m found'")
		}
		if method = sample.DefaultMethod(e.Kind); method == "" {
			return nil, fmt.Errorf("a binary sample has no matching method of its own; use '-m'")
		}
	}
	r.method = method
	if method == "auth" && e.Users() != nil {
		return sample.CompileGroups(e.Users(), words)
	}
	row, err := sample.FindMethod(method)
	if err != nil {
		return nil, err
	}
	if !e.MatchedBy(row) {
		return nil, fmt.Errorf("matching method '%s' does not apply to a sample of type %s", method, e.TypeName())
	}
	op := ""
	for _, w := range words {
		switch w {
		case "eq", "ge", "gt", "le", "lt", "ne":
			if row.Ints {
				if op = w; w == "ne" {
					op = "eq"
					r.remarks = append(r.remarks, "'ne' is read as 'eq', as HAProxy does: for all other values put '!' before the ACL or its '{'")
				}
				continue
			}
		}
		if op != "" && op != "eq" && strings.ContainsAny(w, ":") {
			r.remarks = append(r.remarks, fmt.Sprintf("'%s' before the range '%s' means nothing, as in HAProxy: the range is what matches", op, w))
		}
		r.own = append(r.own, sample.Pattern{Text: w, Fold: r.fold, Op: op})
	}
	if row.Patterns && len(r.own) == 0 && !r.files {
		return sample.Never{}, nil
	}
	return row.Compile(r.own)
}

// fileMatch is a matcher with files, whose lines can change while it is used.
type fileMatch struct {
	own   sample.Matcher // of the patterns of the line itself; nil for none
	files []sample.PatternFile
}

// Match implements sample.Matcher. Several files are looked at again if one of them
// changed meanwhile: a pattern that moved from one to another is in either.
func (m *fileMatch) Match(x *sample.Ctx, v sample.Value) bool {
	if m.own != nil && m.own.Match(x, v) {
		return true
	}
	for {
		before := m.version()
		for _, f := range m.files {
			if f.Match(x, v) {
				return true
			}
		}
		if len(m.files) == 1 || m.version() == before {
			return false
		}
	}
}

func (m *fileMatch) version() (sum uint64) {
	for _, f := range m.files {
		sum += f.Version()
	}
	return sum
}

// watch has the matcher look into the files, whatever becomes of them.
func (t *aclTest) watch(r *aclReader, uses *sample.Uses) error {
	m := &fileMatch{}
	if len(r.own) > 0 {
		m.own = t.match
	}
	t.match = m
	for _, p := range r.paths {
		ix, err := sample.NewPatternFile(r.method, p.fold)
		if err != nil {
			return err
		}
		m.files = append(m.files, ix)
		uses.Note(sample.NewFileRef(p.path, p.keyed, func(f *lookup.File) error {
			return f.AddUse(lookup.Use{Method: r.method, Fold: p.fold, Index: ix})
		}))
	}
	return nil
}

// eval is true when any test is.
func (a *acl) eval(x *sample.Ctx) bool {
	for _, t := range a.tests {
		if t.expr.Matches(x, t.match) {
			return true
		}
	}
	return false
}
