package cfgdiff

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one difference.
type Change struct {
	Change  string   `json:"change"`            // added, removed, changed or reordered
	Section string   `json:"section,omitempty"` // "frontend www"
	Name    string   `json:"name,omitempty"`    // an address, a server, a file
	Was     string   `json:"was,omitempty"`     // a line, without secrets
	Now     string   `json:"now,omitempty"`
	WasAt   string   `json:"was_at,omitempty"` // FILE:LINE
	NowAt   string   `json:"now_at,omitempty"`
	Details []string `json:"details,omitempty"` // "weight 10, was 1"
}

// Diff is all that is different. Lists are empty rather than nil, for JSON.
type Diff struct {
	Listeners []Change `json:"listeners"`
	Proxies   []Change `json:"proxies"`
	Servers   []Change `json:"servers"`
	Files     []Change `json:"files"`
	Settings  []Change `json:"settings"`

	old, now *Side
	secrets  []string
}

// Empty says that nothing is different.
func (d *Diff) Empty() bool {
	return len(d.Listeners)+len(d.Proxies)+len(d.Servers)+len(d.Files)+len(d.Settings) == 0
}

const (
	added     = "added"
	removed   = "removed"
	changed   = "changed"
	reordered = "reordered"
)

// Compare compares two configurations. secrets are values that are not to be shown.
func Compare(old, now *Side, secrets []string) *Diff {
	d := &Diff{Listeners: []Change{}, Proxies: []Change{}, Servers: []Change{}, Files: []Change{}, Settings: []Change{}, old: old, now: now, secrets: secrets}
	for _, was := range old.sections {
		is := now.byKey[was.key]
		if is == nil {
			d.whole(removed, was)
			is = &section{key: was.key, kind: was.kind}
		}
		d.section(was, is)
	}
	for _, is := range now.sections {
		if old.byKey[is.key] == nil {
			d.whole(added, is)
			d.section(&section{key: is.key, kind: is.kind}, is)
		}
	}
	return d
}

// whole reports a section that is on one side only.
func (d *Diff) whole(how string, s *section) {
	c := Change{Change: how, Section: s.key}
	if how == added {
		c.NowAt = s.pos.String()
	} else {
		c.WasAt = s.pos.String()
	}
	if isProxy(s.kind) {
		d.Proxies = append(d.Proxies, c)
	} else {
		d.Settings = append(d.Settings, c)
	}
}

// section compares two sections of one name. One that is on one side only is
// reported as such, with its listeners and servers.
func (d *Diff) section(was, is *section) {
	d.listeners(was, is)
	d.servers(was, is)
	if was.pos.File == "" || is.pos.File == "" {
		return
	}
	if (isProxy(was.kind) || was.kind == "defaults") && was.baseKey() != is.baseKey() {
		d.Settings = append(d.Settings, Change{Change: changed, Section: was.key, Was: "from " + was.baseKey(), Now: "from " + is.baseKey(), WasAt: was.pos.String(), NowAt: is.pos.String()})
	}
	var groups []string
	for _, s := range []*section{was, is} {
		for i := range s.items {
			if g := s.items[i].group; !slices.Contains(groups, g) && !isBind(&s.items[i]) && s.items[i].full == nil {
				groups = append(groups, g)
			}
		}
	}
	a, b := was.byGroup(), is.byGroup()
	for _, g := range groups {
		d.lines(was.key, a[g], b[g])
	}
}

func isBind(i *item) bool { return i.words[0] == "bind" }

func (s *section) byGroup() map[string][]item {
	m := map[string][]item{}
	for _, i := range s.items {
		m[i.group] = append(m[i.group], i)
	}
	return m
}

// pick gives the items that f likes.
func (s *section) pick(f func(*item) bool) (list []item) {
	for i := range s.items {
		if f(&s.items[i]) {
			list = append(list, s.items[i])
		}
	}
	return list
}

// change makes a Change of lines of both sides; either may be nil.
func (d *Diff) change(how, section string, was, is *item) Change {
	c := Change{Change: how, Section: section}
	if was != nil {
		c.Was, c.WasAt = Mask(was.words, d.secrets), was.pos.String()
	}
	if is != nil {
		c.Now, c.NowAt = Mask(is.words, d.secrets), is.pos.String()
	}
	return c
}

