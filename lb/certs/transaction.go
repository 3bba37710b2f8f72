package certs

import (
	"fmt"
	"strings"
)

// Commands of the stats socket that change what is served. A certificate, a
// ca-file or a crl-file is set first and served when that is committed; lists and
// tickets change at once. Each kind has its own file: setcert.go, setfile.go,
// setlist.go, settickets.go.

// transactions are changes that were set and not committed: one of each kind, as
// in HAProxy.
type transactions struct {
	cert, ca, crl *transaction
}

// transaction is what a file is to become.
type transaction struct {
	name  string
	parts parts // of a certificate
	data  []byte
}

// Command runs a command of the stats socket about certificates, and gives its
// answer in HAProxy's words: verb and object ("set", "cert"), then its arguments
// and its payload, nil without one.
func (s *Store) Command(verb, object string, args []string, payload []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err.Error()
	}
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch object {
	case "ca-file", "crl-file", "crlfile":
		k := caKind
		if object != "ca-file" {
			k = crlKind
		}
		return s.fileCommand(k, verb, arg(0), payload)
	case "crt-list":
		return s.listCommand(verb, args, payload)
	case "ocsp-response":
		if verb == "show" {
			return s.showOCSP(arg(0))
		}
		return s.setOCSP(arg(0), payload)
	case "tls-keys":
		return s.showKeys(arg(0))
	case "tls-key":
		return s.setKey(arg(0), arg(1))
	case "providers":
		return "TLS is Go's, which has no providers of OpenSSL."
	}
	switch verb {
	case "show":
		return s.showCert(arg(0))
	case "new":
		return s.newCert(arg(0))
	case "set":
		return s.setCert(arg(0), payload)
	case "commit":
		return s.commitCert(arg(0))
	case "abort":
		return abort(&s.open.cert, "cert", arg(0))
	}
	return s.delCert(arg(0))
}

// about is the complaint that another transaction is open.
func about(open, verb, name string) string {
	return fmt.Sprintf("The ongoing transaction is about '%s' but you are trying to %s '%s'", open, verb, name)
}

func abort(open **transaction, word, name string) string {
	switch {
	case name == "":
		return fmt.Sprintf("'abort ssl %s' expects a filename", word)
	case *open == nil:
		return "No ongoing transaction!"
	case (*open).name != name:
		return about((*open).name, "abort a transaction for", name)
	}
	*open = nil
	return fmt.Sprintf("Transaction aborted for certificate '%s'!", name)
}

// committing is what HAProxy says while it replaces a file: a dot for each place
// where it is used.
func committing(name string, uses int) string {
	return "Committing " + name + strings.Repeat(".", uses) + "\nSuccess!\n"
}

// rebuild makes the listeners anew of what the store has now. If that fails,
// all stay as they were.
func (s *Store) rebuild() error {
	states := make([]*state, len(s.listeners))
	for i, l := range s.listeners {
		st, _, err := l.read()
		if err != nil {
			return err
		}
		states[i] = st
	}
	for i, l := range s.listeners {
		l.state.Store(states[i])
	}
	return nil
}
