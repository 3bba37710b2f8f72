package userlist

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Hashes of passwords as crypt(5) writes them: $1$ (MD5), $5$ (SHA-256), $6$
// (SHA-512) and $2a$, $2b$, $2y$ (bcrypt).

// maxRounds is how much work one look at a password may be: some ten times the
// usual 5000 rounds, and not the minutes that 999999999 would take.
const maxRounds = 100_000

// maxCost is the same for bcrypt, whose cost is a power of two.
const maxCost = 14

// ErrFutile is a hash that no password has: it was cut, or is none at all.
var ErrFutile = errors.New("nobody can log in as that user")

// futile says of a hash why no password has it.
func futile(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrFutile)
}

// checkHash refuses what matches could not compute.
func checkHash(text string) error {
	const way = "make one with 'mkpasswd -m sha-512' or 'openssl passwd -6'"
	switch scheme := schemeOf(text); scheme {
	case "1", "5", "6":
		c, err := splitHash(text)
		if err != nil {
			return err
		}
		if c.rounds > maxRounds {
			return fmt.Errorf("its password's hash takes %d rounds, at most %d are computed", c.rounds, maxRounds)
		}
		if want := map[string]int{"1": 22, "5": 43, "6": 86}[scheme]; len(c.sum) != want {
			return futile("its password's hash is cut: after the salt it has %d characters, not %d", len(c.sum), want)
		}
		return nil
	case "2a", "2b", "2y":
		cost, err := bcrypt.Cost([]byte(text))
		if err != nil {
			return futile("its password's hash is not bcrypt's (%v)", err)
		}
		if cost > maxCost {
			return fmt.Errorf("its password's hash has the cost %d, at most %d is computed", cost, maxCost)
		}
		return nil
	case "":
		if !desHash.MatchString(text) {
			return futile("'password' expects a hash, such as mkpasswd makes, and not the password itself; that is 'insecure-password'")
		}
		return fmt.Errorf("'password' expects a hash that begins with $5$ or $6$ (DES is not supported): %s, or write 'insecure-password' for a password in clear", way)
	case "y", "gy", "7", "sha1", "md5":
		return fmt.Errorf("hashes of the kind $%s$ are not supported by lb yet: %s", scheme, way)
	default:
		return futile("the hash's kind $%s$ is unknown (%s)", scheme, way) // to crypt(3), too
	}
}

// desHash is what crypt(3) made of passwords long ago.
var desHash = regexp.MustCompile(`^[./0-9A-Za-z]{13}$`)

// schemeOf is what stands between the first two dollars.
func schemeOf(text string) string {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		if scheme, _, ok := strings.Cut(rest, "$"); ok {
			return scheme
		}
	}
	return ""
}

// crypted is a hash of crypt's own schemes taken apart.
type crypted struct {
	scheme string
	rounds int
	salt   string
	sum    string
}

// splitHash reads $SCHEME$[rounds=N$]SALT$SUM.
func splitHash(text string) (c crypted, err error) {
	parts := strings.Split(text, "$")
	if len(parts) < 4 {
		return c, futile("its password's hash lacks a part: $scheme$salt$hash is expected")
	}
	c.scheme, c.rounds = parts[1], 5000
	parts = parts[2:]
	if n, ok := strings.CutPrefix(parts[0], "rounds="); ok && c.scheme != "1" {
		if c.rounds, err = strconv.Atoi(n); err != nil || c.rounds < 1000 {
			return c, futile("'rounds=%s' in its password's hash is no number of at least 1000", n)
		}
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return c, futile("its password's hash has too many or too few '$'")
	}
	c.salt, c.sum = parts[0], parts[1]
	most := 16
	if c.scheme == "1" {
		most = 8
	}
	if len(c.salt) > most {
		c.salt = c.salt[:most]
	}
	return c, nil
}

