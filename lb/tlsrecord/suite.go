package tlsrecord

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"errors"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"

	"lbsyslogd/lb/secret"
)

// suite is a cipher suite as the record layer sees it.
type suite struct {
	id      uint16
	version uint16
	key     int // bytes
	iv      int // bytes that are derived
	chacha  bool
	hash    func() hash.Hash
}

// explicit is how many bytes of nonce each record carries.
func (s *suite) explicit() int { return nonceSize - s.iv }

const (
	nonceSize = 12
	tagSize   = 16
)

var suites = []suite{
	{tls.TLS_AES_128_GCM_SHA256, tls.VersionTLS13, 16, 12, false, sha256.New},
	{tls.TLS_AES_256_GCM_SHA384, tls.VersionTLS13, 32, 12, false, sha512.New384},
	{tls.TLS_CHACHA20_POLY1305_SHA256, tls.VersionTLS13, 32, 12, true, sha256.New},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, 16, 4, false, sha256.New},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, 32, 4, false, sha512.New384},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, 16, 4, false, sha256.New},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, 16, 4, false, sha256.New},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, 32, 4, false, sha512.New384},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, 32, 4, false, sha512.New384},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, 32, 12, true, sha256.New},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, 32, 12, true, sha256.New},
}

// ErrUnsupported says that a connection's version or suite is left to
// crypto/tls.
var ErrUnsupported = errors.New("tlsrecord: not a suite of authenticated encryption")

func suiteOf(version, id uint16) (*suite, error) {
	for i := range suites {
		if s := &suites[i]; s.id == id && s.version == version {
			return s, nil
		}
	}
	return nil, ErrUnsupported
}

// aead is the suite's cipher with a key.
func (s *suite) aead(key []byte) (cipher.AEAD, error) {
	if s.chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer secret.Cipher(block) // NewGCM copies it
	return cipher.NewGCM(block)
}

// expandLabel is HKDF-Expand-Label of RFC 8446 section 7.1 with an empty
// context, of no more bytes than the hash has. What it returns is the only copy on the
// heap, so that whoever clears it has forgotten it: crypto/hkdf keeps another
// until the garbage collector has its place used again.
func expandLabel(h func() hash.Hash, key []byte, label string, n int) []byte {
	info := make([]byte, 0, 32)
	info = append(info, byte(n>>8), byte(n), byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "...)
	info = append(info, label...)
	info = append(info, 0, 1) // the first block, which is all (RFC 5869 section 2.3)
	mac := hmac.New(h, key)
	mac.Write(info)
	out := mac.Sum(nil)
	clear(out[n:])
	return out[:n]
}

// prf12 is the PRF of RFC 5246 section 5.
func prf12(h func() hash.Hash, key []byte, label string, seed []byte, n int) []byte {
	mac := hmac.New(h, key)
	seed = append([]byte(label), seed...)
	mac.Write(seed)
	a := mac.Sum(nil)
	var out []byte
	for len(out) < n {
		mac.Reset()
		mac.Write(a)
		mac.Write(seed)
		out = mac.Sum(out)
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
	return out[:n]
}

// half is one direction of a connection.
type half struct {
	aead cipher.AEAD // with the key; nil until the next record: see wake
	seq  uint64      // of the next record

	// secret is the traffic secret of TLS 1.3, or key and iv of 1.2.
	secret [48]byte
	size   uint8
	iv     [nonceSize]byte // valid with aead

	// Scratch, which must not escape with each record.
	nonce [nonceSize]byte
	aad   [13]byte
}

// forget overwrites the secret and the key.
func (h *half) forget() {
	secret.Cipher(h.aead)
	*h = half{}
}

// rest overwrites the key and its schedule, which take most of an idle connection's memory. The next record derives them again
// from the secret.
func (h *half) rest() {
	secret.Cipher(h.aead)
	h.aead, h.iv = nil, [nonceSize]byte{}
}

// set gives the half its secret; the sequence begins at seq.
func (h *half) set(s *suite, traffic []byte, seq uint64) error {
	if s.version == tls.VersionTLS13 && len(traffic) != s.hash().Size() || s.version == tls.VersionTLS12 && len(traffic) != s.key+s.iv {
		return errSecret
	}
	h.rest()
	h.seq = seq
	h.size = uint8(copy(h.secret[:], traffic))
	secret.Registers()
	return nil
}

var errSecret = errors.New("tlsrecord: a secret of the wrong size")

// wake derives from the secret what records need, if that is not there.
func (h *half) wake(s *suite) error {
	if h.aead != nil {
		return nil
	}
	if h.size == 0 {
		return errSecret // forgotten
	}
	traffic := h.secret[:h.size]
	key, iv := traffic, []byte(nil)
	if s.version == tls.VersionTLS12 {
		key, iv = traffic[:s.key], traffic[s.key:]
	} else {
		key, iv = expandLabel(s.hash, traffic, "key", s.key), expandLabel(s.hash, traffic, "iv", s.iv)
		defer clear(key)
		defer clear(iv)
	}
	defer secret.Registers()
	aead, err := s.aead(key)
	if err != nil {
		return err
	}
	h.aead, h.iv = aead, [nonceSize]byte{}
	copy(h.iv[:], iv)
	return nil
}

// update is the next traffic secret (RFC 8446 section 7.2).
func (h *half) update(s *suite) error {
	next := expandLabel(s.hash, h.secret[:h.size], "traffic upd", int(h.size))
	defer clear(next)
	return h.set(s, next, 0)
}

// implicit makes the nonce of a record whose nonce is not on the wire.
func (h *half) implicit() []byte {
	h.nonce = h.iv
	for i := range 8 {
		h.nonce[nonceSize-1-i] ^= byte(h.seq >> (8 * i))
	}
	return h.nonce[:]
}
