package sample

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that JWTs use
	_ "crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
)

// What jwt_verify gives.
const (
	jwtWrong       = 0
	jwtRight       = 1
	jwtUnknown     = -1 // algorithm
	jwtUnmanaged   = -2 // PS256 and its kin
	jwtInvalid     = -3 // token
	jwtCertificate = -5 // unknown
)

// jwtAlg is an algorithm of RFC 7518 section 3.1.
type jwtAlg struct {
	family byte // H, R, E, P or n (none)
	hash   crypto.Hash
	size   int // of an ECDSA signature's halves
}

var jwtAlgs = map[string]jwtAlg{
	"none":  {family: 'n'},
	"HS256": {'H', crypto.SHA256, 0}, "HS384": {'H', crypto.SHA384, 0}, "HS512": {'H', crypto.SHA512, 0},
	"RS256": {'R', crypto.SHA256, 0}, "RS384": {'R', crypto.SHA384, 0}, "RS512": {'R', crypto.SHA512, 0},
	"ES256": {'E', crypto.SHA256, 32}, "ES384": {'E', crypto.SHA384, 48}, "ES512": {'E', crypto.SHA512, 66},
	"PS256": {'P', crypto.SHA256, 0}, "PS384": {'P', crypto.SHA384, 0}, "PS512": {'P', crypto.SHA512, 0},
}

// jwtVerifier is what jwt_verify's arguments say: each a text or a variable's
// name. Immutable.
type jwtVerifier struct {
	alg, algVar string
	key         []byte
	keyVar      string
	public      any // *rsa.PublicKey or *ecdsa.PublicKey of the file that the key names; nil: it names none
}

func checkJWTVerify(a *args) error {
	v := &jwtVerifier{}
	if CheckVar(a.s[0]) == nil {
		v.algVar = a.s[0]
	} else if v.alg = a.s[0]; jwtAlgs[v.alg].family == 0 {
		return fmt.Errorf("'%s' is not an algorithm of JSON web tokens (RFC 7518 section 3.1), nor a variable", v.alg)
	} else if jwtAlgs[v.alg].family == 'P' {
		return fmt.Errorf("signatures of '%s' (RSASSA-PSS) are not verified, as in HAProxy", v.alg)
	}
	a.any = v
	if CheckVar(a.s[1]) == nil {
		if f := jwtAlgs[v.alg].family; f == 'R' || f == 'E' {
			return fmt.Errorf("the key of %s must be a file's name: files are read when the configuration is", v.alg)
		}
		v.keyVar = a.s[1]
		return nil
	}
	v.key = []byte(a.s[1])
	if jwtAlgs[v.alg].family == 'H' {
		return nil
	}
	var err error
	if v.public, err = readPublicKey(a.s[1]); err != nil && v.alg != "" && v.alg != "none" {
		return err
	}
	return nil
}

// readPublicKey reads a public key, or a certificate's, from a file in PEM.
func readPublicKey(path string) (any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("'%s' has neither a public key nor a certificate in PEM", path)
		}
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("'%s': %w", path, err)
			}
			return usableKey(path, cert.PublicKey)
		case "PUBLIC KEY":
			key, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("'%s': %w", path, err)
			}
			return usableKey(path, key)
		case "RSA PUBLIC KEY":
			key, err := x509.ParsePKCS1PublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("'%s': %w", path, err)
			}
			return key, nil
		}
	}
}

func usableKey(path string, key any) (any, error) {
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("'%s': JSON web tokens are verified with RSA and ECDSA keys, not with this one", path)
}

// convJWTVerify allocates: signatures cost far more than that.
func convJWTVerify(x *Ctx, a *args, v Value) (Value, bool) {
	n, ok := a.any.(*jwtVerifier).verify(x, v.binary(x))
	return IntValue(n), ok
}

// verify gives one of the results; false when a variable is not set.
func (j *jwtVerifier) verify(x *Ctx, token []byte) (result int64, ok bool) {
	name, key := j.alg, j.key
	if j.algVar != "" {
		v, ok := x.Var(j.algVar)
		if !ok {
			return 0, false
		}
		name = string(v.Text(x))
	}
	if j.keyVar != "" {
		v, ok := x.Var(j.keyVar)
		if !ok {
			return 0, false
		}
		key = v.binary(x)
	}
	return j.check(name, key, token), true
}

func (j *jwtVerifier) check(name string, key, token []byte) int64 {
	alg, known := jwtAlgs[name]
	if !known {
		return jwtUnknown
	}
	parts, n := jwtParts(token)
	signature, err := base64.RawURLEncoding.DecodeString(string(parts[2]))
	switch {
	case n == 0:
		return jwtInvalid
	case alg.family == 'n' && len(parts[2]) == 0:
		return jwtRight
	case alg.family == 'n':
		return jwtWrong
	case err != nil || len(signature) == 0:
		return jwtInvalid
	case alg.family == 'P':
		return jwtUnmanaged
	}
	signed := token[:len(parts[0])+1+len(parts[1])]
	if alg.family == 'H' {
		mac := hmac.New(alg.hash.New, key)
		mac.Write(signed)
		if subtle.ConstantTimeCompare(mac.Sum(nil), signature) == 1 {
			return jwtRight
		}
		return jwtWrong
	}
	if j.public == nil {
		return jwtCertificate
	}
	h := alg.hash.New()
	h.Write(signed)
	if alg.check(j.public, h.Sum(nil), signature) == nil {
		return jwtRight
	}
	return jwtWrong
}

var errSignature = errors.New("the signature is wrong, or another kind of key's")

func (a jwtAlg) check(public any, sum, signature []byte) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if a.family == 'R' {
			return rsa.VerifyPKCS1v15(key, a.hash, sum, signature)
		}
	case *ecdsa.PublicKey:
		if a.family != 'E' || len(signature) != 2*a.size {
			break
		}
		r := new(big.Int).SetBytes(signature[:a.size])
		s := new(big.Int).SetBytes(signature[a.size:])
		if ecdsa.Verify(key, sum, r, s) {
			return nil
		}
	}
	return errSignature
}
