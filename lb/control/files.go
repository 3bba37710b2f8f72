package control

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/lookup"
)

// fileKind is the kind of files that a command is about: map or acl.
type fileKind string

// title is how HAProxy writes the kind in sentences.
func (k fileKind) title() string {
	if k == "acl" {
		return "ACL"
	}
	return string(k)
}

// has reports whether f is of the kind.
func (k fileKind) has(f *lookup.File) bool { return f.Map == (k == "map") }

// named finds the file that a word names: by its path, or its number after "#".
func (k fileKind) named(c *session, word string) *lookup.File {
	for _, f := range c.Runtime.Files() {
		if k.has(f) && (f.Path == word || "#"+strconv.Itoa(f.Index) == word) {
			return f
		}
	}
	return nil
}

// find is named, with an answer where there is no such file.
func (k fileKind) find(c *session, args []string) *lookup.File {
	word := ""
	if len(args) > 0 {
		word = args[0]
	}
	f := k.named(c, word)
	if f == nil {
		c.fail("Unknown " + k.title() + " identifier. Please use #<id> or <file>.")
	}
	return f
}

// ofVersion takes "@VERSION" from the beginning of args; without it, given is
// false. ok is false when something was answered.
func ofVersion(c *session, args []string) (rest []string, version uint, given, ok bool) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "@") {
		return args, 0, false, true
	}
	n, err := strconv.ParseUint(args[0][1:], 10, 32)
	if err != nil {
		c.fail("Invalid version number.")
		return nil, 0, true, false
	}
	return args[1:], uint(n), true, true
}

