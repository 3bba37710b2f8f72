package rule

import (
	"fmt"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/sample"
)

// edit is add-acl, del-acl, set-map and del-map: the lines of a file that rules
// look samples up in change, as by the commands of these names on the stats
// socket. Rules that come after see the change. As in HAProxy, a file that
// cannot be read is no error, as no rule can look anything up in it.
type edit struct {
	file       *lookup.File
	key, value *logformat.Format // value is nil for add-acl
	remove     bool
}

func parseEdit(isMap, remove bool) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		if p.arg == "" {
			return nil, fmt.Errorf("expects a file's name in parentheses")
		}
		a := &edit{remove: remove}
		var err error
		if a.key, err = p.format("a key"); err != nil {
			return nil, err
		}
		if isMap && !remove {
			if a.value, err = p.format("a value"); err != nil {
				return nil, err
			}
		}
		ref := sample.NewFileRef(p.arg, isMap, func(f *lookup.File) error {
			a.file = f
			return nil
		})
		ref.Unread = true
		p.acls.Note(ref)
		return a, nil
	}
}

// run has no use for errors: a key that is no pattern of a rule's kind (an
// address, a number) changes nothing, as with HAProxy.
func (a *edit) run(x *sample.Ctx) Verdict {
	if a.file == nil {
		return Continue
	}
	x.Built = a.key.Append(x.Built[:0], x)
	key := string(x.Built)
	if a.remove {
		_ = a.file.Delete(lookup.Ref{Key: key})
		return Continue
	}
	value := ""
	if a.value != nil {
		x.Built = a.value.Append(x.Built[:0], x)
		value = string(x.Built)
	}
	_ = a.file.Assign(key, value)
	return Continue
}
