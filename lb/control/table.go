package control

import (
	"slices"
	"strconv"
	"strings"

	"lbsyslogd/lb/stick"
)

// What the table commands answer to mistakes, in HAProxy's words.
const (
	clearUsage = `Required arguments: <table> "data.<store_data_type>" <operator> <value> or <table> key <key>`
	putUsage   = `Required arguments: <table> key <key> [data.<store_data_type> <value>]*`
	showUsage  = `Optional argument only supports "data.<store_data_type>" <operator> <value> and key <key>`
)

// maxFilters is how many data types one command may compare.
const maxFilters = 4

// table finds the table that the first of args names, and answers if there is
// none.
func (c *session) table(args []string) *stick.Table {
	for _, t := range c.Runtime.Tables() {
		if t.Name == args[0] {
			return t
		}
	}
	c.say("No such table")
	return nil
}

// showTable lists the tables, or the entries of one.
func showTable(c *session, args []string) {
	now := stick.Now()
	if len(args) == 0 {
		for _, t := range slices.Backward(c.Runtime.Tables()) { // the last one first, as HAProxy
			c.out = t.AppendTitle(c.out, now)
		}
		return
	}
	t := c.table(args)
	if t == nil {
		return
	}
	if len(args) > 1 && args[1] == "key" {
		if key := c.key(t, args[2:]); key != nil && c.level < Operator {
			c.say("Permission denied")
		} else if key != nil {
			if line := t.AppendEntry(nil, key, nil, now); len(line) > 0 {
				c.out = append(t.AppendTitle(c.out, now), line...)
			}
		}
		return
	}
	filters, ok := c.filters(t, args, showUsage)
	if !ok {
		return
	}
	c.out = t.AppendTitle(c.out, now)
	if c.level < Operator {
		c.say("# contents not dumped due to insufficient privileges")
		return
	}
	for _, key := range t.Keys(filters, now) {
		c.out = t.AppendEntry(c.out, key, nil, now)
		if len(c.out) > maxAnswer && !c.flush() {
			c.done = true
			return
		}
	}
}

// maxAnswer is how many bytes of a long answer are gathered before they are
// sent.
const maxAnswer = 64 << 10

// key reads the word after "key"; nil when it answered instead.
func (c *session) key(t *stick.Table, args []string) []byte {
	if len(args) == 0 || args[0] == "" {
		c.say("Key value expected")
		return nil
	}
	key, err := t.ParseKey(args[0])
	if err != nil {
		c.say("Invalid key: " + err.Error())
		return nil
	}
	return key
}

// filters reads "data.<type> <operator> <value>" as often as it is there,
// after a table's name; usage is the answer to anything else.
func (c *session) filters(t *stick.Table, args []string, usage string) (list []stick.Filter, ok bool) {
	rest := args[1:]
	for len(rest) > 0 {
		if len(list) == maxFilters {
			c.say("Detected extra data in filter, " + strconv.Itoa(2+len(args)-len(rest)+1) + "th word of input, after '" + args[len(args)-len(rest)-1] + "'")
			return nil, false
		}
		name, isData := strings.CutPrefix(rest[0], "data.")
		if !isData {
			if len(list) == 0 {
				c.say(usage)
				return nil, false
			}
			c.say("Detected extra data in filter, " + strconv.Itoa(2+len(args)-len(rest)+1) + "th word of input, after '" + args[len(args)-len(rest)-1] + "'")
			return nil, false
		}
		entry := "Filter entry #" + strconv.Itoa(len(list)+1) + ": "
		d, known := t.ParseData(name)
		if !known {
			c.say(entry + "Unknown data type")
			return nil, false
		}
		if !t.Stores[d] {
			c.say(entry + "Data type not stored in this table")
			return nil, false
		}
		op, known := stick.ParseOp(word(rest, 1))
		if !known {
			c.say(entry + `Require and operator among "eq", "ne", "le", "ge", "lt", "gt"`)
			return nil, false
		}
		n, err := strconv.ParseInt(word(rest, 2), 10, 64)
		if err != nil || d == stick.ServerKey {
			c.say(entry + "Require a valid integer value to compare against")
			return nil, false
		}
		list = append(list, stick.Filter{Data: d, Op: op, N: n})
		rest = rest[3:]
	}
	return list, true
}

// word is args[i], "" when it is not there.
func word(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// setTable makes an entry or changes one.
func setTable(c *session, args []string) {
	if len(args) == 0 {
		c.say(putUsage)
		return
	}
	t := c.table(args)
	if t == nil {
		return
	}
	switch what := word(args, 1); {
	case strings.HasPrefix(what, "data."):
		c.say(`content-based lookup is only supported with the "show" and "clear" actions`)
		return
	case what != "key":
		c.say(putUsage)
		return
	}
	key := c.key(t, args[2:])
	if key == nil {
		return
	}
	type value struct {
		d stick.Data
		n uint64
	}
	var values []value
	for rest := args[3:]; len(rest) > 0; rest = rest[2:] {
		name, isData := strings.CutPrefix(rest[0], "data.")
		if !isData {
			c.say(`"data.<type>" followed by a value expected`)
			return
		}
		d, known := t.ParseData(name)
		if !known {
			c.say("Unknown data type")
			return
		}
		if !t.Stores[d] {
			c.say("Data type not stored in this table")
			return
		}
		n, err := strconv.ParseInt(word(rest, 1), 10, 64)
		if err != nil || d == stick.ServerKey {
			c.say("Require a valid integer value to store")
			return
		}
		if d != stick.BytesInCnt && d != stick.BytesOutCnt { // others have 32 bits in HAProxy: -1 is what fits into them
			n = int64(uint32(n))
		}
		values = append(values, value{d, uint64(n)})
	}
	now := stick.Now()
	if !t.Ensure(key, now) {
		c.say("Unable to allocate a new entry")
		return
	}
	for _, v := range values {
		t.SetKey(key, v.d, v.n, true, now)
	}
}

// clearTable removes entries: all, those that filters want, or one.
func clearTable(c *session, args []string) {
	if len(args) == 0 {
		c.say(clearUsage)
		return
	}
	t := c.table(args)
	if t == nil {
		return
	}
	now := stick.Now()
	if len(args) > 1 && args[1] == "key" {
		if key := c.key(t, args[2:]); key != nil && t.Clear(key, now) {
			c.say("Entry currently in use, cannot remove")
		}
		return
	}
	filters, ok := c.filters(t, args, clearUsage)
	if !ok {
		return
	}
	for _, key := range t.Keys(filters, now) {
		t.Clear(key, now)
	}
}