// show lists the files of a kind, or the lines of one.
func (k fileKind) show(c *session, args []string) {
	args, version, given, ok := ofVersion(c, args)
	if !ok {
		return
	}
	if len(args) == 0 {
		c.say("# id (file) description")
		for _, f := range c.Runtime.Files() {
			if k.has(f) {
				current, newest, lines := f.Versions()
				c.say(fmt.Sprintf("%d (%s) pattern loaded from file '%s' used %s. curr_ver=%d next_ver=%d entry_cnt=%d", f.Index, f.Path, f.Path, strings.Join(f.Users, ", "), current, newest, lines))
			}
		}
		return
	}
	f := k.find(c, args)
	if f == nil {
		return
	}
	list := f.Entries
	if given {
		list = func() []lookup.Entry { return f.EntriesOf(version) }
	}
	for _, e := range list() {
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

// get says what a sample finds in a file, for each rule that uses it.
func (k fileKind) get(c *session, args []string) {
	if len(args) < 2 {
		c.fail("Missing " + k.title() + " identifier and/or key.")
		return
	}
	f := k.find(c, args)
	if f == nil {
		return
	}
	found := map[bool]string{true: "yes", false: "no"}
	for _, u := range f.Uses() {
		e, ok := f.Line(u.Index.Find(args[1]))
		sense := "sensitive"
		if u.Fold {
			sense = "insensitive"
		}
		line := fmt.Sprintf("type=%s, case=%s", u.Method, sense)
		index := "list"
		switch u.Method {
		case "str", "beg", "ip":
			index = "tree"
		}
		switch {
		case k == "map" && ok:
			line += fmt.Sprintf(", found=yes, idx=%s, key=\"%s\", value=\"%s\", type=\"str\"", index, e.Key, e.Value)
		case k == "map":
			line += ", found=no"
		case ok:
			line += fmt.Sprintf(", match=%s, idx=%s, pattern=\"%s\"", found[ok], index, e.Key)
		default:
			line += ", match=no"
		}
		c.say(line)
	}
}

// prepare begins a version that is to be in the place of all lines.
func (k fileKind) prepare(c *session, args []string) {
	if f := k.find(c, args); f != nil {
		c.message(asInfo, fmt.Sprintf("New version created: %d", f.Prepare()))
	}
}

// commit puts a version in the place of the one in use.
func (k fileKind) commit(c *session, args []string) {
	args, version, given, ok := ofVersion(c, args)
	switch {
	case !ok:
		return
	case !given:
		c.fail("Missing version number.")
		return
	case len(args) == 0:
		c.fail("Missing " + k.title() + " identifier.")
		return
	}
	f := k.find(c, args)
	if f == nil {
		return
	}
	switch err := f.Commit(version); err {
	case lookup.ErrNoVersion:
		c.fail("Version number out of range.")
	default:
		c.told(err)
	}
}

// add appends a line, or those of the payload.
func (k fileKind) add(c *session, args []string) {
	args, version, given, ok := ofVersion(c, args)
	if !ok {
		return
	}
	var lines []lookup.Entry
	switch {
	case k == "map" && c.payload != nil && len(args) == 1:
		c.lines(func(line string) bool {
			key, value := strings.TrimLeft(line, " \t"), ""
			if i := strings.IndexAny(key, " \t"); i >= 0 {
				key, value = key[:i], key[i:]
			}
			if value = strings.Trim(value, " \t"); key != "" && value == "" {
				c.fail(fmt.Sprintf("Missing value for key '%s'.", key))
				ok = false
			}
			lines = append(lines, lookup.Entry{Key: key, Value: value})
			return ok
		})
		if !ok {
			return
		}
	case k == "map" && len(args) < 3:
		c.fail("'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload")
		return
	case len(args) < 2:
		c.fail("'add acl' expects two parameters: ACL identifier and pattern.")
		return
	default:
		e := lookup.Entry{Key: args[1]}
		if k == "map" {
			e.Value = args[2]
		}
		lines = []lookup.Entry{e}
	}
	f := k.find(c, args)
	if f == nil {
		return
	}
	if !given {
		version, _, _ = f.Versions()
	}
	switch err := f.AddTo(version, lines...); err {
	case lookup.ErrNoVersion:
		c.fail("Version number in the future, please use 'prepare " + string(k) + "' before.")
	default:
		c.told(err)
	}
}

// set changes the lines of a key.
func (k fileKind) set(c *session, args []string) {
	if len(args) < 3 {
		c.fail("'set map' expects three parameters: map identifier, key and value.")
	} else if f := k.find(c, args); f != nil {
		err := f.Set(lineOf(args[1]), args[2])
		if errors.Is(err, lookup.ErrNoEntry) {
			c.fail("entry not found.")
			return
		}
		c.told(err)
	}
}

// remove removes the lines of a key.
func (k fileKind) remove(c *session, args []string) {
	if len(args) < 2 {
		c.fail("This command expects two parameters: " + k.title() + " identifier and key.")
	} else if f := k.named(c, args[0]); f == nil {
		c.fail("Unknown map identifier. Please use #<id> or <file>.") // so does HAProxy, of ACLs too
	} else {
		c.told(f.Delete(lineOf(args[1])))
	}
}

// clear removes all lines.
func (k fileKind) clear(c *session, args []string) {
	args, version, given, ok := ofVersion(c, args)
	if !ok {
		return
	}
	if len(args) == 0 {
		c.fail("Missing " + k.title() + " identifier.")
		return
	}
	f := k.find(c, args)
	switch {
	case f == nil:
	case !given:
		c.told(f.Clear())
	default:
		if err := f.ClearVersion(version); err == lookup.ErrNoVersion {
			c.fail("Version number in the future, please use 'prepare " + string(k) + "' before.")
		} else {
			c.told(err)
		}
	}
}

// lineOf names lines by their key, or the one with a number after "#".
func lineOf(word string) lookup.Ref {
	if id, ok := strings.CutPrefix(word, "#"); ok {
		if n, err := strconv.ParseUint(id, 0, 64); err == nil {
			return lookup.Ref{ID: n}
		}
	}
	return lookup.Ref{Key: word}
}

// told answers with what was wrong, if anything.
func (c *session) told(err error) {
	switch err {
	case nil:
	case lookup.ErrNoEntry:
		c.fail("Key not found.")
	default:
		c.fail(err.Error() + ".")
	}
}
