package config

import (
	"fmt"
	"strconv"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/sample"
)

// fileUse is a rule's reference to a map file or a file of ACL patterns.
type fileUse struct {
	ref *sample.FileRef
	pos cfgfile.Pos
}

// resolveFiles reads the files that rules look samples up in, each once.
func (p *parser) resolveFiles() {
	type key struct {
		path  string
		isMap bool
	}
	read := map[key]*lookup.File{}
	var line []byte
	for _, u := range p.files {
		k := key{u.ref.Path, u.ref.Map}
		f := read[k]
		if f == nil {
			var err error
			if f, err = lookup.Read(p.path(u.pos.File, u.ref.Path), u.ref.Map); err != nil {
				if u.ref.Unread {
					p.report.Advisef(u.pos, "%v; the rule changes nothing, as no rule can look anything up there: create the file, empty if need be, or delete the rule", err)
				} else {
					p.report.Errorf(u.pos, "%v", err)
				}
				continue
			}
			f.Path = u.ref.Path // by which commands know it
			f.Index = len(p.cfg.Files)
			read[k] = f
			p.cfg.Files = append(p.cfg.Files, f)
			f.Each(func(e *lookup.Entry) {
				line = strconv.AppendQuote(append(strconv.AppendQuote(line[:0], e.Key), ' '), e.Value)
				p.digest.Write(append(line, '\n'))
			})
		}
		what := "acl"
		if u.ref.Map {
			what = "map"
		}
		f.Users = append(f.Users, fmt.Sprintf("by %s at file '%s' line %d", what, u.pos.File, u.pos.Line))
		if err := u.ref.Bind(f); err != nil {
			p.report.Errorf(u.pos, "%v", err)
		}
	}
}