// lines compares the lines of one group, in their order.
func (d *Diff) lines(section string, was, is []item) {
	gone, come := difference(was, is, (*item).text)
	// What is on both lists has only moved.
	for i := 0; i < len(gone); i++ {
		at := slices.IndexFunc(come, func(c item) bool { return c.text() == gone[i].text() })
		if at < 0 {
			continue
		}
		d.Settings = append(d.Settings, d.change(reordered, section, &gone[i], &come[at]))
		gone, come = slices.Delete(gone, i, i+1), slices.Delete(come, at, at+1)
		i--
	}
	if len(gone) == 1 && len(come) == 1 {
		c := d.change(changed, section, &gone[0], &come[0])
		if c.Was == c.Now {
			c.Details = []string{"what is different is hidden"}
		}
		d.Settings = append(d.Settings, c)
		return
	}
	for i := range gone {
		d.Settings = append(d.Settings, d.change(removed, section, &gone[i], nil))
	}
	for i := range come {
		d.Settings = append(d.Settings, d.change(added, section, nil, &come[i]))
	}
}

// listeners compares bind lines.
func (d *Diff) listeners(was, is *section) {
	gone, come := difference(was.pick(isBind), is.pick(isBind), (*item).text)
	pair := func(like func(a, b *item) bool) {
		for i := 0; i < len(gone); i++ {
			at := slices.IndexFunc(come, func(c item) bool { return like(&gone[i], &c) })
			if at < 0 {
				continue
			}
			a, b := gone[i], come[at]
			gone, come = slices.Delete(gone, i, i+1), slices.Delete(come, at, at+1)
			i--
			if a.text() == b.text() {
				continue // the order of listeners means nothing
			}
			c := d.change(changed, was.key, &a, &b)
			c.Name = arg(b.words, 1)
			if arg(a.words, 1) != arg(b.words, 1) {
				c.Details = append(c.Details, "address "+arg(b.words, 1)+", was "+arg(a.words, 1))
			}
			c.Details = append(c.Details, d.options(tail(a.words, 2), tail(b.words, 2))...)
			d.Listeners = append(d.Listeners, c)
		}
	}
	pair(func(a, b *item) bool { return a.text() == b.text() })
	pair(func(a, b *item) bool { return arg(a.words, 1) == arg(b.words, 1) })
	pair(func(a, b *item) bool { n := value(a.words, "name"); return n != "" && n == value(b.words, "name") })
	if len(gone) == 1 && len(come) == 1 {
		pair(func(a, b *item) bool { return slices.Equal(tail(a.words, 2), tail(b.words, 2)) })
	}
	for i := range gone {
		c := d.change(removed, was.key, &gone[i], nil)
		c.Name = arg(gone[i].words, 1)
		d.Listeners = append(d.Listeners, c)
	}
	for i := range come {
		c := d.change(added, was.key, nil, &come[i])
		c.Name = arg(come[i].words, 1)
		d.Listeners = append(d.Listeners, c)
	}
}

// servers compares server lines, with what default-server says for them.
func (d *Diff) servers(was, is *section) {
	isServer := func(i *item) bool { return i.full != nil }
	a, b := was.pick(isServer), is.pick(isServer)
	var names, order []string // of those on both sides
	for i := range a {
		at := slices.IndexFunc(b, func(c item) bool { return c.group == a[i].group })
		if at < 0 {
			c := d.change(removed, was.key, &a[i], nil)
			c.Name = arg(a[i].words, 1)
			d.Servers = append(d.Servers, c)
			continue
		}
		names = append(names, b[at].group)
		if slices.Equal(a[i].full, b[at].full) {
			continue
		}
		c := d.change(changed, was.key, &a[i], &b[at])
		c.Name = arg(a[i].words, 1)
		n := len(a[i].words[:min(3, len(a[i].words))])
		if a[i].words[0] == "server-template" {
			n = 4
			if x, y := arg(a[i].words, 2), arg(b[at].words, 2); x != y {
				c.Details = append(c.Details, "number "+y+", was "+x)
			}
		}
		if x, y := arg(a[i].words, n-1), arg(b[at].words, n-1); x != y {
			c.Details = append(c.Details, "address "+y+", was "+x)
		}
		c.Details = append(c.Details, d.options(tail(a[i].full, n), tail(b[at].full, n))...)
		if a[i].text() == b[at].text() {
			c.Details = append(c.Details, "by default-server")
		}
		d.Servers = append(d.Servers, c)
	}
	for i := range b {
		if slices.Contains(names, b[i].group) {
			order = append(order, b[i].group)
			continue
		}
		c := d.change(added, was.key, nil, &b[i])
		c.Name = arg(b[i].words, 1)
		d.Servers = append(d.Servers, c)
	}
	if !slices.Equal(names, order) {
		d.Servers = append(d.Servers, Change{Change: reordered, Section: was.key, WasAt: was.pos.String(), NowAt: is.pos.String(), Details: []string{"now " + strings.Join(order, ", ")}})
	}
}

