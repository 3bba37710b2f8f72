package rule

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"lbsyslogd/lb/lookup"
)

// ACLs are the named ACLs of one proxy, beside the predefined ones. It is
// written while the configuration is read, and only read afterwards.
type ACLs struct {
	Uses
	named map[string]*acl
}

// acl is one name: it is true when any of its tests is.
type acl struct {
	name  string
	tests []*aclTest
	where where
}

// aclTest is one acl line, or one { ... }.
type aclTest struct {
	expr  *expr
	match matcher
}

// NewACLs gives an empty set.
func NewACLs() *ACLs { return &ACLs{named: map[string]*acl{}} }

// uses is the collector, nil without ACLs.
func (a *ACLs) uses() *Uses {
	if a == nil {
		return nil
	}
	return &a.Uses
}

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
		have = &acl{name: name, where: anywhere}
		a.named[name] = have
	}
	have.tests = append(have.tests, t)
	have.where &= t.expr.fetch.where
	return nil
}

// find gives the ACL of that name, compiling a predefined one at first use.
func (a *ACLs) find(name string) (*acl, error) {
	if a != nil {
		if have := a.named[name]; have != nil {
			return have, nil
		}
	}
	if words, ok := predefined[name]; ok {
		t, err := parseTest(words, a.uses())
		if err != nil {
			return nil, err
		}
		return &acl{name: name, tests: []*aclTest{t}, where: t.expr.fetch.where}, nil
	}
	var names []string
	if a != nil {
		for n := range a.named {
			names = append(names, n)
		}
	}
	for n := range predefined {
		names = append(names, n)
	}
	return nil, fmt.Errorf("no such ACL : '%s'%s", name, hint(name, names))
}

// parseTest reads CRITERION [flags] [--] [operator] PATTERN...
func parseTest(words []string, uses *Uses) (*aclTest, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("missing fetch method in ACL expression")
	}
	s := &source{text: words[0], uses: uses}
	e, method, err := s.expr(true)
	if err != nil {
		return nil, fmt.Errorf("%w (in ACL expression '%s')", err, words[0])
	}
	if s.at != len(words[0]) {
		return nil, fmt.Errorf("unexpected '%s' in ACL expression '%s'", words[0][s.at:], words[0])
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
	pats   []pat
	files  bool // -f was given: an empty file is no mistake
	keyed  bool // -M: of the files' lines only the first word counts
	row    *matchRow
	own    []pat     // those of the line itself
	paths  []aclFile // and the files'
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
		r.pats = append(r.pats, pat{text: e.Key, fold: r.fold})
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
func (r *aclReader) compile(e *expr, words []string) (matcher, error) {
	method := r.method
	if method == "" {
		if method = defaultMatch(e.kind); method == "" {
			return nil, fmt.Errorf("a binary sample has no matching method of its own; use '-m'")
		}
	}
	if method == "auth" && e.args.users != nil && len(e.convs) == 0 {
		for _, w := range words {
			r.pats = append(r.pats, pat{text: w})
		}
		return compileGroups(e, r.pats)
	}
	row, err := findMatch(method)
	if err != nil {
		return nil, err
	}
	if !row.on(e.kind) {
		return nil, fmt.Errorf("matching method '%s' does not apply to a sample of type %s", method, e.kind)
	}
	op := ""
	for _, w := range words {
		switch w {
		case "eq", "ge", "gt", "le", "lt":
			if row.ints {
				op = w
				continue
			}
		}
		r.own = append(r.own, pat{text: w, fold: r.fold, op: op})
	}
	r.row, r.pats = row, append(r.pats, r.own...)
	if row.patterns && len(r.pats) == 0 && !r.files {
		return nil, errNoPattern
	}
	return row.compile(r.pats)
}

// fileMatch is a matcher whose patterns can change while it is used.
type fileMatch struct{ now atomic.Pointer[matcher] }

func (m *fileMatch) match(x *Ctx, v value) bool { return (*m.now.Load()).match(x, v) }

// watch has the matcher follow what the stats socket does to its files.
func (t *aclTest) watch(r *aclReader, first matcher, uses *Uses) {
	m := &fileMatch{}
	m.now.Store(&first)
	t.match = m
	lists := make([][]pat, len(r.paths))
	for i, p := range r.paths {
		uses.note(&FileRef{Path: p.path, Map: p.keyed, bind: func(f *lookup.File) error {
			return f.OnChange(func(list []lookup.Entry) error {
				pats := make([]pat, len(list))
				for k, entry := range list {
					pats[k] = pat{text: entry.Key, fold: p.fold}
				}
				before := lists[i]
				lists[i] = pats
				made, err := r.row.compile(slices.Concat(slices.Concat(lists...), r.own))
				if err != nil {
					lists[i] = before
					return err
				}
				m.now.Store(&made)
				return nil
			})
		}})
	}
}

// eval is true when any test is.
func (a *acl) eval(x *Ctx) bool {
	for _, t := range a.tests {
		if t.eval(x) {
			return true
		}
	}
	return false
}

// eval tries every occurrence the fetch has until one matches.
func (t *aclTest) eval(x *Ctx) bool {
	x.cur = cursor{all: true}
	for {
		x.cur.more = false
		v, ok := t.expr.eval(x)
		if ok && t.match.match(x, v) {
			return true
		}
		if !x.cur.more {
			return false
		}
	}
}
