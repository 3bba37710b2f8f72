package config

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// Errors is everything that is wrong with a configuration, one "file:line: what, and the way out" each, in the order of the
// lines.
type Errors []string

func (e Errors) Error() string { return strings.Join(e, "\n") }

// A decoder walks the nodes of a YAML file and gathers what is wrong with them.
type decoder struct {
	file string
	dir  string // that file is in; empty: text that is not in a file
	errs Errors
	// here are checks of what the configuration names on this machine: users, certificates. Only Load does them.
	here []func()
	// peers are checks of the files for peers, which need not be there when a daemon starts. Load has a warning of each.
	peers []func()
	// later are checks of what else need not be there when a daemon starts. Only Check does them.
	later []func()
}

func (d *decoder) add(n *yaml.Node, text string, args ...any) {
	d.errs = append(d.errs, fmt.Sprintf("%s:%d: %s", d.file, n.Line, fmt.Sprintf(text, args...)))
}

// syntax makes "file:line: what" of the library's "yaml: line N: what". Without a number it means the first line, or an alias.
func (d *decoder) syntax(text []byte, err error) string {
	if m := regexp.MustCompile(`(?s)^yaml: line (\d+): (.*)$`).FindStringSubmatch(err.Error()); m != nil {
		return fmt.Sprintf("%s:%s: %s", d.file, m[1], m[2])
	}
	line := 1
	if m := regexp.MustCompile(`unknown anchor '(.*)' referenced`).FindStringSubmatch(err.Error()); m != nil {
		if at := bytes.Index(text, []byte("*"+m[1])); at >= 0 {
			line += bytes.Count(text[:at], []byte("\n"))
		}
	}
	return fmt.Sprintf("%s:%d: %s", d.file, line, strings.TrimPrefix(err.Error(), "yaml: "))
}

// mapping hands each value to the function of its key.
func (d *decoder) mapping(n *yaml.Node, what string, fields map[string]func(*yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		d.add(n, "%s must be keys with values, such as \"key: value\"; this is %s", what, kind(n))
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		set, known := fields[key.Value]
		switch {
		case !known:
			d.add(key, "%q is not a key of %s%s", key.Value, what, didYouMean(key.Value, fields))
		case seen[key.Value]:
			d.add(key, "%q is there twice", key.Value)
		default:
			seen[key.Value] = true
			set(resolve(value))
		}
	}
}

// list hands each element to set. A single value is a list of one.
func (d *decoder) list(n *yaml.Node, set func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		set(n)
		return
	}
	for _, element := range n.Content {
		set(resolve(element))
	}
}

// resolve follows "*alias".
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return strconv.Quote(n.Value)
}

// scalar hands a single value to set, whose error gets the line.
func (d *decoder) scalar(set func(text string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			d.add(n, "want a single value; this is %s", kind(n))
			return
		}
		if err := set(n.Value); err != nil {
			d.add(n, "%v", err)
		}
	}
}

func (d *decoder) text(to *string) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		if text == "" {
			return fmt.Errorf("the value is empty")
		}
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("%q has a NUL in it", text)
		}
		*to = text
		return nil
	})
}

// path is text for the path of a file.
func (d *decoder) path(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.text(to)(n)
		*to = d.whole(*to)
	}
}

// whole is a path that leads to one place, whoever starts the daemon: a relative one begins where the configuration is.
func (d *decoder) whole(name string) string {
	if d.dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}

// peersFile is path for a file that a connection to a peer needs. Its absence keeps no daemon from starting.
func (d *decoder) peersFile(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.path(to)(n)
		name := *to
		d.peers = append(d.peers, func() {
			if _, err := os.ReadFile(name); err != nil {
				d.add(n, "%v", err)
			}
		})
	}
}

// word is text without blanks, which would end it in each line.
func (d *decoder) word(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.text(to)(n)
		if i := strings.IndexFunc(*to, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
			d.add(n, "%q has a blank in it, which no name of a host has", *to)
		}
	}
}

// socketPath is text for the path of a unix socket.
func (d *decoder) socketPath(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.text(to)(n)
		*to = d.whole(*to)
		if err := fitsSocket(*to); err != nil {
			d.add(n, "%v", err)
		}
	}
}

