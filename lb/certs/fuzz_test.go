package certs

import (
	"bytes"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// No file makes parsing fail otherwise than by an error, and what is accepted
// has a key that belongs to its first certificate.
func FuzzParse(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"))
	good, err := exec.Command(tape.Require(f, "openssl"), "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
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

// What is read of a crt-list is what is read of it written anew.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		"", "# comment\n\na.pem\n", "cert1.pem !*\ncert2.pem [alpn h2,http/1.1]\r\n", "certW.pem   *.domain.tld !secure.domain.tld\n",
		"certS.pem [curves X25519:P-256 ciphers ECDHE-ECDSA-AES256-GCM-SHA384] secure.domain.tld", "a [", "a [x]y", "[x]", "a] b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := ParseList(data)
		if err != nil {
			return
		}
		for _, l := range lines {
			again, err := ParseListLine(l.File + l.tail())
			again.Number = l.Number
			if err != nil || !reflect.DeepEqual(l, again) {
				t.Fatalf("%+v became %+v, %v", l, again, err)
			}
		}
	})
}

// A file of ticket keys gives as many keys as are needed, or an error.
func FuzzTicketKeys(f *testing.F) {
	key := strings.Repeat("AAAA", 16) + "\n"
	f.Add([]byte(key + key + key))
	f.Add([]byte(key + "\n\n" + key + strings.Repeat("AAAA", 26) + "AAA=\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseTicketKeys(data)
		if err != nil {
			return
		}
		if len(keys) != TicketKeysNeeded || len(sessionKeys(keys)) != TicketKeysNeeded {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if len(k) != len(keys[0]) || len(k) != 48 && len(k) != 80 {
				t.Fatalf("a key of %d bytes", len(k))
			}
		}
	})
}
