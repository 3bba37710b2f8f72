package certs

import (
	"bytes"
	"os/exec"
	"testing"
)

// No file makes parsing fail otherwise than by an error, and what is accepted
// has a key that belongs to its first certificate.
func FuzzParse(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"))
	good, err := exec.Command("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-subj", "/CN=x", "-keyout", "-", "-out", "-").Output()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		c, err := m.pair()
		if err != nil {
			return
		}
		if !bytes.Equal(c.Certificate[0], c.Leaf.Raw) {
			t.Fatal("the leaf does not come first")
		}
	})
}
