package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// stickTable holds stick tables and stick rules.
func stickTable() []row[*draft] {
	const sticky = "[table <table>] [if|unless <condition>]"
	return []row[*draft]{
		{name: "stick-table", args: "type ip|ipv6|integer|string [len <n>]|binary [len <n>] size <entries> [expire <time>] [nopurge] [srvkey name|addr] [store <data>[(<period>)],...[,cluster]] [peers <section>]", min: 2, max: many, in: ownAnywhere, apply: (*call).stickTable},
		{name: "stick on", args: "<key> " + sticky, min: 1, max: many, in: ownBack, apply: (*call).stick},
		{name: "stick match", args: "<key> " + sticky, min: 1, max: many, in: ownBack, apply: (*call).stick},
		{name: "stick store-request", args: "<key> " + sticky, min: 1, max: many, in: ownBack, apply: (*call).stick},
		{name: "stick store-response", args: "<key> " + sticky, min: 1, max: many, in: ownBack, apply: (*call).stick},
	}
}

// stick applies stick on, match, store-request and store-response.
func (c *call) stick(d *draft) error {
	words := append(strings.Fields(c.name)[1:], c.args...)
	s, err := rule.ParseStick(words, d.acls)
	if err == nil {
		d.Sticks = append(d.Sticks, s)
	}
	return err
}

// stickTable applies stick-table.
func (c *call) stickTable(d *draft) error {
	if d.Table != nil {
		return fmt.Errorf("'stick-table' : %s '%s' has one already, at %s; a table of its own name goes into a backend of that name", d.section, d.Name, d.tablePos)
	}
	t := &stick.Spec{Name: d.Name}
	if err := c.tableSpec(t, c.args); err != nil {
		return err
	}
	d.Table, d.tablePos = t, c.pos
	return nil
}

// tableSpec reads what a table is like.
func (c *call) tableSpec(t *stick.Spec, words []string) error {
	typed, peers := false, c.name == "table"
	t.Size = -1
	t.Place = c.p.tables
	c.p.tables++
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "nopurge" {
			t.NoPurge = true
			continue
		}
		if len(words) == 0 {
			return fmt.Errorf("stick-table: missing argument after '%s'", word)
		}
		value := words[0]
		words = words[1:]
		var err error
		switch word {
		case "type":
			typed = true
			err = tableType(t, value)
			if err == nil && len(words) > 0 && words[0] == "len" && (t.Type == stick.String || t.Type == stick.Binary) {
				if len(words) < 2 {
					return fmt.Errorf("stick-table: missing argument after 'len'")
				}
				t.Len, err = number("stick-table len", c.numeral("stick-table len", words[1], cutsTail), 1, 1024)
				words = words[2:]
			}
		case "size":
			t.Size, err = size("stick-table", value)
		case "expire":
			var span time.Duration
			span, err = duration("stick-table expire", c.timed("stick-table expire", value), time.Millisecond)
			t.Expire = span.Milliseconds()
		case "store":
			err = c.stores(t, value)
		case "peers":
			peers = true
			c.p.usedPeers = append(c.p.usedPeers, peersUse{value, c.pos, t})
		case "srvkey":
			t.ByAddr = value == "addr"
			err = oneOf("stick-table: srvkey", value, "name", "addr")
		default:
			err = oneOf("stick-table", word, "type", "size", "expire", "nopurge", "store", "peers", "srvkey")
		}
		if err != nil {
			return err
		}
	}
	switch {
	case !typed:
		return fmt.Errorf("stick-table: missing type (ip, ipv6, integer, string or binary)")
	case t.Size <= 0:
		return fmt.Errorf("stick-table: missing size: how many entries there may be, such as 100k")
	case t.Cluster && !t.AddsUp():
		return fmt.Errorf("stick-table: 'store cluster' has nodes add up their rates and conn_cur, and this table stores none; add one, such as http_req_rate(10s)")
	case t.Cluster && !peers:
		return fmt.Errorf("stick-table: 'store cluster' has nodes add up what they count; say which: 'peers <section>'")
	}
	return nil
}

// tableType reads the type of a table's keys.
func tableType(t *stick.Spec, word string) error {
	var names []string
	for _, kind := range stick.Types() {
		if kind.String() == word {
			t.Type, t.Len = kind, kind.KeyLen()
			switch kind {
			case stick.String:
				t.Len = stick.DefaultString
			case stick.Binary:
				t.Len = 32
			}
			return nil
		}
		names = append(names, kind.String())
	}
	return oneOf("stick-table: type", word, names...)
}

