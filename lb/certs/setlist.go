package certs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// crt-lists, whose lines come and go.

// listCommand is a command about a crt-list.
func (s *Store) listCommand(verb string, args []string, payload []byte) string {
	switch verb {
	case "show":
		return s.showList(args)
	case "add":
		return s.addLine(args, payload)
	}
	return s.delLine(args)
}

func (s *Store) showList(args []string) string {
	numbers := len(args) > 0 && args[0] == "-n"
	if numbers {
		if args = args[1:]; len(args) == 0 {
			return "'show ssl crt-list -n' expects a filename or a directory"
		}
	}
	if len(args) == 0 {
		var b strings.Builder
		for _, name := range sortedKeys(s.lists) {
			b.WriteString(name + "\n")
		}
		return b.String()
	}
	list := strings.TrimSuffix(args[0], "/")
	lines, ok := s.lists[list]
	if !ok {
		return "didn't find the specified filename"
	}
	var b strings.Builder
	b.WriteString("# " + list + "\n")
	for i := range lines {
		b.WriteString(s.under(list, lines[i].File))
		if numbers {
			b.WriteString(":" + strconv.Itoa(lines[i].Number))
		}
		b.WriteString(lines[i].shown() + "\n")
	}
	return b.String()
}

// listOrder is the order in which HAProxy prints options. It has a NUL after the
// protocols, which is left out here.
var listOrder = []string{"npn", "alpn", "verify", "no-ca-names", "allow-0rtt", "ca-file", "ca-verify-file", "crl-file", "ciphers", "ciphersuites", "curves", "ecdhe", "ssl-min-ver", "ssl-max-ver"}

// shown is the line's tail as HAProxy prints it.
func (l ListLine) shown() string {
	values := map[string]string{}
	for i := 0; i < len(l.Options); i++ {
		name := l.Options[i]
		values[name] = name
		if name != "no-ca-names" && name != "allow-0rtt" && i+1 < len(l.Options) {
			i++
			values[name] = name + " " + l.Options[i]
		}
	}
	var b strings.Builder
	for _, name := range listOrder {
		text, ok := values[name]
		if !ok {
			continue
		}
		b.WriteString(map[bool]string{true: " [", false: " "}[b.Len() == 0] + text)
	}
	if b.Len() > 0 {
		b.WriteByte(']')
	}
	for _, f := range l.Filters {
		b.WriteString(" " + f)
	}
	return b.String()
}

// addLine adds a line to a list, of a name or a payload.
func (s *Store) addLine(args []string, payload []byte) string {
	const fails = "Can't edit the crt-list: "
	if len(args) == 0 || len(args) == 1 && payload == nil {
		return "'add ssl crtlist' expects a filename and a certificate name"
	}
	list := strings.TrimSuffix(args[0], "/")
	lines, ok := s.lists[list]
	if !ok {
		return fails + fmt.Sprintf("crt-list '%s' does not exist!\n", list)
	}
	text := ""
	if len(args) > 1 {
		text = args[1] // options and filters are in a payload alone
	}
	if payload != nil {
		text = strings.TrimRight(string(payload), "\r\n")
	}
	if strings.Contains(text, "\n") {
		return fails + "only one line of payload is supported!\n"
	}
	line, err := ParseListLine(text)
	if err == nil && len(line.Options) > 0 {
		_, err = s.Settings(line.Options)
	}
	switch {
	case err != nil:
		why, _, _ := strings.Cut(err.Error(), ";")
		return fails + "parsing [CLI:1]: " + why + "\n"
	case line.File == "":
		return fails + "only one line of payload is supported!\n"
	}
	file := s.under(list, line.File)
	switch p := s.pairs[file]; {
	case p == nil:
		return fails + fmt.Sprintf("certificate '%s' does not exist!\n", file)
	case p.cert == nil:
		return fails + fmt.Sprintf("certificate '%s' is empty!\n", file)
	case s.dirs[list] && filepath.Dir(file) != list:
		return fails + fmt.Sprintf("'%s' is a directory, certificate path '%s' must contain the directory path\n", list, file)
	case s.dirs[list] && slices.ContainsFunc(lines, func(l ListLine) bool { return l.File == file }):
		return fails + "file already exists in this directory!\n"
	}
	line.Number = 1
	if n := len(lines); n > 0 {
		line.Number = lines[n-1].Number + 1
	}
	s.lists[list] = append(slices.Clone(lines), line)
	inserting := fmt.Sprintf("Inserting certificate '%s' in crt-list '%s'", file, list)
	if err := s.rebuild(); err != nil {
		s.lists[list] = lines
		return fmt.Sprintf("%s.\n%v\nFailed!\n", inserting, err)
	}
	return fmt.Sprintf("%s%s\nSuccess!\n", inserting, strings.Repeat(".", s.listUses(list)))
}

