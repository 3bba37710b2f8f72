package sample

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"slices"
)

// aes_gcm_* and aes_cbc_*: the arguments are the key's length in bits, the nonce
// and the key, each in base64 or in a variable that has it in base64.

func checkAES(a *args) error {
	switch a.n[0] {
	case 128, 192, 256:
		return nil
	}
	return fmt.Errorf("a key has 128, 192 or 256 bits, not %d", a.n[0])
}

// aesBlock gives the cipher and the nonce.
func aesBlock(x *Ctx, a *args) (block cipher.Block, nonce []byte, ok bool) {
	nonce, ok1 := a.secret(x, 1)
	key, ok2 := a.secret(x, 2)
	if !ok1 || !ok2 || int64(len(key)) < a.n[0]/8 || len(nonce) == 0 {
		return nil, nil, false
	}
	block, err := aes.NewCipher(key[:a.n[0]/8])
	return block, nonce, err == nil
}

// aesGCM gives the cipher, the nonce and what is authenticated but not
// encrypted.
func aesGCM(x *Ctx, a *args) (gcm cipher.AEAD, nonce, aad []byte, ok bool) {
	block, nonce, ok := aesBlock(x, a)
	if !ok {
		return nil, nil, nil, false
	}
	if a.len > 4 {
		if aad, ok = a.secret(x, 4); !ok {
			return nil, nil, nil, false
		}
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(nonce))
	return gcm, nonce, aad, err == nil
}

// convDecryptGCM has no value for what is not what the tag says it is.
func convDecryptGCM(x *Ctx, a *args, v Value) (Value, bool) {
	gcm, nonce, aad, ok := aesGCM(x, a)
	if !ok {
		return Value{}, false
	}
	tag, ok := a.secret(x, 3)
	if !ok || len(tag) != gcm.Overhead() {
		return Value{}, false
	}
	plain, err := gcm.Open(nil, nonce, slices.Concat(v.binary(x), tag), aad)
	return Value{kind: Bin, b: plain}, err == nil
}

// convEncryptGCM leaves the tag in a variable, in base64: there aes_gcm_dec
// looks for it.
func convEncryptGCM(x *Ctx, a *args, v Value) (Value, bool) {
	gcm, nonce, aad, ok := aesGCM(x, a)
	if !ok {
		return Value{}, false
	}
	sealed := gcm.Seal(nil, nonce, v.binary(x), aad)
	end := len(sealed) - gcm.Overhead()
	tag := base64.StdEncoding.AppendEncode(nil, sealed[end:])
	return Value{kind: Bin, b: sealed[:end]}, x.SetVar(a.s[3], StrValue(tag), 0)
}

// convDecryptCBC has no value for what is not padded as PKCS #7 says.
func convDecryptCBC(x *Ctx, a *args, v Value) (Value, bool) {
	block, nonce, ok := aesBlock(x, a)
	src := v.binary(x)
	if !ok || len(nonce) < aes.BlockSize || len(src) == 0 || len(src)%aes.BlockSize != 0 {
		return Value{}, false
	}
	plain := make([]byte, len(src))
	cipher.NewCBCDecrypter(block, nonce[:aes.BlockSize]).CryptBlocks(plain, src)
	pad := plain[len(plain)-1]
	if pad == 0 || pad > aes.BlockSize {
		return Value{}, false
	}
	text, padding := plain[:len(plain)-int(pad)], plain[len(plain)-int(pad):]
	return Value{kind: Bin, b: text}, bytes.Count(padding, []byte{pad}) == len(padding)
}

func convEncryptCBC(x *Ctx, a *args, v Value) (Value, bool) {
	block, nonce, ok := aesBlock(x, a)
	if !ok || len(nonce) < aes.BlockSize {
		return Value{}, false
	}
	src := v.binary(x)
	pad := aes.BlockSize - len(src)%aes.BlockSize
	out := slices.Concat(src, bytes.Repeat([]byte{byte(pad)}, pad))
	cipher.NewCBCEncrypter(block, nonce[:aes.BlockSize]).CryptBlocks(out, out)
	return Value{kind: Bin, b: out}, true
}
