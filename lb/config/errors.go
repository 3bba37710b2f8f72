package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/rule"
)

// errorSections are the http-errors sections, and the rules that use them.
type errorSections struct {
	errorPages map[string]map[int]ErrorFile
	atErrors   map[int]ErrorFile // being read
	usedPages  []pagesUse
}

// beginErrors opens an http-errors section: error pages under a name.
func (p *parser) beginErrors(args []string) error {
	p.skip = len(args) != 1
	if p.skip {
		return fmt.Errorf("'http-errors' expects a name")
	}
	if p.errorPages[args[0]] != nil {
		p.skip = true
		return fmt.Errorf("http-errors section '%s' was declared before: give it another name", args[0])
	}
	p.atErrors = map[int]ErrorFile{}
	p.errorPages[args[0]] = p.atErrors
	return nil
}

// errorsLine applies a line of an http-errors section.
func (p *parser) errorsLine(c *call, words []string) error {
	if err := oneOf("http-errors", words[0], "errorfile"); err != nil {
		return err
	}
	if len(words) != 3 {
		return fmt.Errorf("'errorfile' expects arguments: errorfile <code> <file>")
	}
	c.name, c.args = words[0], words[1:]
	code, err := c.errorCode(c.args[0])
	if err != nil {
		return err
	}
	p.atErrors[code], err = c.readErrorFile(c.args[1])
	return err
}

// latePages is an errorfiles line whose section is not read yet, or the pages of
// a line after one.
type latePages struct {
	pages map[int]ErrorFile
	from  string // the section; "" for pages
	codes []int  // of it; nil is all
	pos   cfgfile.Pos
}

// errorFiles applies errorfiles NAME [CODE ...].
func (c *call) errorFiles(d *draft) error {
	late := latePages{from: c.args[0], pos: c.pos}
	for _, word := range c.args[1:] {
		code, err := c.errorCode(word)
		if err != nil {
			return err
		}
		late.codes = append(late.codes, code)
	}
	if pages := c.p.errorPages[late.from]; pages != nil {
		d.setPages(c.p.chosenPages(pages, &late))
		return nil
	}
	d.latePages = append(d.latePages, late)
	return nil
}

// chosenPages gives the pages that an errorfiles line takes.
func (p *parser) chosenPages(pages map[int]ErrorFile, line *latePages) map[int]ErrorFile {
	if line.codes == nil {
		return pages
	}
	chosen := map[int]ErrorFile{}
	for _, code := range line.codes {
		if page, have := pages[code]; have {
			chosen[code] = page
		} else {
			p.report.Warnf(line.pos, "'errorfiles' : status '%d' not declared in http-errors section '%s'", code, line.from)
		}
	}
	return chosen
}

// resolveLatePages gives a proxy the pages of sections below its errorfiles lines.
func (p *parser) resolveLatePages(d *draft) {
	late := d.latePages
	d.latePages = nil
	for i := range late {
		line := &late[i]
		pages := line.pages
		if line.from != "" {
			if pages = p.errorPages[line.from]; pages == nil {
				p.report.Errorf(line.pos, "unable to find http-errors section '%s'%s", line.from, didYouMean(cfgfile.Suggest(line.from, sortedNames(p.errorPages))))
				continue
			}
			pages = p.chosenPages(pages, line)
		}
		d.setPages(pages)
	}
}

