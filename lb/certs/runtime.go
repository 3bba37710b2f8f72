package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

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

// newCert makes an empty certificate, for one to be set.
func (s *Store) newCert(name string) string {
	switch {
	case name == "":
		return "'new ssl cert' expects a filename"
	case s.pairs[name] != nil:
		return fmt.Sprintf("Certificate '%s' already exists!", name)
	}
	s.pairs[name] = &pair{file: name, base: added}
	delete(s.failed, name)
	return fmt.Sprintf("New empty certificate store '%s'!", name)
}

// setCert begins or continues a transaction: the whole certificate, or what a
// file beside it would have.
func (s *Store) setCert(name string, payload []byte) string {
	if name == "" || payload == nil {
		return "'set ssl cert expects a filename and a certificate as a payload"
	}
	whole, part := name, ""
	if s.pairs[name] == nil {
		for _, ext := range []string{".key", ".ocsp", ".issuer", ".sctl"} {
			if base, ok := strings.CutSuffix(name, ext); ok {
				for _, n := range []string{base, base + ".crt"} {
					if s.pairs[n] != nil && (n == base || s.Extras.DelExt) {
						whole, part = n, ext
					}
				}
			}
		}
	}
	p := s.pairs[whole]
	if p == nil {
		return fmt.Sprintf("Can't replace a certificate which is not referenced by the configuration!\nCan't update %s!\n", name)
	}
	open := s.open.cert
	if open != nil && open.name != whole {
		return about(open.name, "set", whole) + fmt.Sprintf("\nCan't update %s!\n", name)
	}
	t := &transaction{name: whole}
	if open != nil {
		t.parts = open.parts
	} else if p.cert != nil {
		t.parts = p.parts()
	}
	if err := t.set(part, payload); err != nil {
		return fmt.Sprintf("%v.\nCan't load the payload\nCan't update %s!\n", err, name)
	}
	s.open.cert = t
	if open != nil {
		return fmt.Sprintf("Transaction updated for certificate %s!\n", whole)
	}
	return fmt.Sprintf("Transaction created for certificate %s!\n", whole)
}

// set takes a part over.
func (t *transaction) set(part string, payload []byte) error {
	switch part {
	case ".key":
		if m, err := parse(payload); err != nil || len(m.keys) == 0 {
			return fmt.Errorf("unable to load private key from file '%s'", t.name)
		}
		t.parts.key = payload
	case ".issuer":
		if m, err := parse(payload); err != nil || len(m.certs) == 0 {
			return fmt.Errorf("unable to load issuer from file '%s'", t.name)
		}
		t.parts.issuer = payload
	case ".ocsp":
		der, err := decode(payload)
		if err != nil {
			return err
		}
		t.parts.ocsp = der
	case ".sctl":
		if _, err := timestamps(payload); err != nil {
			return err
		}
		t.parts.sctl = payload
	default:
		m, err := parse(payload)
		if err != nil || len(m.certs) == 0 {
			return fmt.Errorf("unable to load certificate from file '%s'", t.name)
		}
		key := t.parts.key
		if len(m.keys) > 0 {
			key = nil
		}
		t.parts = parts{pem: payload, key: key}
	}
	return nil
}

// decode reads base64 over several lines.
func decode(text []byte) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
	if err != nil {
		return nil, fmt.Errorf("the payload is not in base64")
	}
	return der, nil
}

// commitCert has a transaction's certificate served.
func (s *Store) commitCert(name string) string {
	t := s.open.cert
	switch {
	case name == "":
		return "'commit ssl cert expects a filename"
	case t == nil:
		return fmt.Sprintf("No ongoing transaction! !\nCan't commit %s!\n", name)
	case t.name != name:
		return about(t.name, "commit", name) + fmt.Sprintf("\nCan't commit %s!\n", name)
	}
	p, _, err := s.make(name, t.parts)
	if err != nil {
		return fmt.Sprintf("%v !\nCan't commit %s!\n", err, name)
	}
	old := s.pairs[name]
	p.base = old.base
	s.pairs[name] = p
	if err := s.rebuild(); err != nil {
		s.pairs[name] = old
		return fmt.Sprintf("%v !\nCan't commit %s!\n", err, name)
	}
	s.open.cert = nil
	return committing(name, s.uses(name))
}

// uses is how many times listeners and servers use a certificate.
func (s *Store) uses(name string) int {
	n := s.clients[name]
	for _, l := range s.listeners {
		for _, c := range l.state.Load().set.all {
			if c.pair.file == name {
				n++
			}
		}
	}
	return n
}

// delCert forgets a certificate that nothing uses.
func (s *Store) delCert(name string) string {
	const fails = "Can't remove the certificate: "
	switch {
	case name == "":
		return "'del ssl cert' expects a certificate name"
	case s.open.cert != nil && s.open.cert.name == name:
		return fails + fmt.Sprintf("ongoing transaction for the certificate '%s'!\n\n", name)
	case s.pairs[name] == nil:
		return fails + fmt.Sprintf("certificate '%s' doesn't exist!\n\n", name)
	case s.uses(name) > 0:
		return fails + fmt.Sprintf("certificate '%s' in use, can't be deleted!\n\n", name)
	}
	delete(s.pairs, name)
	return fmt.Sprintf("Certificate '%s' deleted!", name)
}

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
		return fails + fmt.Sprintf("ongoing transaction for the %s '%s'!\n\n", k.title, name)
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
		return about((*open).name, "commit", name) + fmt.Sprintf("\nCan't commit %s!\n", name)
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
	return committing(name, s.usesFile(k, name))
}

// usesFile is how many certificates are served, or servers spoken to, under a
// ca-file or a crl-file.
func (s *Store) usesFile(k *kind, name string) int {
	n := s.clients[name]
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

// Lists.

// listCommand is a command about a crt-list.
func (s *Store) listCommand(verb string, args []string, payload []byte) string {
	switch verb {
	case "show":
		return s.showList(args)
	case "add":
		return s.addLine(args, payload)
	}
	return s.delLine(args)
}

func (s *Store) showList(args []string) string {
	numbers := len(args) > 0 && args[0] == "-n"
	if numbers {
		if args = args[1:]; len(args) == 0 {
			return "'show ssl crt-list -n' expects a filename or a directory"
		}
	}
	if len(args) == 0 {
		var b strings.Builder
		for _, name := range sortedKeys(s.lists) {
			b.WriteString(name + "\n")
		}
		return b.String()
	}
	lines, ok := s.lists[args[0]]
	if !ok {
		return "didn't find the specified filename"
	}
	var b strings.Builder
	b.WriteString("# " + args[0] + "\n")
	for i := range lines {
		b.WriteString(s.under(lines[i].File))
		if numbers {
			b.WriteString(":" + strconv.Itoa(lines[i].Number))
		}
		b.WriteString(lines[i].shown() + "\n")
	}
	return b.String()
}

// listOrder is the order in which HAProxy prints options. It has a NUL after the
// protocols, which is left out here.
var listOrder = []string{"npn", "alpn", "verify", "no-ca-names", "allow-0rtt", "ca-file", "ca-verify-file", "crl-file", "ciphers", "ciphersuites", "curves", "ecdhe", "ssl-min-ver", "ssl-max-ver"}

// shown is the line's tail as HAProxy prints it.
func (l ListLine) shown() string {
	values := map[string]string{}
	for i := 0; i < len(l.Options); i++ {
		name := l.Options[i]
		values[name] = name
		if name != "no-ca-names" && name != "allow-0rtt" && i+1 < len(l.Options) {
			i++
			values[name] = name + " " + l.Options[i]
		}
	}
	var b strings.Builder
	for _, name := range listOrder {
		text, ok := values[name]
		if !ok {
			continue
		}
		b.WriteString(map[bool]string{true: " [", false: " "}[b.Len() == 0] + text)
	}
	if b.Len() > 0 {
		b.WriteByte(']')
	}
	for _, f := range l.Filters {
		b.WriteString(" " + f)
	}
	return b.String()
}

// addLine adds a line to a list, of a name or a payload.
func (s *Store) addLine(args []string, payload []byte) string {
	const fails = "Can't edit the crt-list: "
	if len(args) == 0 || len(args) == 1 && payload == nil {
		return "'add ssl crtlist' expects a filename and a certificate name"
	}
	list := strings.TrimSuffix(args[0], "/")
	lines, ok := s.lists[list]
	if !ok {
		return fails + fmt.Sprintf("crt-list '%s' does not exist!\n", list)
	}
	text := strings.Join(args[1:], " ")
	if payload != nil {
		text = strings.TrimRight(string(payload), "\r\n")
	}
	line, err := ParseListLine(text)
	if err == nil && len(line.Options) > 0 {
		_, err = s.Settings(line.Options)
	}
	switch {
	case err != nil:
		why, _, _ := strings.Cut(err.Error(), ";")
		return fails + "parsing [CLI:1]: " + why + "\n"
	case line.File == "":
		return fails + "the line names no certificate\n"
	}
	file := s.under(line.File)
	switch p := s.pairs[file]; {
	case p == nil:
		return fails + fmt.Sprintf("certificate '%s' does not exist!\n", file)
	case p.cert == nil:
		return fails + fmt.Sprintf("certificate '%s' is empty!\n", file)
	}
	line.Number = 1
	if n := len(lines); n > 0 {
		line.Number = lines[n-1].Number + 1
	}
	s.lists[list] = append(slices.Clone(lines), line)
	if err := s.rebuild(); err != nil {
		s.lists[list] = lines
		return fails + err.Error() + "\n"
	}
	return fmt.Sprintf("Inserting certificate '%s' in crt-list '%s'%s\nSuccess!\n", file, list, strings.Repeat(".", s.listUses(list)))
}

// listUses is how many bind lines a list has.
func (s *Store) listUses(list string) int {
	n := 0
	for _, l := range s.listeners {
		for _, src := range l.o.Sources {
			if src.List && src.Path == list {
				n++
			}
		}
	}
	return n
}

// delLine takes a line out of a list.
func (s *Store) delLine(args []string) string {
	const fails = "Can't delete the entry: "
	if len(args) < 2 {
		return "'del ssl crtlist' expects a filename and a certificate name"
	}
	list, name := strings.TrimSuffix(args[0], "/"), args[1]
	lines, ok := s.lists[list]
	if !ok {
		return fails + fmt.Sprintf("crt-list '%s' does not exist!\n", list)
	}
	number := 0
	if i := strings.LastIndexByte(name, ':'); i > 0 && s.pairs[name] == nil {
		if n, err := strconv.Atoi(name[i+1:]); err == nil {
			name, number = name[:i], n
		}
	}
	if s.pairs[name] == nil {
		return fails + fmt.Sprintf("certificate '%s' does not exist!\n", name)
	}
	var at []int
	var numbers []string
	for i := range lines {
		if s.under(lines[i].File) == name && (number == 0 || lines[i].Number == number) {
			at = append(at, i)
			numbers = append(numbers, strconv.Itoa(lines[i].Number))
		}
	}
	switch {
	case len(at) == 0 && number > 0:
		return fails + fmt.Sprintf("found a certificate '%s' but the line number is incorrect, please specify the correct line number preceded by colons!\n", name)
	case len(at) == 0:
		return fails + fmt.Sprintf("certificate '%s' can't be found in the crt-list '%s'!\n", name, list)
	case len(at) > 1:
		return fails + fmt.Sprintf("found the certificate '%s' in several entries, please specify a line number preceded by colons (%s)!\n", name, strings.Join(numbers, ", "))
	}
	if users := s.defaults(list); at[0] == 0 && len(users) > 0 {
		return fails + fmt.Sprintf("certificate '%s' cannot be deleted, it is used as default certificate by the following frontends:\n\t- %s\n\n", name, strings.Join(users, "\n\t- "))
	}
	s.lists[list] = slices.Delete(slices.Clone(lines), at[0], at[0]+1)
	if err := s.rebuild(); err != nil {
		s.lists[list] = lines
		return fails + err.Error() + "\n"
	}
	return fmt.Sprintf("Entry '%s' deleted in crtlist '%s'!", name, list)
}

// defaults names the bind lines whose default certificate is a list's first.
func (s *Store) defaults(list string) (names []string) {
	for _, l := range s.listeners {
		if src := l.o.Sources; len(src) > 0 && src[0].List && src[0].Path == list {
			names = append(names, l.o.Name)
		}
	}
	return names
}

// Ticket keys.

func (s *Store) showKeys(name string) string {
	if name == "" {
		var b strings.Builder
		b.WriteString("# id (file)\n")
		for i, k := range s.keys {
			fmt.Fprintf(&b, "%d (%s)\n", i, k.file)
		}
		return b.String()
	}
	var b strings.Builder
	b.WriteString("# id secret\n")
	found := false
	for i, k := range s.keys {
		if name != "*" && !k.called(name, i) {
			continue
		}
		found = true
		fmt.Fprintf(&b, "# %d (%s)\n", i, k.file)
		for n, key := range k.keys {
			fmt.Fprintf(&b, "%d.%d %s\n", i, n, base64.StdEncoding.EncodeToString(key))
		}
	}
	if !found && name != "*" {
		return "'show tls-keys' unable to locate referenced filename"
	}
	return b.String()
}

// called reports whether a command means these keys: by "#" and their number, or
// by their file.
func (k *ticketFile) called(name string, id int) bool {
	return name == "#"+strconv.Itoa(id) || name == k.file
}

// setKey has a new key begin to decrypt, the one that came before it encrypt,
// and the oldest forgotten.
func (s *Store) setKey(name, text string) string {
	if name == "" || text == "" {
		return "'set ssl tls-key' expects a filename and the new TLS key in base64 encoding."
	}
	for i, k := range s.keys {
		if !k.called(name, i) {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "'set ssl tls-key' received invalid base64 encoded TLS key."
		}
		if len(key) != len(k.keys[0]) {
			return "'set ssl tls-key' received a key of wrong size."
		}
		k.use(s, append(slices.Clone(k.keys[1:]), key))
		return "TLS ticket key updated!"
	}
	return "'set ssl tls-key' unable to locate referenced filename"
}

// use has the listeners of a file take other keys.
func (k *ticketFile) use(s *Store, keys [][]byte) {
	k.keys, k.changed = keys, true
	for _, l := range s.listeners {
		if l.o.TicketKeys == k.file {
			l.Config.SetSessionTicketKeys(sessionKeys(keys))
		}
	}
}

// parts gives what a pair is made of, to be changed.
func (q *pair) parts() parts {
	var p parts
	for _, der := range q.cert.Certificate {
		p.pem = append(p.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	switch k := q.cert.PrivateKey.(type) {
	case *lazyKey:
		p.key = pem.EncodeToMemory(k.block)
	case *lazyRSA:
		p.key = pem.EncodeToMemory(k.block)
	default:
		if der, err := x509.MarshalPKCS8PrivateKey(k); err == nil {
			p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
	}
	if q.issuer != nil && len(q.others) == 0 {
		p.issuer = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: q.issuer.Raw})
	}
	p.ocsp = q.cert.OCSPStaple
	if list := q.cert.SignedCertificateTimestamps; len(list) > 0 {
		var body []byte
		for _, t := range list {
			body = append(append(body, byte(len(t)>>8), byte(len(t))), t...)
		}
		p.sctl = append([]byte{byte(len(body) >> 8), byte(len(body))}, body...)
	}
	return p
}

// sum tells parts apart.
func (p *parts) sum() string {
	h := sha256.New()
	for _, b := range [][]byte{p.pem, p.key, p.issuer, p.ocsp, p.sctl} {
		fmt.Fprintf(h, "%d ", len(b))
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// setOCSP has an OCSP answer stapled to the certificates that it is for.
func (s *Store) setOCSP(text string, payload []byte) string {
	if payload != nil {
		text = string(payload)
	}
	if text == "" {
		return "'set ssl ocsp-response' expects response in base64 encoding."
	}
	der, err := decode([]byte(text))
	if err != nil {
		return "'set ssl ocsp-response' received invalid base64 encoded response."
	}
	found, why := false, error(nil)
	for name, p := range s.pairs {
		if p.cert == nil || p.issuer == nil {
			continue
		}
		if _, err := p.staple(der, time.Now()); err != nil {
			if !strings.Contains(err.Error(), "no response matching") && !strings.Contains(err.Error(), "signature") {
				why = err
			}
			continue
		}
		cert := *p.cert
		cert.OCSPStaple = der
		next := *p
		next.cert = &cert
		s.pairs[name] = &next
		found = true
	}
	switch {
	case found:
		if err := s.rebuild(); err != nil {
			return err.Error()
		}
		return "OCSP Response updated!"
	case why != nil && parsedOCSP(der):
		return why.Error() + "."
	case parsedOCSP(der):
		return "OCSP single response: Certificate ID does not match any certificate or issuer."
	}
	return "Unable to parse OCSP response."
}
