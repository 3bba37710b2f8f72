package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/userlist"
)

// userlistSection is the section being read.
type userlistSection struct {
	*userlist.List
	pos cfgfile.Pos
}

// listUse is a rule's reference to a userlist.
type listUse struct {
	ref *sample.UserRef
	pos cfgfile.Pos
}

// beginUserlist opens a userlist section.
func (p *parser) beginUserlist(pos cfgfile.Pos, args []string) error {
	p.endUserlist()
	p.skip = len(args) != 1
	if p.skip {
		return fmt.Errorf("'userlist' expects a name")
	}
	if before := p.userlists[args[0]]; before != nil {
		if before != p.lastUserlist { // HAProxy would add its users to the list above, whatever its name
			p.skip = true
			return fmt.Errorf("userlist '%s' was declared before: give it another name", args[0])
		}
		p.report.Warnf(pos, "userlist '%s' was declared before: its lines are added to that one, as in HAProxy", args[0])
		p.atUserlist = &userlistSection{before, pos}
		return nil
	}
	p.atUserlist = &userlistSection{userlist.New(args[0]), pos}
	p.lastUserlist = p.atUserlist.List
	p.userlists[args[0]] = p.lastUserlist
	return nil
}

// endUserlist checks the section that was read last: its groups and users may
// name each other in any order.
func (p *parser) endUserlist() {
	if s := p.atUserlist; s != nil {
		if err := s.Finish(); err != nil {
			p.report.Errorf(s.pos, "%v", err)
		}
		p.atUserlist = nil
	}
}

// userlistLine applies a line of a userlist section.
func (p *parser) userlistLine(pos cfgfile.Pos, words []string) error {
	if err := oneOf("userlist", words[0], "user", "group"); err != nil {
		return err
	}
	if len(words) < 2 {
		return fmt.Errorf("'%s' expects a name", words[0])
	}
	name, rest := words[1], words[2:]
	if words[0] == "group" {
		var users []string
		switch {
		case len(rest) == 2 && rest[0] == "users":
			users = strings.Split(rest[1], ",")
		case len(rest) > 0:
			return fmt.Errorf("'group %s' expects 'users <user>[,<user>...]', not '%s'", name, strings.Join(rest, " "))
		}
		if p.atUserlist.HasGroup(name) {
			p.report.Warnf(pos, "group '%s' is in userlist '%s' already: this line is ignored, as in HAProxy", name, p.atUserlist.Name)
			return nil
		}
		return p.atUserlist.AddGroup(name, users)
	}
	if p.atUserlist.HasUser(name) {
		p.report.Warnf(pos, "user '%s' is in userlist '%s' already: this line is ignored, as in HAProxy", name, p.atUserlist.Name)
		return nil
	}
	var groups []string
	add := func() error {
		p.report.Advisef(pos, "'user %s' has no password, so nobody can log in as that user: add 'password <hash>' or 'insecure-password <text>'", name)
		return p.atUserlist.AddNobody(name, groups)
	}
	for ; len(rest) > 0; rest = rest[min(2, len(rest)):] {
		word, value := rest[0], ""
		if len(rest) > 1 {
			value = rest[1]
		}
		if value == "" && word != "groups" {
			p.report.Advisef(pos, "'user %s' : '%s' expects a value, and is read as if it were empty", name, word)
		}
		switch word {
		case "password":
			add = func() error {
				err := p.atUserlist.AddHashed(name, value, groups)
				if errors.Is(err, userlist.ErrFutile) { // HAProxy does not look at it
					p.report.Advisef(pos, "%v", err)
					return nil
				}
				return err
			}
		case "insecure-password":
			add = func() error { return p.atUserlist.Add(name, value, groups) }
		case "groups":
			groups = strings.Split(value, ",")
		default:
			return oneOf("user", word, "password", "insecure-password", "groups")
		}
	}
	return add()
}

// resolveUserlists gives the rules the lists that they name.
func (p *parser) resolveUserlists() {
	p.endUserlist()
	for _, u := range p.usedLists {
		l := p.userlists[u.ref.Name]
		if l == nil {
			p.report.Errorf(u.pos, "unable to find userlist '%s'%s", u.ref.Name, didYouMean(cfgfile.Suggest(u.ref.Name, sortedNames(p.userlists))))
			continue
		}
		u.ref.Bind(l)
		if l.Slow() && !slices.Contains(p.cfg.Userlists, l) {
			p.cfg.Userlists = append(p.cfg.Userlists, l)
		}
	}
}