// httpError applies http-error status CODE with a page that is the same for all
// requests.
func (c *call) httpError(d *draft) error {
	if c.args[0] != "status" {
		return fmt.Errorf("'http-error' expects 'status <code>', not '%s'", c.args[0])
	}
	code, err := c.errorCode(c.args[1])
	if err != nil {
		return err
	}
	e := pageDraft{code: code, head: "HTTP/1.1 " + strconv.Itoa(code) + " " + rule.StatusText(code) + "\r\n"}
	for words := c.args[2:]; len(words) > 0; {
		n := 2
		switch words[0] {
		case "default-errorfiles":
			n = 1
		case "hdr":
			n = 3
		}
		if len(words) < n {
			return fmt.Errorf("'http-error' : '%s' expects a value", words[0])
		}
		if err := c.pageWord(&e, words[0], words[1:n]); err != nil {
			return err
		}
		words = words[n:]
	}
	switch e.payload {
	case "":
		if e.ctype != "" {
			c.p.report.Warnf(c.pos, "content-type '%s' ignored by the http reply because neither errorfile nor payload defined", e.ctype)
		}
	case "errorfile", "errorfiles", "default-errorfiles":
		if e.ctype != "" {
			c.p.report.Warnf(c.pos, "content-type '%s' ignored by the http reply when used with an errorfile", e.ctype)
		}
		if e.headers {
			c.p.report.Warnf(c.pos, "hdr parameters ignored by the http reply when used with an errorfile")
		}
	}
	switch {
	case e.section != "":
		late := latePages{from: e.section, codes: []int{code}, pos: c.pos}
		if pages := c.p.errorPages[late.from]; pages != nil {
			d.setPages(c.p.chosenPages(pages, &late))
		} else {
			d.latePages = append(d.latePages, late)
		}
		return nil
	case e.formats && e.payload != "errorfile" && e.payload != "default-errorfiles":
		r, err := rule.ParsePage(code, c.args[2:], d.acls)
		if err != nil {
			return fmt.Errorf("'http-error' : %w", err)
		}
		d.setPage(code, ErrorFile{Path: fmt.Sprintf("of line %d", c.pos.Line), Rule: r})
		return nil
	case e.payload == "default-errorfiles":
		return nil
	case e.page != nil:
		d.setPage(code, *e.page)
		return nil
	case e.payload != "" && e.ctype == "":
		return fmt.Errorf("'http-error' : a content-type must be given with '%s', such as 'content-type text/plain'", e.payload)
	case strings.ContainsAny(e.ctype, "\r\n"):
		return fmt.Errorf("'http-error' : the content-type contains a line end")
	case e.body != "":
		e.head += "content-type: " + e.ctype + "\r\n"
	}
	data, err := wireResponse([]byte(e.head+"\r\n"+e.body), c.p.cfg.Global.Buffer()+len(e.head)+2)
	if err != nil {
		return fmt.Errorf("'http-error' : %w", err)
	}
	d.setPage(code, ErrorFile{Path: fmt.Sprintf("of line %d", c.pos.Line), Data: data})
	return nil
}

// pageDraft is an http-error line while its words are read.
type pageDraft struct {
	code                       int
	head, ctype, body, payload string // payload is the word that the page comes from
	page                       *ErrorFile
	formats                    bool   // the response is made for each request
	section                    string // errorfiles
	headers                    bool
}

// pageWord applies one word of an http-error line with its values.
func (c *call) pageWord(e *pageDraft, word string, values []string) error {
	switch word {
	case "content-type":
		e.ctype = values[0]
		return nil
	case "hdr":
		name, text := values[0], values[1]
		e.headers = true
		if rule.OwnField(name) {
			c.p.report.Advisef(c.pos, "'http-error' : 'hdr %s' is ignored, as in HAProxy: 'content-type' names the type, and the length is that of the payload", name)
			return nil
		}
		if !rule.IsHeaderName(name) || strings.ContainsAny(text, "\r\n") {
			return fmt.Errorf("'http-error ... hdr %s' expects a header's name and a text of one line", name)
		}
		if strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") {
			e.formats = true
			return nil
		}
		e.head += name + ": " + strings.ReplaceAll(text, "%%", "%") + "\r\n"
		return nil
	case "default-errorfiles", "errorfile", "errorfiles", "file", "lf-file", "string", "lf-string":
	default:
		return oneOf("http-error", word, "content-type", "default-errorfiles", "errorfile", "errorfiles", "file", "lf-file", "string", "lf-string", "hdr")
	}
	if e.payload != "" {
		return fmt.Errorf("'http-error' : '%s' and '%s' exclude each other", e.payload, word)
	}
	switch e.payload = word; word {
	case "lf-file", "lf-string":
		e.formats = true
	case "errorfile":
		read, err := c.readErrorFile(values[0])
		if err != nil {
			return err
		}
		e.page = &read
	case "errorfiles":
		e.section = values[0]
	case "file":
		data, err := os.ReadFile(c.p.path(c.pos.File, values[0]))
		if err != nil {
			return fmt.Errorf("'http-error' : error opening file '%s': %w", values[0], plainError(err))
		}
		c.p.digest.Write(data)
		e.body = string(data)
	case "string":
		e.body = values[0]
	}
	return nil
}

// pagesUse is a rule that answers with a page of an http-errors section.
type pagesUse struct {
	rule *rule.Rule
	name string
	pos  cfgfile.Pos
}

// resolvePages gives rules the pages that they name.
func (p *parser) resolvePages() {
	for _, u := range p.usedPages {
		pages := p.errorPages[u.name]
		if pages == nil {
			p.report.Errorf(u.pos, "unable to find http-errors section '%s'%s", u.name, didYouMean(cfgfile.Suggest(u.name, sortedNames(p.errorPages))))
			continue
		}
		_, status := u.rule.Pages()
		page, have := pages[status]
		if !have {
			p.report.Advisef(u.pos, "status '%d' is not declared in http-errors section '%s': the answer has no body", status, u.name)
			continue
		}
		if err := u.rule.UsePage(page.Data); err != nil {
			p.report.Errorf(u.pos, "errorfile '%s': %v", page.Path, err)
		}
	}
}
