package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// revocations are lists by the name of who issued them. Immutable.
type revocations struct {
	lists map[string][]*x509.RevocationList // by RawIssuer
	order []*x509.RevocationList            // as in the file
}

// parseRevocations reads a PEM file of revocation lists.
func parseRevocations(file string, data []byte) (*revocations, error) {
	r := &revocations{lists: map[string][]*x509.RevocationList{}}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("crl-file %s: %w", file, err)
		}
		r.order = append(r.order, list)
		r.lists[string(list.RawIssuer)] = append(r.lists[string(list.RawIssuer)], list)
	}
	if len(r.lists) == 0 {
		return nil, fmt.Errorf("crl-file %s holds no revocation lists in PEM form", file)
	}
	return r, nil
}

// check refuses chains unless one of them has, for each of its certificates, a
// list of the issuer that is valid now and does not name it: as OpenSSL does with
// X509_V_FLAG_CRL_CHECK_ALL, which HAProxy sets.
func (r *revocations) check(chains [][]*x509.Certificate, now time.Time) error {
	err := errors.New("the certificate has no chain")
	for _, chain := range chains {
		if err = r.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

func (r *revocations) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i, c := range chain {
		issuer := chain[min(i+1, len(chain)-1)]
		if code, err := r.checkOne(c, issuer, now); err != nil {
			return &revokedError{err, code, i}
		}
	}
	return nil
}

// revokedError is what the lists say against a certificate of a chain, with
// OpenSSL's number.
type revokedError struct {
	error
	code, depth int
}

func (r *revocations) checkOne(c, issuer *x509.Certificate, now time.Time) (code int, err error) {
	code, err = errNoCRL, fmt.Errorf("crl-file has no list of %q", c.Issuer)
	for _, list := range r.lists[string(c.RawIssuer)] {
		switch {
		case list.CheckSignatureFrom(issuer) != nil:
			code, err = errCRLSignature, fmt.Errorf("the list of %q in crl-file is not signed by it", c.Issuer)
		case now.Before(list.ThisUpdate) || !list.NextUpdate.IsZero() && now.After(list.NextUpdate):
			code, err = errCRLExpired, fmt.Errorf("the list of %q in crl-file is out of date", c.Issuer)
		default:
			for i := range list.RevokedCertificateEntries {
				if list.RevokedCertificateEntries[i].SerialNumber.Cmp(c.SerialNumber) == 0 {
					return errRevoked, fmt.Errorf("the certificate of %q was revoked", c.Subject)
				}
			}
			return 0, nil
		}
	}
	return code, err
}