// listUses is how many bind lines a list has.
func (s *Store) listUses(list string) int {
	n := 0
	for _, l := range s.listeners {
		for _, src := range l.o.Sources {
			if src.name() == list {
				n++
			}
		}
	}
	return n
}

// delLine takes a line out of a list.
func (s *Store) delLine(args []string) string {
	const fails = "Can't delete the entry: "
	if len(args) < 2 {
		return "'del ssl crtlist' expects a filename and a certificate name"
	}
	list, name := strings.TrimSuffix(args[0], "/"), args[1]
	lines, ok := s.lists[list]
	if !ok {
		return fails + fmt.Sprintf("crt-list '%s' does not exist!\n", list)
	}
	number := 0
	if i := strings.LastIndexByte(name, ':'); i > 0 && s.pairs[name] == nil {
		n, err := strconv.Atoi(name[i+1:])
		if err != nil || n <= 0 {
			return fails + fmt.Sprintf("wrong line number after colons in '%s'!\n", name)
		}
		name, number = name[:i], n
	}
	switch p := s.pairs[name]; {
	case p == nil:
		return fails + fmt.Sprintf("certificate '%s' does not exist!\n", name)
	case p.cert == nil:
		return fails + fmt.Sprintf("certificate '%s' is empty!\n", name)
	}
	var at []int
	var numbers []string
	for i := range lines {
		if s.under(list, lines[i].File) == name {
			numbers = append(numbers, strconv.Itoa(lines[i].Number))
			if number == 0 || lines[i].Number == number {
				at = append(at, i)
			}
		}
	}
	switch {
	case len(at) == 0 && len(numbers) > 0:
		return fails + fmt.Sprintf("found a certificate '%s' but the line number is incorrect, please specify a correct line number preceded by colons (%s)!\n", name, strings.Join(numbers, ", "))
	case len(at) == 0:
		return fails + fmt.Sprintf("certificate '%s' can't be found in crt-list '%s'!\n", name, list)
	case len(at) > 1:
		return fails + fmt.Sprintf("found the certificate '%s' in several entries, please specify a line number preceded by colons (%s)!\n", name, strings.Join(numbers, ", "))
	}
	if users := s.defaults(list); at[0] == 0 && len(users) > 0 {
		return fails + fmt.Sprintf("certificate '%s' cannot be deleted, it is used as default certificate by the following frontends:\n\t- %s\n\n", name, strings.Join(users, "\n\t- "))
	}
	s.lists[list] = slices.Delete(slices.Clone(lines), at[0], at[0]+1)
	if err := s.rebuild(); err != nil {
		s.lists[list] = lines
		return fails + err.Error() + "\n"
	}
	return fmt.Sprintf("Entry '%s' deleted in crtlist '%s'!", name, list)
}

// defaults names the bind lines whose default certificate is a list's first; those
// with strict-sni have none.
func (s *Store) defaults(list string) (names []string) {
	for _, l := range s.listeners {
		if src := l.o.Sources; len(src) > 0 && !l.o.StrictSNI && src[0].name() == list {
			names = append(names, l.o.Name)
		}
	}
	return names
}
