package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Store holds the files that the bind and server lines of a configuration name:
// certificates, authorities, revocation lists and crt-lists. Each is read once,
// however many lines name it, and can be changed while the process serves. The
// exported fields are set before the first Load.
type Store struct {
	Extras    Extras
	ChainPath string // issuers-chain-path
	CrtBase   string // before relative names in crt-lists
	// Settings reads the options of a crt-list's line.
	Settings func(words []string) (Settings, error)
	// Generated is how many certificates are kept that were made at a client's
	// wish; 0: none.
	Generated int
	made      generated
	// Report hears, in handshakes, why no certificate can be made; nil: nobody
	// does. The same may come for each of them.
	Report func(text string)

	seen    sync.Map // issuers' certificates by their DER
	issuers [][]*x509.Certificate

	mu sync.Mutex
	// mu guards the fields below. What they point to is immutable.
	began     bool
	pairs     map[string]*pair
	failed    map[string]error
	cas       map[string]*authorities
	crls      map[string]*revocationFile
	lists     map[string][]ListLine
	listBase  map[string][]ListLine // as the files have them
	dirs      map[string]bool       // which lists are directories
	clients   map[any]*client       // by ClientOptions.Of
	keys      []*ticketFile
	listeners []*Listener
	open      transactions
}

// authorities are those of a ca-file.
type authorities struct {
	file  string
	certs []*x509.Certificate
	pool  *x509.CertPool
	data  []byte // PEM; nil of the system's
	sum   string
	base  string // sum of what the file has, or added
}

// revocationFile is a crl-file.
type revocationFile struct {
	file string
	data []byte
	*revocations
	sum, base string
}

// ticketFile is a file of tls-ticket-keys.
type ticketFile struct {
	file    string
	keys    [][]byte // the newest last
	base    [][]byte // as the file has them
	changed bool
}

// begin makes an empty store of a zero one. Locked.
func (s *Store) begin() error {
	if s.began {
		return nil
	}
	s.began = true
	s.pairs, s.failed = map[string]*pair{}, map[string]error{}
	s.cas, s.crls = map[string]*authorities{}, map[string]*revocationFile{}
	s.lists, s.listBase, s.dirs, s.clients = map[string][]ListLine{}, map[string][]ListLine{}, map[string]bool{}, map[any]*client{}
	return s.loadIssuers()
}

// besides are the files HAProxy keeps next to a certificate and that are no
// certificates themselves.
func besides(name string) bool {
	switch filepath.Ext(name) {
	case ".key", ".ocsp", ".issuer", ".sctl", ".dh":
		return true
	}
	return name == "" || name[0] == '.'
}

// expand turns what `crt` names into files: the file itself, all files of a
// directory in the order of their names, or the members of a bundle
// (name.ecdsa, name.rsa) when name itself does not exist.
func (s *Store) expand(name string) ([]string, error) {
	if _, given := s.pairs[name]; given {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && s.Extras.Bundle {
		var bundle []string
		for _, kind := range []string{".ecdsa", ".rsa"} {
			if _, err := os.Stat(name + kind); err == nil {
				bundle = append(bundle, name+kind)
			}
		}
		if len(bundle) > 0 {
			return bundle, nil
		}
		if _, err := os.Stat(name + ".dsa"); err == nil {
			return nil, fmt.Errorf("certificate %s.dsa is for DSA, which no client takes any more; make an ECDSA or RSA key", name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s cannot be read: %w", name, cause(err))
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, fmt.Errorf("certificate directory %s cannot be read: %w", name, cause(err))
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(name, e.Name())
		if besides(e.Name()) {
			continue
		}
		// A link counts as what it leads to: certificate tools fill such
		// directories with links.
		if e.Type().IsRegular() {
			files = append(files, file)
		} else if info, err := os.Stat(file); err != nil || info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, emptyDir(name)
	}
	return files, nil
}

// emptyDir is a directory without certificates: with strict-sni a bind line can
// do without.
type emptyDir string

func (e emptyDir) Error() string {
	return fmt.Sprintf("certificate directory %s holds no certificates", string(e))
}

// cause is the kernel's word without the path, which the sentence has already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// fetch loads files that are not in the store yet, on all cores. Locked.
func (s *Store) fetch(files []string) []Note {
	var missing []string
	for _, f := range files {
		if s.pairs[f] == nil && s.failed[f] == nil && !slices.Contains(missing[max(0, len(missing)-1):], f) {
			missing = append(missing, f)
		}
	}
	type result struct {
		pair  *pair
		notes []Note
		err   error
	}
	results := make([]result, len(missing))
	var wg sync.WaitGroup
	workers := min(runtime.NumCPU(), len(missing))
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(missing); i += workers {
				r := &results[i]
				p, notes, err := s.readParts(missing[i])
				if err == nil {
					r.pair, r.notes, err = s.make(missing[i], p)
					if err == nil {
						r.pair.base = r.pair.sum
					}
					r.notes = append(r.notes, notes...)
				}
				r.err = err
			}
		})
	}
	wg.Wait()
	var notes []Note
	for i, r := range results {
		notes = append(notes, r.notes...)
		if r.err != nil {
			s.failed[missing[i]] = r.err
		} else {
			s.pairs[missing[i]] = r.pair
		}
	}
	return notes
}

// systemCA names the system's authorities where a file could be.
const systemCA = "@system-ca"

