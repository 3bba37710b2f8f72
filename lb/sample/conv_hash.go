package sample

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
)

// convsHash are hashes, digests and what else takes keys (HAProxy configuration
// manual, section 7.3.1).
var convsHash = []convRow{
	{name: "aes_cbc_dec", args: "ibb", in: Bin, out: Bin, get: convDecryptCBC, check: checkAES},
	{name: "aes_cbc_enc", args: "ibb", in: Bin, out: Bin, get: convEncryptCBC, check: checkAES},
	{name: "aes_gcm_dec", args: "ibbbb?", in: Bin, out: Bin, get: convDecryptGCM, check: checkAES},
	{name: "aes_gcm_enc", args: "ibbnb?", in: Bin, out: Bin, get: convEncryptGCM, check: checkAES},
	{name: "crc32", args: "i?", in: Bin, out: Int, get: hashed(crc32.ChecksumIEEE)},
	{name: "crc32c", args: "i?", in: Bin, out: Int, get: hashed(func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) })},
	{name: "digest", args: "s", in: Bin, out: Bin, get: convDigest, check: checkDigest},
	{name: "djb2", args: "i?", in: Bin, out: Int, get: hashed(djb2)},
	{name: "hmac", args: "sb", in: Bin, out: Bin, get: convHMAC, check: checkDigest},
	{name: "sdbm", args: "i?", in: Bin, out: Int, get: hashed(func(b []byte) uint32 { return sdbm(0, b) })},
	{name: "secure_memcmp", args: "n", in: Bin, out: Bool, get: convMemcmp},
	{name: "wt6", args: "i?", in: Bin, out: Int, get: hashed(wt6)},
	{name: "xxh3", args: "i?", in: Bin, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		return IntValue(int64(xxh3.HashSeed(v.binary(x), uint64(a.n[0])))), true
	}},
	{name: "xxh32", args: "i?", in: Bin, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		return IntValue(int64(xxh32(v.binary(x), uint32(a.n[0])))), true
	}},
	{name: "xxh64", args: "i?", in: Bin, out: Int, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		d := xxhash.NewWithSeed(uint64(a.n[0]))
		d.Write(v.binary(x)) // never fails
		return IntValue(int64(d.Sum64())), true
	}},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hashed makes a converter of a hash of 32 bits; with a non-zero argument it is
// spread.
func hashed(sum func([]byte) uint32) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		n := sum(v.binary(x))
		if a.n[0] != 0 {
			n = avalanche(n)
		}
		return IntValue(int64(n)), true
	}
}

func djb2(b []byte) uint32 {
	n := uint32(5381)
	for _, c := range b {
		n = n<<5 + n + uint32(c)
	}
	return n
}

// sdbm goes on from a hash of what came before.
func sdbm(n uint32, b []byte) uint32 {
	for _, c := range b {
		n = uint32(c) + n<<6 + n<<16 - n
	}
	return n
}

// wt6 is HAProxy's own (src/hash.c).
func wt6(b []byte) uint32 {
	h0, h1 := uint32(0xa53c965a), uint32(0x5ca6953a)
	step0, step1 := uint32(6), uint32(18)
	for _, c := range b {
		h0 = ^(h0 ^ uint32(c))
		h1 = ^(h1 + uint32(c))
		t := h1<<step0 | h1>>(32-step0)
		h1 = h0<<step1 | h0>>(32-step1)
		h0 = t
		t = (h0>>16 ^ h1) & 0xffff
		step0, step1 = t&0x1f, t>>11
	}
	return h0 ^ h1
}

