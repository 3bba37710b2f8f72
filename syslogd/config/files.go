package config

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/format"
)

func (d *decoder) files(n *yaml.Node, f *Files) {
	before := len(d.errs)
	d.mapping(n, "files", map[string]func(*yaml.Node){
		"open":  d.count(&f.Open, 0),
		"names": d.count(&f.Names, 0),
	})
	if len(d.errs) == before && (f.Open == 0 || f.Names == 0) {
		d.add(n, "files: open and names are at least 1")
	}
}

// template takes a path with fields in it apart: the directories before the first field are the base, which the rest cannot leave.
func (d *decoder) template(n *yaml.Node, o *Output, f Files) {
	slash := strings.LastIndexByte(o.Path[:strings.IndexByte(o.Path, '%')], '/')
	if slash < 1 || !filepath.IsAbs(o.Path) {
		d.add(n, "file %q: before its first field must be a directory of its own, as in /var/log/hosts/%%host%%.log; for a percent sign write %%%%", o.Path)
		return
	}
	f.Base, f.Template = filepath.Clean(o.Path[:slash]), o.Path[slash+1:]
	t, err := format.ParseTemplate(f.Template)
	switch {
	case err != nil:
		d.add(n, "file: %v", err)
		return
	case t.Constant():
		o.Path = strings.ReplaceAll(o.Path, "%%", "%")
		return
	}
	for component := range strings.SplitSeq(f.Template, "/") {
		if component == "" || component[0] == '.' {
			d.add(n, "file %q: no part of it may be empty or begin with a dot", o.Path)
			return
		}
	}
	if o.Rotate.Chain {
		d.add(n, "file %q: chain wants an output that has one file, because anybody who can send a message could ask for the name of a journal", o.Path)
		return
	}
	ext := filepath.Ext(f.Template)
	if o.Rotate.Naming == rotate.Numbered && (strings.Contains(ext, "%") || strings.Trim(ext, ".0123456789") == "") {
		d.add(n, "file %q: a message could ask for the name of a numbered file; let it end in text, such as .log", o.Path)
		return
	}
	o.Files = &f
}

// apart says when two outputs could write to the same file because one of them is a template.
func (d *decoder) apart(n *yaml.Node, c *Config, o Output) {
	for _, other := range c.Outputs {
		for _, pair := range [][2]Output{{o, other}, {other, o}} {
			if f := pair[0].Files; f != nil && other.Path != o.Path && strings.HasPrefix(filepath.Clean(pair[1].Path), f.Base+"/") {
				d.add(n, "%s lies beneath %s, where messages choose the names of files; give %q a directory of its own", pair[1].Path, f.Base, pair[0].Path)
				return
			}
		}
	}
}
