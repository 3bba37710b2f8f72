package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Load reads the certificates of a bind line. Every file that cannot be used
// has its sentence in the error. The result is for one bind line and may be
// given session ticket keys (SetSessionTicketKeys) that others share.
func Load(o Options) (*tls.Config, []Note, error) {
	var (
		errs  []error
		notes []Note
		set   set
	)
	for _, name := range o.Files {
		files, err := expand(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, file := range files {
			c, n, err := loadFile(file)
			notes = append(notes, n...)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			set.add(c)
			if o.Loaded != nil {
				o.Loaded(file, c.Leaf)
			}
		}
	}
	if len(o.Files) == 0 {
		errs = append(errs, errors.New("ssl needs a certificate; add crt FILE to the bind line"))
	}
	cfg := &tls.Config{
		NextProtos:             o.ALPN,
		MinVersion:             o.MinVersion,
		MaxVersion:             o.MaxVersion,
		CipherSuites:           o.Ciphers,
		ClientAuth:             o.Verify,
		SessionTicketsDisabled: o.NoTickets,
	}
	if o.MinVersion != 0 && o.MaxVersion != 0 && o.MinVersion > o.MaxVersion {
		errs = append(errs, fmt.Errorf("ssl-min-ver %s is above ssl-max-ver %s; no client could connect", Version(o.MinVersion), Version(o.MaxVersion)))
	}
	if o.ClientCA != "" {
		pool, err := loadPool(o.ClientCA)
		if err != nil {
			errs = append(errs, err)
		}
		cfg.ClientCAs = pool
	} else if o.Verify >= tls.VerifyClientCertIfGiven {
		errs = append(errs, errors.New("verify needs the authorities that sign clients' certificates; add ca-file FILE to the bind line"))
	}
	if len(errs) > 0 {
		return nil, notes, errors.Join(errs...)
	}
	set.build()
	cfg.GetCertificate = set.chooser(o.StrictSNI)
	return cfg, notes, nil
}

// besides are the files HAProxy keeps next to a certificate and that are no
// certificates themselves.
func besides(name string) bool {
	switch filepath.Ext(name) {
	case ".key", ".ocsp", ".issuer", ".sctl", ".dh":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// expand turns what `crt` names into files: the file itself, all files of a
// directory in the order of their names, or the members of a bundle
// (name.ecdsa, name.rsa) when name itself does not exist.
func expand(name string) ([]string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		var bundle []string
		for _, kind := range []string{".ecdsa", ".rsa"} {
			if _, err := os.Stat(name + kind); err == nil {
				bundle = append(bundle, name+kind)
			}
		}
		if len(bundle) > 0 {
			return bundle, nil
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
		if info, err := os.Stat(file); err != nil || info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("certificate directory %s holds no certificates", name)
	}
	return files, nil
}

// cause is the kernel's word without the path, which the sentence has already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func loadPool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca-file %s cannot be read: %w", file, cause(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("ca-file %s holds no certificates in PEM form", file)
	}
	return pool, nil
}