// xxh32 is XXH32 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
func xxh32(b []byte, seed uint32) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	rot := func(x uint32, r uint) uint32 { return x<<r | x>>(32-r) }
	word := func(b []byte) uint32 {
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	n := len(b)
	h := seed + p5
	if n >= 16 {
		acc := [4]uint32{seed, seed, seed, seed}
		acc[0] += p1 // not a constant sum: it wraps
		acc[0] += p2
		acc[1] += p2
		acc[3] -= p1
		for ; len(b) >= 16; b = b[16:] {
			for i := range acc {
				acc[i] = rot(acc[i]+word(b[4*i:])*p2, 13) * p1
			}
		}
		h = rot(acc[0], 1) + rot(acc[1], 7) + rot(acc[2], 12) + rot(acc[3], 18)
	}
	h += uint32(n)
	for ; len(b) >= 4; b = b[4:] {
		h = rot(h+word(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = rot(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}

// digests are the message digests by OpenSSL's names.
var digests = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	"sha512-224": sha512.New512_224, "sha512-256": sha512.New512_256,
	"sha3-224": func() hash.Hash { return sha3.New224() }, "sha3-256": func() hash.Hash { return sha3.New256() },
	"sha3-384": func() hash.Hash { return sha3.New384() }, "sha3-512": func() hash.Hash { return sha3.New512() },
}

// digestNamed finds one by any of OpenSSL's names for it: SHA-256, SHA2-256,
// RSA-SHA256, sha256WithRSAEncryption and SSL3-SHA1 are some.
func digestNamed(name string) func() hash.Hash {
	name = strings.ToLower(name)
	switch name { // what the rules below would read as well, and OpenSSL does not
	case "rsa-sha512-224", "rsa-sha512-256", "rsa-sha-1", "ssl3-sha-1":
		return nil
	case "rsa-sha1-2":
		return digests["sha1"]
	}
	if d := digests[name]; d != nil {
		return d
	}
	if bare, ok := strings.CutPrefix(name, "id-rsassa-pkcs1-v1_5-with-"); ok && strings.HasPrefix(bare, "sha3-") {
		return digests[bare]
	}
	if bare, ok := strings.CutSuffix(name, "withrsaencryption"); ok && !strings.HasPrefix(bare, "sha3-") {
		return digests[bare]
	}
	if bare, ok := strings.CutPrefix(name, "ssl3-"); ok && (bare == "md5" || bare == "sha1") {
		return digests[bare]
	}
	if bare, ok := strings.CutPrefix(name, "rsa-"); ok {
		return digests[strings.Replace(bare, "sha512/", "sha512-", 1)]
	}
	for _, prefix := range []string{"sha-", "sha2-"} {
		if bits, ok := strings.CutPrefix(name, prefix); ok && (prefix == "sha-" || bits != "1") && !strings.Contains(bits, "-") {
			return digests["sha"+strings.Replace(bits, "512/", "512-", 1)]
		}
	}
	return nil
}

func checkDigest(a *args) error {
	digest := digestNamed(a.s[0])
	if digest == nil {
		return fmt.Errorf("'%s' is not a digest%s; there are %s", a.s[0], Hint(a.s[0], slices.Collect(maps.Keys(digests))), strings.Join(slices.Sorted(maps.Keys(digests)), ", "))
	}
	a.any = digest
	return nil
}

func convDigest(x *Ctx, a *args, v Value) (Value, bool) {
	h := a.any.(func() hash.Hash)()
	h.Write(v.binary(x))
	return sumOf(x, h)
}

func convHMAC(x *Ctx, a *args, v Value) (Value, bool) {
	key, ok := a.secret(x, 1)
	if !ok {
		return Value{}, false
	}
	h := hmac.New(a.any.(func() hash.Hash), key)
	h.Write(v.binary(x))
	return sumOf(x, h)
}

func sumOf(x *Ctx, h hash.Hash) (Value, bool) {
	off := len(x.scratch)
	x.scratch = h.Sum(x.scratch)
	return Value{kind: Bin, b: x.scratch[off:]}, true
}

// secret is an argument in base64, or what a variable has in base64.
func (a *args) secret(x *Ctx, i int) ([]byte, bool) {
	if a.bin[i] != nil {
		return a.bin[i], true
	}
	v, ok := x.Var(a.s[i])
	if !ok {
		return nil, false
	}
	text := v.Text(x)
	off := len(x.scratch)
	out, err := base64.StdEncoding.AppendDecode(x.scratch, text)
	if err != nil || wrapped64(text) {
		return nil, false
	}
	x.scratch = out
	return out[off:], true
}

// convMemcmp takes the same time whichever byte differs.
func convMemcmp(x *Ctx, a *args, v Value) (Value, bool) {
	held, ok := x.Var(a.s[0])
	if !ok {
		return Value{}, false
	}
	return BoolValue(subtle.ConstantTimeCompare(v.binary(x), held.binary(x)) == 1), true
}