// valued are options that are told with their values on one line.
var valued = []string{"weight", "check", "maxconn", "inter", "rise", "fall", "port", "crt", "ca-file", "crl-file", "sni", "alpn", "cookie", "id", "minconn", "slowstart", "interface", "backlog", "name", "verify", "track"}

// options says which words came and went.
func (d *Diff) options(was, is []string) (list []string) {
	was, is = slices.Clone(was), slices.Clone(is)
	for _, name := range valued {
		x, y := value(was, name), value(is, name)
		if name == "check" || x == y || x == "" || y == "" || count(was, name) > 1 || count(is, name) > 1 {
			continue
		}
		list = append(list, fmt.Sprintf("%s %s, was %s", name, y, x))
		was, is = without(was, name), without(is, name)
	}
	w := func(words []string) (items []item) {
		for _, x := range words {
			items = append(items, item{words: []string{x}})
		}
		return items
	}
	gone, come := difference(w(was), w(is), (*item).text)
	say := func(how string, items []item) {
		if len(items) == 0 {
			return
		}
		words := []string{how}
		for _, i := range items {
			words = append(words, i.words[0])
		}
		list = append(list, Mask(words, d.secrets))
	}
	say("with", come)
	say("without", gone)
	return list
}

func arg(words []string, n int) string {
	if n < len(words) {
		return words[n]
	}
	return ""
}

func tail(words []string, n int) []string { return words[min(n, len(words)):] }

// value is the word after a name.
func value(words []string, name string) string {
	if i := slices.Index(words, name); i >= 0 {
		return arg(words, i+1)
	}
	return ""
}

func count(words []string, name string) (n int) {
	for _, w := range words {
		if w == name {
			n++
		}
	}
	return n
}

func without(words []string, name string) []string {
	i := slices.Index(words, name)
	return slices.Delete(words, i, min(i+2, len(words)))
}

// mostCells bounds the table of difference.
const mostCells = 16 << 20

// difference gives what is on one list only, apart from a longest common
// subsequence.
func difference(a, b []item, text func(*item) string) (gone, come []item) {
	for len(a) > 0 && len(b) > 0 && text(&a[0]) == text(&b[0]) {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && text(&a[len(a)-1]) == text(&b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a)*len(b) == 0 || len(a)*len(b) > mostCells {
		return slices.Clone(a), slices.Clone(b)
	}
	width := len(b) + 1
	table := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if text(&a[i]) == text(&b[j]) {
				table[i*width+j] = table[(i+1)*width+j+1] + 1
			} else {
				table[i*width+j] = max(table[(i+1)*width+j], table[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case text(&a[i]) == text(&b[j]):
			i, j = i+1, j+1
		case table[(i+1)*width+j] >= table[i*width+j+1]:
			gone = append(gone, a[i])
			i++
		default:
			come = append(come, b[j])
			j++
		}
	}
	return append(gone, a[i:]...), append(come, b[j:]...)
}

// File is a file that a configuration names. Its sum is "" where there is none: a
// certificate has a name for its key, which may be in a file of its own.
type File struct{ Kind, Path, Sum string }

// CompareFiles adds the files that a configuration names.
func (d *Diff) CompareFiles(was, is []File) {
	type name struct{ kind, path string }
	sums := func(list []File) map[name]string {
		m := make(map[name]string, len(list))
		for _, f := range list {
			m[name{f.Kind, f.Path}] = f.Sum
		}
		return m
	}
	before, after := sums(was), sums(is)
	for _, f := range was {
		switch now := after[name{f.Kind, f.Path}]; {
		case now == f.Sum:
		case now == "":
			d.Files = append(d.Files, Change{Change: removed, Section: f.Kind, Name: f.Path})
		case f.Sum != "":
			d.Files = append(d.Files, Change{Change: changed, Section: f.Kind, Name: f.Path})
		}
	}
	for _, f := range is {
		if f.Sum != "" && before[name{f.Kind, f.Path}] == "" {
			d.Files = append(d.Files, Change{Change: added, Section: f.Kind, Name: f.Path})
		}
	}
}
