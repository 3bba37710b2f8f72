package config

import (
	"strings"
	"testing"
)

// TestCurves: names that OpenSSL 3.0 does not take, and curves that stand twice, are refused as by HAProxy; of those that it takes, the ones that crypto/tls has are
// used.
func TestCurves(t *testing.T) {
	for list, want := range map[string]string{
		"X25519:P-256": "", "x25519:secp521r1:X448": "X448", "prime256v1": "", "ffdhe2048:brainpoolP256r1:P-384": "ffdhe2048 brainpoolP256r1", "X25519MLKEM768:X25519": "",
	} {
		ids, unknown, err := parseCurves("curves", list)
		if err != nil || strings.Join(unknown, " ") != want || len(ids)+len(unknown) != strings.Count(list, ":")+1 {
			t.Errorf("%s: %v, not available %q, %v", list, ids, unknown, err)
		}
	}
	for list, part := range map[string]string{
		"nothing": "no curve that OpenSSL knows", "X25519:nothing": "no curve that OpenSSL knows", "p-256": "no curve that OpenSSL knows", "P-256:": "no curve that OpenSSL knows", "P-256, X25519": "no curve",
		"X448:X25519:X448": "stands there twice", "prime256v1:P-256": "a curve twice", "X448": "none of 'X448' is available",
	} {
		if _, _, err := parseCurves("curves", list); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %s", list, err, part)
		}
	}
}