// ca gives the authorities of a ca-file. Locked.
func (s *Store) ca(file string) (*authorities, error) {
	if a := s.cas[file]; a != nil {
		return a, nil
	}
	if file == systemCA {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("ca-file %s: %w", file, err)
		}
		a := &authorities{file: file, pool: pool, sum: systemCA, base: systemCA}
		s.cas[file] = a
		return a, nil
	}
	data, err := readAll(file)
	if err != nil {
		return nil, &Unloadable{"ca-file", file, fmt.Errorf("ca-file %s cannot be read: %w", file, cause(err))}
	}
	a, err := newAuthorities(file, data)
	if err != nil {
		return nil, &Unloadable{"ca-file", file, err}
	}
	a.base = a.sum
	s.cas[file] = a
	return a, nil
}

// Unloadable is a file that a word names and that is not what the word needs.
type Unloadable struct {
	Word string // "ca-file" or "crl-file"
	Name string
	Err  error // says it all
}

func (u *Unloadable) Error() string { return u.Err.Error() }

func (u *Unloadable) Unwrap() error { return u.Err }

// readAll reads a file, or all files of a directory.
func readAll(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return os.ReadFile(name)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".pem", ".crt", ".cer", ".crl":
		default:
			continue
		}
		data, err := os.ReadFile(filepath.Join(name, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(append(all, data...), '\n')
	}
	return all, nil
}

func newAuthorities(file string, data []byte) (*authorities, error) {
	a := &authorities{file: file, pool: x509.NewCertPool(), data: data, sum: fmt.Sprintf("%x", sha256.Sum256(data))}
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" && b.Type != "TRUSTED CERTIFICATE" && b.Type != "X509 CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			continue // of an algorithm that nobody could use here
		}
		a.certs = append(a.certs, c)
		a.pool.AddCert(c)
	}
	if len(a.certs) == 0 {
		return nil, fmt.Errorf("ca-file %s holds no certificates in PEM form", file)
	}
	return a, nil
}

// crl gives the lists of a crl-file. Locked.
func (s *Store) crl(file string) (*revocationFile, error) {
	if r := s.crls[file]; r != nil {
		return r, nil
	}
	data, err := readAll(file)
	if err != nil {
		return nil, &Unloadable{"crl-file", file, fmt.Errorf("crl-file %s cannot be read: %w", file, cause(err))}
	}
	r, err := newRevocationFile(file, data)
	if err != nil {
		return nil, &Unloadable{"crl-file", file, err}
	}
	r.base = r.sum
	s.crls[file] = r
	return r, nil
}

func newRevocationFile(file string, data []byte) (*revocationFile, error) {
	lists, err := parseRevocations(file, data)
	if err != nil {
		return nil, err
	}
	return &revocationFile{file: file, data: data, revocations: lists, sum: fmt.Sprintf("%x", sha256.Sum256(data))}, nil
}

// list gives the lines of a crt-list. Locked.
func (s *Store) list(file string) ([]ListLine, error) {
	if l, ok := s.lists[file]; ok {
		return l, nil
	}
	l, err := readList(file)
	if err == nil {
		l = s.unbundled(file, l)
		s.lists[file], s.listBase[file] = l, l
	}
	return l, err
}

// lines gives those of a crt-list, or of a directory, which is a list of its files
// to commands; false: the source is a certificate. Locked.
func (s *Store) lines(src Source) ([]ListLine, bool, error) {
	if src.List {
		l, err := s.list(src.Path)
		return l, true, err
	}
	name := src.name()
	if l, ok := s.lists[name]; ok && s.dirs[name] {
		return l, true, nil
	}
	if info, err := os.Stat(src.Path); err != nil || !info.IsDir() || s.pairs[src.Path] != nil {
		return nil, false, nil
	}
	files, err := s.expand(src.Path)
	if _, empty := err.(emptyDir); err != nil && !empty {
		return nil, true, err
	}
	lines := make([]ListLine, len(files))
	for i, f := range files {
		lines[i].File = f
	}
	s.lists[name], s.listBase[name], s.dirs[name] = lines, lines, true
	return lines, true, err
}

// unbundled gives the lines of a list with one for each certificate of a bundle, as
// commands see them: members come and go alone. All have the bundle's number.
func (s *Store) unbundled(list string, lines []ListLine) []ListLine {
	var out []ListLine
	for i, l := range lines {
		path := s.under(list, l.File)
		files, err := s.expand(path)
		whole := err != nil || len(files) == 0 || !strings.HasPrefix(files[0], path+".")
		if whole {
			if out != nil {
				out = append(out, l)
			}
			continue
		}
		if out == nil {
			out = slices.Clone(lines[:i])
		}
		for _, f := range files {
			member := l
			member.File += strings.TrimPrefix(f, path)
			out = append(out, member)
		}
	}
	if out == nil {
		return lines
	}
	return out
}

// ticketKeys gives the keys of a file of tls-ticket-keys. Locked.
func (s *Store) ticketKeys(file string) (*ticketFile, error) {
	for _, k := range s.keys {
		if k.file == file {
			return k, nil
		}
	}
	keys, err := readTicketKeys(file)
	if err != nil {
		return nil, err
	}
	k := &ticketFile{file: file, keys: keys, base: keys}
	s.keys = append(s.keys, k)
	return k, nil
}
