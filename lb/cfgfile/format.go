package cfgfile

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Write prints the errors and notes as HAProxy does: one line each, then one
// line for each file that has errors, and a last one. pid is shown in parentheses; tools that
// watch for these lines expect it.
func (e *Errors) Write(w io.Writer, pid int) error {
	var text strings.Builder
	writeNotes(&text, pid, e.Notes)
	var files []string
	for _, one := range e.List {
		writeMessage(&text, "[ALERT]   ", pid, one.Pos, one.Text)
		if one.Source != "" && one.Pos.Col > 0 {
			fmt.Fprintf(&text, "  %s\n  %*s\n", printable(one.Source), one.Pos.Col, "^")
		}
		if one.Pos.File != "" && !slices.Contains(files, one.Pos.File) {
			files = append(files, one.Pos.File)
		}
	}
	for _, file := range files {
		fmt.Fprintf(&text, "[ALERT]    (%d) : config : Error(s) found in configuration file : %s\n", pid, file)
	}
	fmt.Fprintf(&text, "[ALERT]    (%d) : config : Fatal errors found in configuration.\n", pid)
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteNotes prints the notes of an accepted configuration in the same form.
func WriteNotes(w io.Writer, pid int, notes []Note) error {
	var text strings.Builder
	writeNotes(&text, pid, notes)
	_, err := io.WriteString(w, text.String())
	return err
}

func writeNotes(text *strings.Builder, pid int, notes []Note) {
	for _, n := range notes {
		tag := "[NOTICE]  "
		if n.Level == Warning {
			tag = "[WARNING] "
		}
		writeMessage(text, tag, pid, n.Pos, n.Text)
	}
}

// writeMessage writes one message; further lines of it are set off by a bar.
func writeMessage(text *strings.Builder, tag string, pid int, pos Pos, message string) {
	fmt.Fprintf(text, "%s (%d) : config : ", tag, pid)
	if pos.File != "" {
		fmt.Fprintf(text, "parsing [%s] : ", pos)
	}
	text.WriteString(strings.ReplaceAll(message, "\n", "\n   | "))
	text.WriteByte('\n')
}

// printable keeps the caret under its column: one column for each byte.
func printable(line string) string {
	out := []byte(line)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = ' '
		}
	}
	return string(out)
}
