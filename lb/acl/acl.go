package acl

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/sample"
)

// ACLs are the named ACLs of one proxy, besides the predefined ones. It is
// written while the configuration is read, and only read afterwards.
type ACLs struct {
	sample.Uses
	named map[string]*acl
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
func NewACLs() *ACLs { return &ACLs{named: map[string]*acl{}} }

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
	return nil, fmt.Errorf("no such ACL : '%s'%s", name, sample.Hint(name, names))
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
	t := &aclTest{expr: e, match: m}
	if r.keyed && len(r.paths) == 0 {
		return nil, fmt.Errorf("flag '-M' (map files) says how '-f' reads its file, and there is no '-f' in ACL expression '%s'", words[0])
	}
	if len(r.paths) > 0 {
		t.watch(r, m, uses)
	}
	return t, nil
}

// aclReader reads the flags and patterns of one test.
type aclReader struct {
	method string // of -m, or the ACL keyword's
	fold   bool
	pats   []sample.Pattern
	files  bool // -f was given: an empty file is no mistake
	keyed  bool // -M: of the files' lines only the first word counts
	row    *sample.Method
	own    []sample.Pattern // those of the line itself
	paths  []aclFile        // and the files'
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
			if err := r.file(words[0]); err != nil {
				return nil, err
			}
		}
		words = words[1:]
	}
	return words, nil
}

// isNumber keeps "-1" from being read as a flag.
func isNumber(s string) bool { return s[1] >= '0' && s[1] <= '9' }

// file reads patterns, one a line.
func (r *aclReader) file(name string) error {
	f, err := lookup.Read(name, r.keyed)
	if err != nil {
		return err
	}
	r.files = true
	r.paths = append(r.paths, aclFile{name, r.keyed, r.fold})
	for _, e := range f.Entries() {
		r.pats = append(r.pats, sample.Pattern{Text: e.Key, Fold: r.fold})
	}
	return nil
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
	if !row.On(e.Kind) {
		return nil, fmt.Errorf("matching method '%s' does not apply to a sample of type %s", method, e.Kind)
	}
	op := ""
	for _, w := range words {
		switch w {
		case "eq", "ge", "gt", "le", "lt":
			if row.Ints {
				op = w
				continue
			}
		}
		r.own = append(r.own, sample.Pattern{Text: w, Fold: r.fold, Op: op})
	}
	r.row, r.pats = row, append(r.pats, r.own...)
	if row.Patterns && len(r.pats) == 0 && !r.files {
		return nil, sample.ErrNoPattern
	}
	return row.Compile(r.pats)
}

// fileMatch is a matcher whose patterns can change while it is used.
type fileMatch struct {
	now atomic.Pointer[sample.Matcher]
}

func (m *fileMatch) Match(x *sample.Ctx, v sample.Value) bool { return (*m.now.Load()).Match(x, v) }

// watch has the matcher follow what the stats socket does to its files.
func (t *aclTest) watch(r *aclReader, first sample.Matcher, uses *sample.Uses) {
	m := &fileMatch{}
	m.now.Store(&first)
	t.match = m
	lists := make([][]sample.Pattern, len(r.paths))
	for i, p := range r.paths {
		uses.Note(sample.NewFileRef(p.path, p.keyed, func(f *lookup.File) error {
			f.AddUse(lookup.Use{Method: r.method, Fold: p.fold, Find: func(list []lookup.Entry, text string) (int, bool) { return r.find(list, p.fold, text) }})
			return f.OnChange(func(list []lookup.Entry) error {
				pats := make([]sample.Pattern, len(list))
				for k, entry := range list {
					pats[k] = sample.Pattern{Text: entry.Key, Fold: p.fold}
				}
				before := lists[i]
				lists[i] = pats
				made, err := r.row.Compile(slices.Concat(slices.Concat(lists...), r.own))
				if err != nil {
					lists[i] = before
					return err
				}
				m.now.Store(&made)
				return nil
			})
		}))
	}
}

// find says which of a file's patterns a text matches, for the stats socket.
func (r *aclReader) find(list []lookup.Entry, fold bool, text string) (at int, found bool) {
	v, ok := sample.FromText(r.method, text)
	if !ok {
		return 0, false
	}
	for i, e := range list {
		m, err := r.row.Compile([]sample.Pattern{{Text: e.Key, Fold: fold}})
		if err == nil && m.Match(&sample.Ctx{}, v) {
			return i, true
		}
	}
	return 0, false
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
