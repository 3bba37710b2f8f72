package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// OpenSSL's numbers for what is wrong with a certificate (X509_V_ERR_*), as far
// as they come up here.
const (
	errNoCRL        = 3
	errCRLSignature = 8
	errNotYet       = 9
	errExpired      = 10
	errCRLExpired   = 12
	errSelfSigned   = 18
	errSelfInChain  = 19
	errNoIssuer     = 20
	errNoLeaf       = 21
	errRevoked      = 23
	errInvalidCA    = 24
	errPurpose      = 26
	errOther        = 1
)

// Problem is why a certificate was not accepted: the error, with OpenSSL's
// number for it and the certificate's place in its chain, 0 the peer's own.
type Problem struct {
	Err   error
	Code  int
	Depth int
}

func (p *Problem) Error() string { return p.Err.Error() }

// Unwrap gives the error itself.
func (p *Problem) Unwrap() error { return p.Err }

// ProblemOf finds out what a failed handshake says of a certificate; nil if
// that is not what failed.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var v *tls.CertificateVerificationError
	if errors.As(err, &v) {
		return classify(v.UnverifiedCertificates, v.Err)
	}
	return nil
}

// classify gives an error of a verification OpenSSL's number and depth.
func classify(shown []*x509.Certificate, err error) *Problem {
	p := &Problem{Err: err, Code: errOther}
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		revoked *revokedError
	)
	switch {
	case errors.As(err, &unknown):
		p.Code, p.Depth = noIssuer(shown)
	case errors.As(err, &revoked):
		p.Code, p.Depth = revoked.code, revoked.depth
	case errors.As(err, &invalid):
		for i, c := range shown {
			if invalid.Cert != nil && c.Equal(invalid.Cert) {
				p.Depth = i
			}
		}
		switch invalid.Reason {
		case x509.Expired:
			p.Code = errExpired
			if c := invalid.Cert; c != nil && time.Now().Before(c.NotBefore) {
				p.Code = errNotYet
			}
		case x509.NotAuthorizedToSign:
			p.Code = errInvalidCA
		case x509.IncompatibleUsage:
			p.Code = errPurpose
		}
	}
	return p
}

// noIssuer is where OpenSSL finds that a chain ends, and what it says of it.
func noIssuer(shown []*x509.Certificate) (code, depth int) {
	if len(shown) == 0 {
		return errOther, 0
	}
	ordered := chain(shown[0], append([]*x509.Certificate(nil), shown[1:]...))
	depth = len(ordered) - 1
	last := ordered[depth]
	switch {
	case !bytes.Equal(last.RawIssuer, last.RawSubject):
		return errNoIssuer, depth
	case depth == 0:
		return errSelfSigned, 0
	}
	return errSelfInChain, depth
}

// Ignore are the errors that crt-ignore-err or ca-ignore-err names.
type Ignore struct {
	All   bool
	Codes []int
}

func (g Ignore) none() bool { return !g.All && len(g.Codes) == 0 }

func (g Ignore) has(code int) bool {
	for _, c := range g.Codes {
		if c == code {
			return true
		}
	}
	return g.All
}

// String gives the same text for the same errors.
func (g Ignore) String() string {
	if g.All {
		return "all"
	}
	return fmt.Sprint(g.Codes)
}

// errorNames are OpenSSL's, without X509_V_ERR_.
var errorNames = map[string]int{
	"UNABLE_TO_GET_ISSUER_CERT": 2, "UNABLE_TO_GET_CRL": errNoCRL, "CERT_SIGNATURE_FAILURE": 7, "CRL_SIGNATURE_FAILURE": errCRLSignature,
	"CERT_NOT_YET_VALID": errNotYet, "CERT_HAS_EXPIRED": errExpired, "CRL_NOT_YET_VALID": 11, "CRL_HAS_EXPIRED": errCRLExpired,
	"DEPTH_ZERO_SELF_SIGNED_CERT": errSelfSigned, "SELF_SIGNED_CERT_IN_CHAIN": errSelfInChain, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY": errNoIssuer,
	"UNABLE_TO_VERIFY_LEAF_SIGNATURE": errNoLeaf, "CERT_REVOKED": errRevoked, "INVALID_CA": errInvalidCA, "PATH_LENGTH_EXCEEDED": 25,
	"INVALID_PURPOSE": errPurpose, "CERT_UNTRUSTED": 27, "CERT_REJECTED": 28,
}