// size reads a number, with k, m or g for powers of 1024; what names it in
// errors.
func size(what, word string) (int, error) {
	unit := 1
	digits := strings.TrimRight(word, "kKmMgG")
	switch strings.ToLower(word[len(digits):]) {
	case "":
	case "k":
		unit = 1 << 10
	case "m":
		unit = 1 << 20
	case "g":
		unit = 1 << 30
	default:
		return 0, fmt.Errorf("%s: '%s' is no size such as 5000, 100k or 1m", what, word)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return 0, fmt.Errorf("%s: '%s' is no size such as 5000, 100k or 1m", what, word)
	}
	return n * unit, nil
}

// storeArrays finds the comma within gpc_rate(N,PERIOD).
var storeArrays = regexp.MustCompile(`(gpc_rate\([^,()]*),([^()]*\))`)

// storesArray reads gpc(N), gpt(N) or gpc_rate(N;PERIOD).
func (c *call) storesArray(t *stick.Spec, name, arg string) error {
	size, span, _ := strings.Cut(arg, ";")
	n, err := number("stick-table: store "+name, size, 1, 100)
	if err != nil {
		return err
	}
	if n > stick.MaxArray {
		return fmt.Errorf("stick-table: 'store %s(%d)' : at most %d elements are supported by lb; use several tables", name, n, stick.MaxArray)
	}
	array, period := map[string]func(int64) (stick.Data, bool){"gpc": stick.GPC, "gpt": stick.GPT, "gpc_rate": stick.GPCRate}[name], time.Duration(0)
	if name == "gpc_rate" {
		if period, err = duration("store "+name, c.timed("store "+name, span), time.Millisecond); err == nil && period == 0 {
			err = fmt.Errorf("stick-table: the period of '%s' must be more than 0", name)
		}
		if err != nil {
			return err
		}
	} else if span != "" {
		return fmt.Errorf("stick-table: unexpected argument to store option '%s'", name)
	}
	switch name {
	case "gpt":
		t.Arrays.GPT = true
	case "gpc":
		t.Arrays.GPC = true
	default:
		t.Arrays.GPCRate = true
	}
	for i := range int64(n) {
		d, _ := array(i)
		if t.Stores[d] {
			return mixedArrays(name)
		}
		t.Stores[d], t.Period[d] = true, period.Milliseconds()
	}
	return nil
}

func mixedArrays(name string) error {
	return fmt.Errorf("stick-table: 'store %s' : gpc(N) takes the place of gpc0 and gpc1, gpc_rate(N,PERIOD) that of their rates, and gpt(N) that of gpt0: one table cannot have both", name)
}

// stores reads what a table holds: "gpc0,conn_rate(10s)".
func (c *call) stores(t *stick.Spec, list string) error {
	for item := range strings.SplitSeq(storeArrays.ReplaceAllString(list, "$1;$2"), ",") {
		if item == "cluster" {
			t.Cluster = true
			continue
		}
		name, arg, bracket := strings.Cut(item, "(")
		arg, closed := strings.CutSuffix(arg, ")")
		switch name {
		case "gpc", "gpc_rate", "gpt":
			if err := c.storesArray(t, name, arg); err != nil {
				return err
			}
			continue
		}
		data, known := stick.ParseData(name)
		known = known && !data.InArray()
		switch {
		case !known:
			var names []string
			for d := range stick.NumData {
				if !d.InArray() && d != stick.ServerID && d != stick.ServerKey { // those come with stick rules
					names = append(names, d.String())
				}
			}
			guess := didYouMean(cfgfile.Suggest(name, names))
			if guess == "" {
				guess = ": there are " + strings.Join(names, ", ")
			}
			return fmt.Errorf("stick-table: unknown store option '%s'%s", name, guess)
		case bracket && !closed:
			return fmt.Errorf("stick-table: expected ')' in store option '%s'", item)
		case data.IsRate() && arg == "":
			return fmt.Errorf("stick-table: missing argument to store option '%s': the period to count over, such as %s(10s)", name, name)
		case !data.IsRate() && bracket:
			return fmt.Errorf("stick-table: unexpected argument to store option '%s'", name)
		case t.Arrayed(data):
			return mixedArrays(name)
		case t.Stores[data]:
			c.p.report.Warnf(c.pos, "stick-table: store option '%s' already enabled, ignored", name)
			continue
		}
		t.Stores[data] = true
		if data.IsRate() {
			period, err := duration("store "+name, c.timed("store "+name, arg), time.Millisecond)
			if err == nil && period == 0 {
				err = fmt.Errorf("stick-table: the period of '%s' must be more than 0", item)
			}
			if err != nil {
				return err
			}
			t.Period[data] = period.Milliseconds()
		}
	}
	return nil
}

