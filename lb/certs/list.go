package certs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ListLine is one certificate of a crt-list.
type ListLine struct {
	Number  int    // of the line in its file, from 1; 0: added at run time
	File    string // as written
	Options []string
	Filters []string // as written: names, "*." before, "!" before that
}

// String is the line as `show ssl crt-list` prints it, without its number.
func (l ListLine) tail() string {
	var b strings.Builder
	if len(l.Options) > 0 {
		b.WriteString(" [" + strings.Join(l.Options, " ") + "]")
	}
	for _, f := range l.Filters {
		b.WriteString(" " + f)
	}
	return b.String()
}

// ParseList reads a crt-list: on each line a file, options in brackets, and
// filters of names.
func ParseList(data []byte) ([]ListLine, error) {
	var (
		lines []ListLine
		errs  []error
	)
	for i, text := range bytes.Split(data, []byte("\n")) {
		l, err := ParseListLine(string(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		if l.File == "" {
			continue
		}
		l.Number = i + 1
		lines = append(lines, l)
	}
	return lines, errors.Join(errs...)
}

// ParseListLine reads one line; File is "" of an empty one or a comment.
func ParseListLine(text string) (ListLine, error) {
	var l ListLine
	text = strings.TrimRight(text, "\r")
	if strings.ContainsRune(text, 0) {
		return l, errors.New("a zero byte")
	}
	if strings.HasPrefix(strings.TrimLeft(text, " \t"), "#") {
		return l, nil
	}
	before, after, has := strings.Cut(text, "[")
	words := strings.Fields(before)
	switch {
	case !has:
	case len(words) != 1:
		return l, fmt.Errorf("the options in brackets stand after the file, not after %q", strings.TrimSpace(before))
	default:
		options, filters, closed := strings.Cut(after, "]")
		if !closed {
			return l, errors.New("']' is missing after the options")
		}
		if strings.Contains(filters, "[") || strings.Contains(options, "[") || strings.Contains(filters, "]") {
			return l, errors.New("there are brackets twice")
		}
		if filters != "" && filters[0] != ' ' && filters[0] != '\t' {
			return l, errors.New("a space is missing after ']'")
		}
		l.Options = strings.Fields(options)
		words = append(words, strings.Fields(filters)...)
	}
	if len(words) == 0 {
		return l, nil
	}
	if strings.Contains(strings.Join(words, ""), "]") {
		return l, errors.New("']' without '['")
	}
	l.File, l.Filters = words[0], words[1:]
	if len(l.Filters) == 0 {
		l.Filters = nil
	}
	return l, nil
}

// readList reads a crt-list's file.
func readList(file string) ([]ListLine, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("crt-list %s cannot be read: %w", file, cause(err))
	}
	lines, err := ParseList(data)
	if err != nil {
		var each interface{ Unwrap() []error }
		if errors.As(err, &each) {
			var errs []error
			for _, e := range each.Unwrap() {
				errs = append(errs, fmt.Errorf("crt-list %s, %w", file, e))
			}
			return nil, errors.Join(errs...)
		}
		return nil, err
	}
	return lines, nil
}
