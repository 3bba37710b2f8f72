package peers

import (
	"slices"
	"strings"
)

// problems are errors as one, in one line: the journal and the status show it.
type problems struct{ all []error }

// Join makes one error of those that are not nil.
func Join(errs ...error) error {
	all := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &problems{all}
}

func (p *problems) Error() string {
	var all []string
	for _, err := range p.all {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// Unwrap is for errors.Is and errors.As.
func (p *problems) Unwrap() []error { return p.all }