// ParseIgnore reads "all", or errors by their numbers or OpenSSL's names, with
// commas between.
func ParseIgnore(list string) (Ignore, error) {
	var g Ignore
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if word == "all" {
			g.All = true
			continue
		}
		n, err := strconv.Atoi(word)
		if err != nil {
			known := false
			if n, known = errorNames[strings.TrimPrefix(word, "X509_V_ERR_")]; !known {
				return g, fmt.Errorf("%q is neither 'all' nor the number or the name of an error of verification, such as 10 or X509_V_ERR_CERT_HAS_EXPIRED", word)
			}
		}
		if n <= 0 || n > 256 {
			return g, fmt.Errorf("%d is no error of verification", n)
		}
		g.Codes = append(g.Codes, n)
	}
	return g, nil
}

// Verdict is what was found of a client's certificate, and let pass.
type Verdict struct {
	Err            int // of the certificate itself: ssl_c_err
	CAErr, CADepth int // of one above it: ssl_c_ca_err
	Last           int // ssl_c_verify
}

// judge is how clients' certificates are verified at a listener.
type judge struct {
	roots             *x509.CertPool
	revoked           *revocations
	caIgnore, crtIgno Ignore
}

// verify judges what a client has shown. An error is a *Problem.
func (j *judge) verify(cs tls.ConnectionState, now time.Time) (Verdict, error) {
	var v Verdict
	shown := cs.PeerCertificates
	if len(shown) == 0 {
		return v, nil
	}
	for _, p := range j.problems(shown, now) {
		v.Last = p.Code
		if p.Depth == 0 {
			if !j.crtIgno.has(p.Code) {
				return v, p
			}
			if v.Err == 0 {
				v.Err = p.Code
			}
			continue
		}
		if !j.caIgnore.has(p.Code) {
			return v, p
		}
		if v.CAErr == 0 {
			v.CAErr, v.CADepth = p.Code, p.Depth
		}
	}
	return v, nil
}

// problems are all that is wrong with a chain, in the order in which OpenSSL
// finds it: whether there is one, lists of revoked certificates, then dates.
func (j *judge) problems(shown []*x509.Certificate, now time.Time) []*Problem {
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	leaf := shown[0]
	verify := func(at time.Time) ([][]*x509.Certificate, error) {
		return leaf.Verify(x509.VerifyOptions{
			Roots: j.roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
	}
	chains, err := verify(now)
	var list []*Problem
	if err != nil {
		// Dates are one thing, and trust is another: a chain may hold but for
		// them.
		then := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
		if chains, err = verify(then); err != nil {
			p := classify(shown, err)
			if list = append(list, p); p.Code == errNoIssuer && p.Depth == 0 {
				list = append(list, &Problem{Err: err, Code: errNoLeaf})
			}
		}
	}
	if j.revoked != nil && len(chains) > 0 {
		if err := j.revoked.check(chains, now); err != nil {
			list = append(list, classify(shown, err))
		}
	}
	dated := shown
	if len(chains) > 0 {
		dated = chains[0]
	}
	for i := len(dated) - 1; i >= 0; i-- {
		c := dated[i]
		bad := x509.CertificateInvalidError{Cert: c, Reason: x509.Expired}
		switch {
		case now.After(c.NotAfter):
			list = append(list, &Problem{Err: bad, Code: errExpired, Depth: i})
		case now.Before(c.NotBefore):
			list = append(list, &Problem{Err: bad, Code: errNotYet, Depth: i})
		}
	}
	return list
}
