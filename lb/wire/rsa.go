package wire

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
)

// A signature by RSA takes a millisecond, by a key of 4096 bits several: ten and more times what everything else of a handshake takes. A loop
// that computes handshakes has a goroutine do that part.

// signedElsewhere returns a certificate as it is, or, if its key is an RSA key, a copy whose key does not compute on the loop.
func (h *Handshake) signedElsewhere(c *tls.Certificate) *tls.Certificate {
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return c
	}
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return c
	}
	other := *c
	other.PrivateKey = &distantKey{key, h}
	return &other
}

// distantKey is an RSA key that computes on a goroutine.
type distantKey struct {
	crypto.Signer
	h *Handshake
}

// Sign implements crypto.Signer.
func (k *distantKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.h.elsewhere(func() ([]byte, error) { return k.Signer.Sign(rand, digest, opts) })
}

// Decrypt implements crypto.Decrypter, for the key exchange of TLS 1.2 that needs it.
func (k *distantKey) Decrypt(rand io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	d, ok := k.Signer.(crypto.Decrypter)
	if !ok {
		return nil, errors.New("the private key cannot decrypt")
	}
	return k.h.elsewhere(func() ([]byte, error) { return d.Decrypt(rand, msg, opts) })
}
