package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"reflect"
	"testing"
	"unsafe"

	"golang.org/x/crypto/chacha20poly1305"
)

// content is the memory that a pointer in an interface points to.
func content(v reflect.Value) []byte {
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size())
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func TestCipher(t *testing.T) {
	key := bytes.Repeat([]byte{0xa5}, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	chacha, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []any{block, gcm, chacha} {
		b := content(reflect.ValueOf(c))
		if !bytes.Contains(b, key[:16]) {
			t.Fatalf("%T has no key", c)
		}
		Cipher(c)
		if !isZero(b) {
			t.Errorf("%T has a key still", c)
		}
	}
	Cipher(nil)
	Cipher((*int)(nil))
}

// certificate makes one that nobody trusts.
func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestConn: crypto/tls keeps its keys where Conn looks for them, in this version of Go.
func TestConn(t *testing.T) {
	cert := certificate(t)
	for _, c := range []struct{ version, suite uint16 }{
		{tls.VersionTLS13, 0},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	} {
		a, b := net.Pipe()
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, MinVersion: c.version, MaxVersion: c.version}
		if c.suite != 0 {
			cfg.CipherSuites = []uint16{c.suite}
		}
		server, client := tls.Server(a, cfg), tls.Client(b, cfg)
		done := make(chan error, 1)
		go func() {
			_, err := client.Write([]byte("x"))
			done <- err
			_, _ = io.Copy(io.Discard, b) // tickets
		}()
		var one [1]byte
		if _, err := server.Read(one[:]); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var parts [][]byte
		for _, name := range [...]string{"in", "out"} {
			half := reflect.ValueOf(server).Elem().FieldByName(name)
			if c.version == tls.VersionTLS13 {
				parts = append(parts, half.FieldByName("trafficSecret").Bytes())
			}
			parts = append(parts, content(half.FieldByName("cipher").Elem().Elem().FieldByName("aead").Elem()))
		}
		for _, p := range parts {
			if isZero(p) {
				t.Fatalf("version %x: %d bytes hold no key", c.version, len(p))
			}
		}
		Conn(server)
		for _, p := range parts {
			if !isZero(p) {
				t.Errorf("version %x, suite %x: %d bytes hold a key still", c.version, c.suite, len(p))
			}
		}
		a.Close()
		b.Close()
	}
}

// TestRegisters: it costs no memory, and neither does SignalStacks disturb whoever runs.
func TestRegisters(t *testing.T) {
	if n := testing.AllocsPerRun(100, Registers); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for range 10 {
		SignalStacks()
	}
}
