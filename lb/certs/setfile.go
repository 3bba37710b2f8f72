package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
)

// Authorities and revocation lists: files of the same kind of transaction.

// kind is certificates, authorities or revocation lists, as the commands that
// change them speak of each.
type kind struct {
	word    string // in commands: "ca-file"
	title   string // "CA file"
	created string // "CA" in "transaction created for CA x!"
	what    string // "CAs" in "expects a filename and CAs as a payload"
	commit  string // in commit's complaint, where HAProxy has one text for two
	open    func(*Store) **transaction
	exists  func(*Store, string) bool
	valid   func(name string, data []byte) error
	change  func(*Store, *transaction) error
	users   func(*terms) []string
}

var (
	caKind = &kind{
		word: "ca-file", title: "CA file", created: "CA", what: "CAs", commit: "ca-file",
		open:   func(s *Store) **transaction { return &s.open.ca },
		exists: func(s *Store, n string) bool { return s.cas[n] != nil },
		valid:  func(n string, data []byte) error { _, err := newAuthorities(n, data); return err },
		change: func(s *Store, t *transaction) error {
			a, err := newAuthorities(t.name, t.data)
			if err != nil {
				return err
			}
			a.base = s.cas[t.name].base
			s.cas[t.name] = a
			return nil
		},
		users: func(m *terms) []string { return m.cas },
	}
	crlKind = &kind{
		word: "crl-file", title: "CRL file", created: "CRL", what: "CRLs", commit: "ca-file",
		open:   func(s *Store) **transaction { return &s.open.crl },
		exists: func(s *Store, n string) bool { return s.crls[n] != nil },
		valid:  func(n string, data []byte) error { _, err := newRevocationFile(n, data); return err },
		change: func(s *Store, t *transaction) error {
			r, err := newRevocationFile(t.name, t.data)
			if err != nil {
				return err
			}
			r.base = s.crls[t.name].base
			s.crls[t.name] = r
			return nil
		},
		users: func(m *terms) []string { return m.crls },
	}
)

// fileCommand is a command about a ca-file or a crl-file.
func (s *Store) fileCommand(k *kind, verb, name string, payload []byte) string {
	open := k.open(s)
	switch verb {
	case "show":
		return s.showFile(k, name)
	case "abort":
		return abort(open, k.word, name)
	case "new":
		switch {
		case name == "":
			return fmt.Sprintf("'new ssl %s' expects a filename", k.word)
		case k.exists(s, name):
			return fmt.Sprintf("%s '%s' already exists!", k.title, name)
		}
		if k == caKind {
			s.cas[name] = &authorities{file: name, pool: x509.NewCertPool(), base: added}
		} else {
			s.crls[name] = &revocationFile{file: name, revocations: &revocations{}, base: added}
		}
		return fmt.Sprintf("New %s created '%s'!", k.title, name)
	case "set":
		return s.setFile(k, name, payload)
	case "commit":
		return s.commitFile(k, name)
	}
	fails := fmt.Sprintf("Can't remove the %s: ", k.title)
	switch {
	case name == "":
		return fmt.Sprintf("'del ssl %s' expects a %s name", k.word, k.title)
	case *open != nil && (*open).name == name:
		return fails + fmt.Sprintf("ongoing transaction for the %s '%s'\n", k.title, name)
	case !k.exists(s, name):
		return fails + fmt.Sprintf("%s '%s' doesn't exist!\n\n", k.title, name)
	case s.usesFile(k, name) > 0:
		return fails + fmt.Sprintf("%s '%s' in use, can't be deleted!\n\n", k.title, name)
	}
	if k == caKind {
		delete(s.cas, name)
	} else {
		delete(s.crls, name)
	}
	return fmt.Sprintf("%s '%s' deleted!", k.title, name)
}

func (s *Store) setFile(k *kind, name string, payload []byte) string {
	open := k.open(s)
	switch {
	case name == "" || payload == nil:
		return fmt.Sprintf("'set ssl %s expects a filename and %s as a payload", k.word, k.what)
	case !k.exists(s, name) || name == systemCA:
		return fmt.Sprintf("Can't replace a %s which is not referenced by the configuration!\nCan't update %s!\n", k.title, name)
	case *open != nil && (*open).name != name:
		return about((*open).name, "set", name) + fmt.Sprintf("\nCan't update %s!\n", name)
	case k.valid(name, payload) != nil:
		return fmt.Sprintf("Invalid payload\nCan't update %s!\n", name)
	}
	word := "created"
	if *open != nil {
		word = "updated"
	}
	*open = &transaction{name: name, data: payload}
	return fmt.Sprintf("transaction %s for %s %s!\n", word, k.created, name)
}

func (s *Store) commitFile(k *kind, name string) string {
	open := k.open(s)
	switch {
	case name == "":
		return fmt.Sprintf("'commit ssl %s expects a filename", k.commit)
	case *open == nil:
		return fmt.Sprintf("No ongoing transaction! !\nCan't commit %s!\n", name)
	case (*open).name != name:
		return about((*open).name, "set", name) + fmt.Sprintf("\nCan't commit %s!\n", name)
	case !k.exists(s, name):
		return fmt.Sprintf("The %s was deleted !\nCan't commit %s!\n", k.title, name)
	}
	ca, crl := s.cas[name], s.crls[name]
	err := k.change(s, *open)
	if err == nil {
		err = s.rebuild()
	}
	if err != nil {
		if k == caKind {
			s.cas[name] = ca
		} else {
			s.crls[name] = crl
		}
		return fmt.Sprintf("%v !\nCan't commit %s!\n", err, name)
	}
	*open = nil
	s.forget(name)
	return committing(name, s.usesFile(k, name))
}

// usesFile is how many certificates are served, or servers spoken to, under a
// ca-file or a crl-file.
func (s *Store) usesFile(k *kind, name string) int {
	n := s.clientsOf(name)
	for _, l := range s.listeners {
		all := l.state.Load().set.all
		for _, c := range all {
			if slices.Contains(k.users(c.terms), name) {
				n++
			}
		}
	}
	return n
}