// TableUse is a rule's reference to a stick table, by the table's name.
type TableUse struct {
	Ref  *sample.TableRef
	Name string
}

// tableParts is what the parser keeps of stick tables.
type tableParts struct {
	uses   []tableUse
	tables int // read so far
}

// tableUse is the same before all proxies are known.
type tableUse struct {
	ref  *sample.TableRef
	from *draft
	pos  cfgfile.Pos
}

// gaugeUse is a number that a rule asks for.
type gaugeUse struct {
	gauge *sample.Gauge
	from  *draft
	pos   cfgfile.Pos
}

// noteRefs keeps what a line names for the time when all sections are known;
// not what a line names that is wrong anyway.
func (p *parser) noteRefs(from *draft, pos cfgfile.Pos, sound bool) {
	refs := from.acls.Take()
	if !sound {
		return
	}
	for _, ref := range refs {
		switch r := ref.(type) {
		case *sample.TableRef:
			p.uses = append(p.uses, tableUse{r, from, pos})
		case *sample.UserRef:
			p.usedLists = append(p.usedLists, listUse{r, pos})
		case *sample.FileRef:
			p.files = append(p.files, fileUse{r, pos})
		case *sample.GroupRef:
			p.groupUses = append(p.groupUses, groupUse{r, from, pos})
		case *sample.CacheRef:
			p.noteCache(r, from, pos)
		case *sample.EnvRef:
			r.Value = nil
			if value, ok := p.env.Get(r.Name); ok {
				r.Value = append([]byte{}, value...)
			}
		case *sample.ResolversRef:
			p.resolversUses = append(p.resolversUses, resolversUse{r.Name, from, pos})
		case *sample.NoPattern:
			p.report.Warnf(pos, "ACL expression '%s' : no pattern is given, so it never matches; '-m found' tests for presence alone, and '--' after it says that this is meant", r.Expr)
		case *sample.NeverHere:
			p.report.Warnf(pos, "%v", r.Why)
		case *sample.Remark:
			if r.Shared {
				p.report.Warnf(pos, "%s", r.Text)
			} else {
				p.report.Advisef(pos, "%s", r.Text)
			}
		case *sample.Gauge:
			p.gauges = append(p.gauges, gaugeUse{r, from, pos})
		}
	}
}

// checkTables allows one table of a name.
func (p *parser) checkTables() {
	at := map[string]*draft{}
	for _, d := range p.drafts {
		if d.Table == nil {
			continue
		}
		if before := at[d.Name]; before != nil {
			p.report.Errorf(d.tablePos, "stick-table name '%s' conflicts with table declared in %s '%s' at %s", d.Name, before.section, d.Name, before.tablePos)
		}
		at[d.Name] = d
	}
}

// resolveTables finds the table of each reference.
func (p *parser) resolveTables() {
	tables := map[string]*stick.Spec{}
	for _, t := range p.cfg.PeerTables {
		tables[t.Name] = t
	}
	for _, d := range p.drafts {
		if d.Table != nil {
			tables[d.Name] = d.Table
		}
	}
	for _, u := range p.uses {
		name := u.ref.Name
		if name == "" {
			if u.from.kind == inDefaults {
				p.report.Errorf(u.pos, "a rule in a defaults section has no table of its own: name one ('table <name>', or in parentheses)")
				continue
			}
			name = u.from.Name
		}
		t := tables[name]
		if t == nil {
			p.report.Errorf(u.pos, "unable to find table '%s'%s: write a stick-table line in a proxy of that name (a backend without servers may hold just a table)", name, didYouMean(cfgfile.Suggest(name, sortedNames(tables))))
			continue
		}
		if err := u.ref.Fits(t.Type); err != nil {
			p.report.Errorf(u.pos, "table '%s' cannot be used here: %v", name, err)
			continue
		}
		if u.ref.Servers {
			t.Stores[stick.ServerID], t.Stores[stick.ServerKey] = true, true
		}
		p.cfg.Tables = append(p.cfg.Tables, TableUse{u.ref, name})
	}
}
