package control

import (
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/lookup"
)

// fileKind is the kind of files that a command is about: map or acl.
type fileKind string

// has reports whether f is of the kind.
func (k fileKind) has(f *lookup.File) bool { return f.Map == (k == "map") }

// find finds the file that a word names: by its path, or its number behind "#".
func (k fileKind) find(c *session, args []string) *lookup.File {
	if len(args) == 0 {
		c.say("Missing " + string(k) + " identifier.")
		return nil
	}
	for _, f := range c.Runtime.Files() {
		if k.has(f) && (f.Path == args[0] || "#"+strconv.Itoa(f.Index) == args[0]) {
			return f
		}
	}
	c.say("Unknown " + string(k) + " identifier. Please use #<id> or <file>.")
	return nil
}

// show lists the files of a kind, or the lines of one.
func (k fileKind) show(c *session, args []string) {
	if len(args) == 0 {
		c.say("# id (file) description")
		for _, f := range c.Runtime.Files() {
			if k.has(f) {
				c.say(fmt.Sprintf("%d (%s) pattern loaded from file '%s' used %s. curr_ver=0 next_ver=0 entry_cnt=%d", f.Index, f.Path, f.Path, strings.Join(f.Users, ", "), len(f.Entries())))
			}
		}
		return
	}
	f := k.find(c, args)
	if f == nil {
		return
	}
	for _, e := range f.Entries() {
		line := fmt.Sprintf("%#x %s", e.ID, e.Key)
		if f.Map {
			line += " " + e.Value
		}
		c.say(line)
		if len(c.out) > maxAnswer && !c.flush() {
			c.done = true
			return
		}
	}
}

// add appends a line.
func (k fileKind) add(c *session, args []string) {
	f := k.find(c, args)
	switch {
	case f == nil:
	case f.Map && len(args) < 3:
		c.say("'add map' expects three parameters: map identifier, key and value.")
	case len(args) < 2:
		c.say("'add acl' expects two parameters: ACL identifier and pattern.")
	default:
		value := ""
		if f.Map {
			value = strings.Join(args[2:], " ")
		}
		c.told(f.Add(args[1], value))
	}
}

// set changes the lines of a key.
func (k fileKind) set(c *session, args []string) {
	if f := k.find(c, args); f == nil {
		return
	} else if len(args) < 3 {
		c.say("'set map' expects three parameters: map identifier, key and value.")
	} else {
		err := f.Set(lineOf(args[1]), strings.Join(args[2:], " "))
		if err == lookup.ErrNoEntry {
			c.say("entry not found.")
			return
		}
		c.told(err)
	}
}

// remove removes the lines of a key.
func (k fileKind) remove(c *session, args []string) {
	if f := k.find(c, args); f == nil {
		return
	} else if len(args) < 2 {
		c.say("This command expects two parameters: " + string(k) + " identifier and key.")
	} else {
		c.told(f.Delete(lineOf(args[1])))
	}
}

// clear removes all lines.
func (k fileKind) clear(c *session, args []string) {
	if f := k.find(c, args); f != nil {
		c.told(f.Clear())
	}
}

// lineOf finds lines by their key, or the one with a number behind "#".
func lineOf(word string) func(*lookup.Entry) bool {
	if id, ok := strings.CutPrefix(word, "#"); ok {
		if n, err := strconv.ParseUint(id, 0, 64); err == nil {
			return func(e *lookup.Entry) bool { return e.ID == n }
		}
	}
	return func(e *lookup.Entry) bool { return e.Key == word }
}

// told answers with what was wrong, if anything.
func (c *session) told(err error) {
	switch err {
	case nil:
	case lookup.ErrNoEntry:
		c.say("Key not found.")
	default:
		c.say(err.Error() + ".")
	}
}