// fitsSocket says whether a path is short enough for a unix socket.
func fitsSocket(path string) error {
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return fmt.Errorf("the path %s has %d bytes; that of a socket may have %d", path, len(path), most)
	}
	return nil
}

// splitAddress is net.SplitHostPort with a port that exists.
func splitAddress(address string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		if _, err := net.LookupPort("udp", port); err != nil {
			return "", "", fmt.Errorf("%q is no port: a number up to 65535 is one", port)
		}
	}
	return host, port, nil
}

// named is text that find must know on this machine.
func (d *decoder) named(to *string, find func(name string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.text(to)(n)
		name := *to
		if _, err := strconv.ParseUint(name, 10, 32); name == "" || err == nil {
			return
		}
		d.here = append(d.here, func() {
			if err := find(name); err != nil {
				d.add(n, "%v", err)
			}
		})
	}
}

func findUser(name string) error {
	_, err := user.Lookup(name)
	return err
}

func findGroup(name string) error {
	_, err := user.LookupGroup(name)
	return err
}

func (d *decoder) boolean(to *bool) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		switch text {
		case "true", "yes", "on":
			*to = true
		case "false", "no", "off":
			*to = false
		default:
			return fmt.Errorf("%q is neither true nor false", text)
		}
		return nil
	})
}

func (d *decoder) count(to *int, least int) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a number", text)
		}
		if n < least {
			return fmt.Errorf("%d is too few; want at least %d", n, least)
		}
		*to = n
		return nil
	})
}

// countBetween is count within bounds.
func (d *decoder) countBetween(to *int, least, most int) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", text, least, most)
		}
		*to = n
		return nil
	})
}

// choice returns one of the given words.
func (d *decoder) choice(n *yaml.Node, words ...string) (chosen string) {
	d.scalar(func(text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("%q is not known; %s are", text, strings.Join(words, ", "))
		}
		chosen = text
		return nil
	})(n)
	return chosen
}

func (d *decoder) mode(to *os.FileMode) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%q is not a file mode such as 0640", text)
		}
		*to = os.FileMode(n)
		return nil
	})
}

func (d *decoder) duration(to *time.Duration) func(*yaml.Node) {
	return d.scalar(func(text string) (err error) { *to, err = parseDuration(text); return err })
}

func (d *decoder) bytes(to *int64) func(*yaml.Node) {
	return d.scalar(func(text string) (err error) { *to, err = parseSize(text); return err })
}

// size is bytes for what is held in memory.
func (d *decoder) size(to *int) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		n, err := parseSize(text)
		if err == nil && n > 1<<31-1 {
			return fmt.Errorf("%q is too much for a piece of memory", text)
		}
		*to = int(n)
		return err
	})
}

// sizeBetween is size within bounds.
func (d *decoder) sizeBetween(to *int, least, most int) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		n, err := parseSize(text)
		if err == nil && (n < int64(least) || n > int64(most)) {
			return fmt.Errorf("%q is not from %d to %d", text, least, most)
		}
		*to = int(n)
		return err
	})
}

// parseSize reads "4096", "100MB" and "64MiB". k, M and G alone are logrotate's, powers of 1024.
func parseSize(text string) (int64, error) {
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	unit, known := map[string]int64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[strings.TrimSpace(text[digits:])]
	if err != nil || !known || n > (1<<62)/unit {
		return 0, fmt.Errorf("%q is not a size such as 100MB or 64MiB", text)
	}
	return n * unit, nil
}

// didYouMean is "; did you mean "x"?" when a known key is near, or else all that are known.
func didYouMean(key string, fields map[string]func(*yaml.Node)) string {
	var known []string
	best, least := "", 3
	for name := range fields {
		known = append(known, name)
		if n := distance(key, name); n < least || n == least && best != "" && name < best {
			best, least = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	sort.Strings(known)
	return "; known are " + strings.Join(known, ", ")
}

// distance is how many letters must be changed, added or taken to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// ParseSize reads a number of bytes as the configuration has it: "4096", "100MB", "64MiB".
func ParseSize(text string) (int64, error) { return parseSize(text) }

// ParseDuration reads a duration as the configuration has it: "30s", "12h", "90d".
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }
