package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Listener is the TLS of one bind line.
type Listener struct {
	store *Store
	o     Options
	// Config is for handshakes. Whatever changes at run time, it stays the same
	// one.
	Config *tls.Config
	sign   *signingCA // nil: no certificates are made
	state  atomic.Pointer[state]
}

// state is what a listener has at a time. Immutable.
type state struct {
	set    set
	refuse *tls.Config // for names that nobody has
	common *terms      // of the bind line, for certificates that are made
}

// Load reads the certificates of a bind line. Every file that cannot be used
// has its sentence in the error.
func (s *Store) Load(o Options) (*Listener, []Note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return nil, nil, err
	}
	l := &Listener{store: s, o: o}
	var errs []error
	if len(o.Sources) == 0 && (!o.StrictSNI || o.Signing.On) {
		errs = append(errs, errors.New("ssl needs a certificate; add crt FILE to the bind line"))
	}
	if o.MinVersion != 0 && o.MaxVersion != 0 && o.MinVersion > o.MaxVersion {
		errs = append(errs, fmt.Errorf("ssl-min-ver %s is above ssl-max-ver %s; no client could connect", Version(o.MinVersion), Version(o.MaxVersion)))
	}
	notes, err := l.loadAuthority()
	if err != nil {
		errs = append(errs, err)
	}
	st, more, err := l.read()
	if notes = append(notes, more...); err != nil {
		errs = append(errs, err)
	}
	l.Config = &tls.Config{
		MinVersion: o.MinVersion, MaxVersion: o.MaxVersion, SessionTicketsDisabled: o.NoTickets, GetConfigForClient: l.pick,
	}
	if o.TicketKeys != "" {
		k, err := s.ticketKeys(o.TicketKeys)
		if err != nil {
			errs = append(errs, err)
		} else {
			l.Config.SetSessionTicketKeys(sessionKeys(k.keys))
		}
	}
	if len(errs) > 0 {
		return nil, notes, errors.Join(errs...)
	}
	l.state.Store(st)
	s.listeners = append(s.listeners, l)
	return l, notes, nil
}

// Served calls each with the certificates of all bind lines: the line, the file,
// and the certificate itself.
func (s *Store) Served(each func(line, file string, leaf *x509.Certificate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		for _, c := range l.state.Load().set.all {
			each(l.o.Name, c.pair.file, c.pair.cert.Leaf)
		}
	}
}

// wish is a certificate that a listener's sources ask for.
type wish struct {
	file     string
	where    string // of a crt-list's line
	settings Settings
	filters  []string
	special  bool // settings are of the line's own
}

// wishes lists what the sources name. Locked: the store.
func (l *Listener) wishes() (list []wish, errs []error) {
	for _, src := range l.o.Sources {
		lines, known, err := l.store.lines(src)
		if _, empty := err.(emptyDir); err != nil && !(empty && l.o.StrictSNI) {
			errs = append(errs, err)
		}
		if known {
			for i := range lines {
				w, err := l.ofLine(src.name(), &lines[i])
				if err != nil {
					errs = append(errs, err)
				}
				list = append(list, w...)
			}
			continue
		}
		files, err := l.store.expand(src.Path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range files {
			list = append(list, wish{file: f, settings: l.o.Settings})
		}
	}
	return list, errs
}

// ofLine is what a line of a crt-list asks for.
func (l *Listener) ofLine(list string, line *ListLine) ([]wish, error) {
	where := ""
	if !l.store.dirs[list] {
		where = fmt.Sprintf("crt-list %s, line %d: ", list, line.Number)
	}
	w := wish{where: where, settings: l.o.Settings, filters: line.Filters}
	if len(line.Options) > 0 {
		own, err := l.store.Settings(line.Options)
		if err != nil {
			return nil, fmt.Errorf("%s%w", where, err)
		}
		w.settings, w.special = own.over(l.o.Settings), true
	}
	files, err := l.store.expand(l.store.under(list, line.File))
	if err != nil {
		return nil, fmt.Errorf("%s%w", where, err)
	}
	var all []wish
	for _, f := range files {
		w.file = f
		all = append(all, w)
	}
	return all, nil
}

// under puts crt-base before a relative name in a list, as a line has it; those of
// a directory are whole.
func (s *Store) under(list, file string) string {
	if s.CrtBase == "" || filepath.IsAbs(file) || s.dirs[list] {
		return file
	}
	return filepath.Join(s.CrtBase, file)
}

// read makes the listener's state of what the store holds, which it fills with
// what is missing. Locked: the store.
func (l *Listener) read() (*state, []Note, error) {
	wishes, errs := l.wishes()
	files := make([]string, len(wishes))
	for i := range wishes {
		files[i] = wishes[i].file
	}
	notes := l.store.fetch(files)
	st := &state{refuse: &tls.Config{
		SessionTicketsDisabled: true,
		// Neither certificate nor error: crypto/tls answers with the alert
		// unrecognized_name.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
		MinVersion:     l.o.MinVersion, MaxVersion: l.o.MaxVersion,
	}}
	common, err := l.config(l.o.Settings)
	if err != nil {
		errs = append(errs, err)
	}
	st.common = common
	for _, w := range wishes {
		p := l.store.pairs[w.file]
		if p != nil && p.cert == nil {
			errs = append(errs, fmt.Errorf("certificate %s is empty", w.file))
			continue
		}
		if p == nil {
			if err := l.store.failed[w.file]; !slices.Contains(errs, err) {
				errs = append(errs, err)
			}
			continue
		}
		c := &instance{pair: p, filters: w.filters, terms: common}
		if w.special {
			if c.terms, err = l.config(w.settings); err != nil {
				errs = append(errs, fmt.Errorf("%s%w", w.where, err))
			}
		}
		st.set.all = append(st.set.all, c)
	}
	if len(errs) > 0 {
		return nil, notes, errors.Join(errs...)
	}
	st.set.build()
	return st, notes, nil
}

// terms are those of handshakes with some settings. Immutable.
type terms struct {
	cfg     *tls.Config
	demands string // what they demand of the client's certificate; "": nothing
	judge   *judge // nil: crypto/tls does

	suites      []uint16 // Settings.Suites
	clientOrder bool

	cas, crls []string // the files that they are made of
}

// config makes the terms of settings. Locked: the store.
func (l *Listener) config(t Settings) (*terms, error) {
	cfg := &tls.Config{
		NextProtos: t.ALPN, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, CipherSuites: t.Ciphers, CurvePreferences: t.Curves,
		SessionTicketsDisabled: l.o.NoTickets,
	}
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c := l.state.Load().set.choose(hello, l.o.StrictSNI); c != nil {
			return c.pair.cert, nil
		}
		return nil, nil
	}
	m := &terms{cfg: cfg, suites: t.Suites, clientOrder: t.ClientOrder}
	if err := l.verification(m, t); err != nil {
		return nil, err
	}
	l.bindTickets(cfg, m.demands, nil)
	return m, nil
}

// verification sets how clients' certificates are asked for and judged.
func (l *Listener) verification(m *terms, t Settings) error {
	if t.Verify == "" || t.Verify == "none" {
		if t.CAFile != "" { // which commands may show and change
			_, err := l.store.ca(t.CAFile)
			return err
		}
		return nil
	}
	if t.CAFile == "" && t.VerifyFile == "" {
		return errors.New("verify needs the authorities that sign clients' certificates; add ca-file FILE to the bind line")
	}
	j := &judge{caIgnore: t.CAIgnore, crtIgno: t.CrtIgnore, roots: x509.NewCertPool()}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %v %v", t.Verify, t.CAIgnore, t.CrtIgnore)
	for i, file := range []string{t.CAFile, t.VerifyFile} {
		if file == "" {
			continue
		}
		a, err := l.store.ca(file)
		if err != nil {
			return err
		}
		m.cas = append(m.cas, file)
		fmt.Fprintf(sum, " %d:%s", i, a.sum)
		if i == 0 {
			j.roots = a.pool
			if !t.NoCANames {
				m.cfg.ClientCAs = a.pool
			}
			continue
		}
		j.roots = j.roots.Clone()
		for _, c := range a.certs {
			j.roots.AddCert(c)
		}
	}
	if t.CRLFile != "" {
		r, err := l.store.crl(t.CRLFile)
		if err != nil {
			return err
		}
		j.revoked, m.crls = r.revocations, []string{t.CRLFile}
		fmt.Fprintf(sum, " %s", r.sum)
	}
	m.demands = t.Verify + " " + hex.EncodeToString(sum.Sum(nil))
	m.judgeBy(t, j)
	return nil
}

// judgeBy leaves the usual judgement to crypto/tls, which tells the client most
// exactly what is wrong, and does the others here.
func (m *terms) judgeBy(t Settings, j *judge) {
	usual := t.VerifyFile == "" && !t.NoCANames && t.CAIgnore.none() && t.CrtIgnore.none()
	auth := tls.RequireAndVerifyClientCert
	switch {
	case usual && t.Verify == "optional":
		auth = tls.VerifyClientCertIfGiven
	case usual:
	case t.Verify == "optional":
		auth = tls.RequestClientCert
	default:
		auth = tls.RequireAnyClientCert
	}
	m.cfg.ClientAuth = auth
	if usual && j.revoked == nil {
		return
	}
	m.judge = j
	m.cfg.VerifyConnection = j.by(nil)
}

// by is the judge's word on a handshake, of which to is told.
func (j *judge) by(to Judged) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		v, err := j.verify(cs, time.Now())
		if err == nil && to != nil && v != (Verdict{}) {
			to.LetPass(v.Err, v.CAErr, v.CADepth, v.Last)
		}
		return err
	}
}

// Judged is told, by whatever a handshake reads from, what the client's hello
// said, which certificate was chosen and what was let pass of the client's. Narrow
// has other suites stand in the hello until the handshake answers it.
type Judged interface {
	Said(*tls.ClientHelloInfo)
	Narrow(hello *tls.ClientHelloInfo, suites []uint16)
	Chosen(*x509.Certificate)
	LetPass(crt, ca, depth, last int)
}

// pick gives a handshake its settings, which the name that the client asks for
// may change, whether or not it resumes a session: strict-sni and verify hold
// for those, too.
func (l *Listener) pick(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	st := l.state.Load()
	to, judged := hello.Conn.(Judged)
	if judged {
		to.Said(hello)
	}
	if l.makes(st, hello.ServerName) {
		cert, err := l.generate(hello, st)
		if err == nil {
			if judged {
				to.Chosen(cert.Leaf)
				st.common.narrow(hello, to)
			}
			cfg := st.common.judging(hello, to)
			cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
			l.bindTickets(cfg, st.common.demands, cert.Leaf)
			return cfg, nil
		}
		if errors.Is(err, net.ErrClosed) { // nobody waits for this handshake any more
			return nil, err
		}
		l.report(err)
	}
	c := st.set.choose(hello, l.o.StrictSNI)
	if c == nil {
		return st.refuse, nil
	}
	if judged {
		to.Chosen(c.pair.cert.Leaf)
		c.narrow(hello, to)
	}
	cfg := c.judging(hello, to)
	l.bindTickets(cfg, c.demands, c.pair.cert.Leaf)
	return cfg, nil
}

// report tells an operator why a client gets another certificate than the one that was to be made for it. What the name alone keeps from being made is
// the client's doing.
func (l *Listener) report(err error) {
	if l.store.Report != nil && !errors.Is(err, errName) {
		l.store.Report(fmt.Sprintf("%s: no certificate can be made with ca-sign-file %s: %v; clients get the default certificate, or none with strict-sni", l.o.Name, l.o.Signing.File, err))
	}
}

// makes reports whether a certificate is made for a client that asks for a name.
func (l *Listener) makes(st *state, name string) bool {
	return l.sign != nil && name != "" && len(st.set.fallback) > 0 && st.set.first(name) == nil
}

// judging gives the settings for one handshake, which is told what is let pass. A
// client that speaks none of the protocols is served without one, as in HAProxy;
// crypto/tls would refuse it.
func (m *terms) judging(hello *tls.ClientHelloInfo, to Judged) *tls.Config {
	cfg := m.cfg.Clone()
	if !slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(cfg.NextProtos, p) }) {
		cfg.NextProtos = nil
	}
	if m.judge != nil && to != nil {
		cfg.VerifyConnection = m.judge.by(to)
	}
	return cfg
}

// ticketMark begins what lb writes into a session ticket: what was demanded of
// the client when the session began, and what it was shown.
const ticketMark = "lb demands "

// bindTickets has sessions resumed only where the same is demanded of clients'
// certificates as where they began, and the same certificate is shown: a client
// that resumes would go on with what it saw then. As in HAProxy, keys that the
// operator gives decrypt whatever is shown now.
func (l *Listener) bindTickets(cfg *tls.Config, demands string, shown *x509.Certificate) {
	mark := ticketMark + demands
	if shown != nil && l.o.TicketKeys == "" {
		sum := sha256.Sum256(shown.Raw)
		mark += " shows " + string(sum[:])
	}
	cfg.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		s.Extra = append(s.Extra, []byte(mark))
		return l.Config.EncryptTicket(cs, s)
	}
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		s, err := l.Config.DecryptTicket(ticket, cs)
		if s == nil || err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(s.Extra, func(b []byte) bool { return string(b) == mark }) {
			return nil, nil
		}
		return s, nil
	}
}

// Knows reports whether a certificate has the name, by HAProxy's rules, or is
// made for it.
func (l *Listener) Knows(name string) bool {
	st := l.state.Load()
	return st.set.first(name) != nil || l.makes(st, name)
}

// Suites are those of TLS 1.3 for clients that ask for a name; nil: all.
func (l *Listener) Suites(name string) []uint16 {
	if m := l.meets(name); m != nil {
		return m.suites
	}
	return nil
}

// Demands is what is demanded of the certificate of a client that asks for a
// name; "": nothing. Two bind lines that say the same have the same authorities,
// too.
func (l *Listener) Demands(name string) string {
	if m := l.meets(name); m != nil {
		return m.demands
	}
	return ""
}

// Allows gives the settings for clients that ask for a name.
func (l *Listener) Allows(name string) *tls.Config {
	if m := l.meets(name); m != nil {
		return m.cfg
	}
	return l.Config
}

// meets gives the terms of the certificate, whatever the client can do.
func (l *Listener) meets(name string) *terms {
	st := l.state.Load()
	if c := st.set.first(name); c != nil {
		return c.terms
	}
	if l.makes(st, name) {
		return st.common
	}
	if len(st.set.fallback) > 0 {
		return st.set.fallback[0].terms
	}
	return nil
}