// matches computes the hash of a password and compares.
func matches(text string, password []byte) bool {
	switch schemeOf(text) {
	case "2a", "2b", "2y":
		return bcrypt.CompareHashAndPassword([]byte(text), password) == nil
	}
	c, err := splitHash(text)
	if err != nil {
		return false
	}
	var sum string
	switch c.scheme {
	case "1":
		sum = md5Crypt(password, []byte(c.salt))
	case "5":
		sum = shaCrypt(sha256.New, sha256Order[:], password, []byte(c.salt), c.rounds)
	case "6":
		sum = shaCrypt(sha512.New, sha512Order[:], password, []byte(c.salt), c.rounds)
	}
	return subtle.ConstantTimeCompare([]byte(sum), []byte(c.sum)) == 1
}

// shaCrypt is "Unix crypt using SHA-256 and SHA-512" by Ulrich Drepper; the
// numbers are its steps.
func shaCrypt(algo func() hash.Hash, order []byte, key, salt []byte, rounds int) string {
	h := algo()
	size := h.Size()
	// 4-8: B = H(key salt key)
	h.Write(key)
	h.Write(salt)
	h.Write(key)
	b := h.Sum(nil)
	// 1-3, 9-12: A = H(key salt B... bits of the length)
	h.Reset()
	h.Write(key)
	h.Write(salt)
	n := len(key)
	for ; n > size; n -= size {
		h.Write(b)
	}
	h.Write(b[:n])
	for n = len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write(b)
		} else {
			h.Write(key)
		}
	}
	a := h.Sum(nil)
	// 13-16: P from H(key, once for each of its bytes)
	h.Reset()
	for range key {
		h.Write(key)
	}
	p := stretch(h.Sum(nil), len(key))
	// 17-20: S from H(salt, 16 times and once for each in A's first byte)
	h.Reset()
	for range 16 + int(a[0]) {
		h.Write(salt)
	}
	s := stretch(h.Sum(nil), len(salt))
	// 21: the rounds
	a = spin(h, a, p, s, rounds)
	return encode64(a, order)
}

// spin hashes a sum with the key's and the salt's bytes again and again, which is what makes guessing dear.
func spin(h hash.Hash, sum, key, salt []byte, rounds int) []byte {
	for i := range rounds {
		h.Reset()
		if i&1 == 1 {
			h.Write(key)
		} else {
			h.Write(sum)
		}
		if i%3 != 0 {
			h.Write(salt)
		}
		if i%7 != 0 {
			h.Write(key)
		}
		if i&1 == 1 {
			h.Write(sum)
		} else {
			h.Write(key)
		}
		sum = h.Sum(sum[:0])
	}
	return sum
}

// stretch repeats sum to n bytes.
func stretch(sum []byte, n int) []byte {
	out := make([]byte, 0, n+len(sum))
	for len(out) < n {
		out = append(out, sum...)
	}
	return out[:n]
}

// md5Crypt is the scheme $1$, Poul-Henning Kamp's for FreeBSD 2.
func md5Crypt(key, salt []byte) string {
	h := md5.New()
	h.Write(key)
	h.Write(salt)
	h.Write(key)
	b := h.Sum(nil)
	h.Reset()
	h.Write(key)
	h.Write([]byte("$1$"))
	h.Write(salt)
	for n := len(key); n > 0; n -= 16 {
		h.Write(b[:min(n, 16)])
	}
	for n := len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write([]byte{0})
		} else {
			h.Write(key[:1])
		}
	}
	a := h.Sum(nil)
	a = spin(h, a, key, salt, 1000)
	return encode64(a, md5Order[:])
}

// The order in which the bytes of a sum are written, three at a time.
var (
	md5Order    = [...]byte{0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11}
	sha256Order = [...]byte{
		0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19, 29, 31, 30,
	}
	sha512Order = [...]byte{
		0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30, 51, 31, 52,
		10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19, 62, 20, 41, 63,
	}
)

// encode64 writes groups of three bytes as four characters, lowest bits first.
func encode64(sum, order []byte) string {
	const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out []byte
	for i := 0; i < len(order); i += 3 {
		group := order[i:min(i+3, len(order))]
		v := 0
		for _, at := range group {
			v = v<<8 | int(sum[at])
		}
		for range len(group) + 1 {
			out = append(out, digits[v&63])
			v >>= 6
		}
	}
	return string(out)
}
