package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// page renders the markdown that the documents use: headings, paragraphs, lists, tables and blocks of code.
type page struct {
	out    strings.Builder
	open   bool     // a paragraph has begun
	fresh  bool     // a heading has begun one: another would be empty
	code   bool     // inside a fence
	header []string // of the table that lines belong to; nil outside
}

var title = regexp.MustCompile(`^# ([a-z.]+)\(([0-9])\) - (.+)$`)

// render turns a page into roff. Its first line is "# name(section) - what it is".
func render(text, date string) (string, error) {
	first, rest, _ := strings.Cut(text, "\n")
	m := title.FindStringSubmatch(first)
	if m == nil {
		return "", errors.New(`the first line is not "# name(8) - what it is"`)
	}
	p := new(page)
	fmt.Fprintf(&p.out, ".TH %s %s %s\n.SH NAME\n%s \\- %s\n", strings.ToUpper(m[1]), m[2], date, m[1], m[3])
	for line := range strings.Lines(rest) {
		p.line(strings.TrimRight(line, " \n"))
	}
	if p.code {
		return "", errors.New("a block of code has no end")
	}
	return p.out.String(), nil
}

func (p *page) line(line string) {
	isFence := strings.HasPrefix(line, "```")
	switch {
	case isFence && p.code:
		p.macro(".EE")
		p.macro(".RE")
		p.code, p.open = false, false
	case isFence:
		p.macro(".PP")
		p.macro(".RS 4")
		p.macro(".EX")
		p.code = true
	case p.code:
		p.verbatim(escape(line))
	case strings.HasPrefix(line, "|"):
		p.row(line)
		return
	case line == "":
		p.open = false
	case strings.HasPrefix(line, "<!--"):
	case strings.HasPrefix(line, "## "):
		p.macro(".SH " + strings.ToUpper(line[3:]))
		p.open = true
	case strings.HasPrefix(line, "### "):
		p.macro(".SS " + inline(line[4:]))
		p.open = true
	case strings.HasPrefix(line, "- "):
		p.macro(`.IP \(bu 2`)
		p.text(inline(line[2:]))
		p.open = true
	default:
		if !p.open {
			p.macro(".PP")
			p.open = true
		}
		p.text(inline(strings.TrimSpace(line)))
	}
	p.header = nil
}

// row is a line of a table: its first cell is a term, the others say what it is.
func (p *page) row(line string) {
	cells := split(line)
	if p.header == nil {
		p.header = cells
		return
	}
	if strings.Trim(cells[0], "-:") == "" && cells[0] != "" {
		return // the rule below the header
	}
	p.macro(".TP")
	p.text(inline(cells[0]))
	said := ""
	for i, cell := range cells[1:] {
		if cell == "" || i+1 >= len(p.header) {
			continue
		}
		switch p.header[i+1] {
		case "in":
			said += "(" + cell + ") "
		case "note":
			said += ": " + cell
		case "Default":
			said += ". Default: " + cell
		case "http-request", "http-response":
			said += p.header[i+1] + ": " + cell + ". "
		default:
			said += cell
		}
	}
	p.text(inline(strings.TrimSpace(said)))
	p.open = false
}

// split divides a row at its bars, but not at \|.
func split(line string) []string {
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
	cells := strings.Split(line, "|")
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|"))
	}
	return cells
}

func (p *page) macro(line string) {
	if line == ".PP" && p.fresh {
		return
	}
	p.fresh = strings.HasPrefix(line, ".S")
	p.out.WriteString(line + "\n")
}

// text writes words that are not a macro, in lines of a length that the checkers of manual pages like.
func (p *page) text(words string) {
	const most = 78
	line := ""
	for _, word := range strings.Fields(words) {
		if line != "" && len(line)+1+len(word) > most {
			p.verbatim(line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		p.verbatim(line)
	}
}

// verbatim writes a line that is not a macro, whatever it begins with.
func (p *page) verbatim(line string) {
	p.fresh = false
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	p.out.WriteString(line + "\n")
}

var (
	link = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
	bold = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// inline renders what stands in a line: `code`, **bold** and links.
func inline(line string) string {
	var b strings.Builder
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 {
			b.WriteString(`\fB` + escape(part) + `\fR`)
			continue
		}
		part = link.ReplaceAllString(part, "$1")
		b.WriteString(bold.ReplaceAllString(escape(part), `\fB$1\fR`))
	}
	return b.String()
}

// escape keeps a backslash a backslash and a hyphen one that can be copied into a command line.
func escape(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\e`), "-", `\-`)
}
