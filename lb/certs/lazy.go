package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"sync"
)

// lazyKey is a private key that is parsed when it first signs: checking an RSA
// key costs more than all the rest of loading its certificate, and of thousands
// of certificates few are asked for in an hour.
type lazyKey struct {
	pub   crypto.PublicKey // of the certificate, which the key was compared with
	block *pem.Block
	once  sync.Once
	key   crypto.Signer
	err   error
}

// Public implements crypto.Signer.
func (l *lazyKey) Public() crypto.PublicKey { return l.pub }

// Sign implements crypto.Signer.
func (l *lazyKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := l.parse(); err != nil {
		return nil, err
	}
	return l.key.Sign(rand, digest, opts)
}

func (l *lazyKey) parse() error {
	l.once.Do(func() {
		if l.key, l.err = parseKey(l.block); l.err == nil && !samePublic(l.key.Public(), l.pub) {
			l.err = errors.New("the private key is not the certificate's")
		}
	})
	return l.err
}

// lazyRSA is a lazyKey for key exchange with RSA, too. crypto/tls refuses other
// keys that can decrypt.
type lazyRSA struct{ lazyKey }

// Decrypt implements crypto.Decrypter.
func (l *lazyRSA) Decrypt(rand io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if err := l.parse(); err != nil {
		return nil, err
	}
	d, ok := l.key.(crypto.Decrypter)
	if !ok {
		return nil, errors.New("the private key cannot decrypt")
	}
	return d.Decrypt(rand, msg, opts)
}

// encrypted reports whether nobody is there to type the block's passphrase.
func encrypted(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

// lazy makes a key that is the certificate's without parsing all of it; nil
// when the short look does not tell, and the key must be parsed.
func lazy(b *pem.Block, leaf *x509.Certificate) crypto.Signer {
	switch pub := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if n, e, ok := rsaPublic(b); ok && e == pub.E && n.Cmp(pub.N) == 0 {
			return &lazyRSA{lazyKey{pub: pub, block: b}}
		}
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if own := ecPublic(b); err == nil && len(own) > 0 && string(own) == string(point) {
			return &lazyKey{pub: pub, block: b}
		}
	}
	return nil
}

// pkcs8 is RFC 5208's PrivateKeyInfo.
type pkcs8 struct {
	Version   int
	Algorithm struct {
		ID     asn1.ObjectIdentifier
		Params asn1.RawValue `asn1:"optional"`
	}
	Key []byte
}

// inner is the key's own form, which PKCS 8 may wrap.
func inner(b *pem.Block) []byte {
	if b.Type != "PRIVATE KEY" {
		return b.Bytes
	}
	var p pkcs8
	if _, err := asn1.Unmarshal(b.Bytes, &p); err != nil {
		return nil
	}
	return p.Key
}

// rsaPublic gives the public half of a key as RFC 8017 A.1.2 has it.
func rsaPublic(b *pem.Block) (*big.Int, int, bool) {
	if b.Type != "PRIVATE KEY" && b.Type != "RSA PRIVATE KEY" {
		return nil, 0, false
	}
	var k struct {
		Version                  int
		N                        *big.Int
		E                        int
		D, P, Q, Dp, Dq, Inverse asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(inner(b), &k); err != nil || len(rest) > 0 || k.Version != 0 {
		return nil, 0, false
	}
	return k.N, k.E, true
}

// ecPublic gives the point that a key as RFC 5915 has it comes with; nil
// without one.
func ecPublic(b *pem.Block) []byte {
	if b.Type != "PRIVATE KEY" && b.Type != "EC PRIVATE KEY" {
		return nil
	}
	var k struct {
		Version int
		Key     []byte
		Curve   asn1.RawValue  `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString `asn1:"optional,explicit,tag:1"`
	}
	if _, err := asn1.Unmarshal(inner(b), &k); err != nil || k.Version != 1 {
		return nil
	}
	return k.Public.Bytes
}
