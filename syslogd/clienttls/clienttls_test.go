package clienttls

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
	"lbsyslogd/test/rig"
)

// writeCert writes a certificate that signs itself, with its key, and loads it.
func writeCert(t *testing.T, file, name string, serial int64) tls.Certificate {
	t.Helper()
	if err := rig.WriteNumberedCertificate(file, serial, name); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestOurCertificate is shown to a server that asks for one, and read again for each connection.
func TestOurCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, mine := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "me.pem")
	server := writeCert(t, ca, "server", 1)
	writeCert(t, mine, "me", 2)
	settings, err := Files{CA: ca, Cert: mine, Key: mine}.Config("server")
	if err != nil {
		t.Fatal(err)
	}
	shown := func() int64 {
		t.Helper()
		client, peer := accept.Pair(t)
		defer client.Close()
		seen := make(chan int64, 1)
		go func() {
			defer peer.Close()
			c := tls.Server(peer, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAnyClientCert})
			if err := c.Handshake(); err != nil {
				seen <- 0
				return
			}
			seen <- c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
		}()
		if err := tls.Client(client, settings).Handshake(); err != nil {
			t.Error(err)
		}
		return <-seen
	}
	if n := shown(); n != 2 {
		t.Errorf("the certificate %d was shown", n)
	}
	writeCert(t, mine, "me", 3)
	if n := shown(); n != 3 {
		t.Errorf("the certificate %d was shown after a renewal", n)
	}
}

// TestFilesThatAreWrong are named, and the settings can be used once they are right.
func TestFilesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	ca, mine := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "me.pem")
	if err := os.WriteFile(ca, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := Files{CA: ca, Cert: mine, Key: mine}.Config("server")
	if settings == nil || err == nil || !strings.Contains(err.Error(), "ca.pem has no certificate in it") || !strings.Contains(err.Error(), "me.pem") {
		t.Fatalf("%v", err)
	}
	server := writeCert(t, ca, "server", 1)
	writeCert(t, mine, "me", 2)
	client, peer := accept.Pair(t)
	defer client.Close()
	go func() {
		defer peer.Close()
		tls.Server(peer, &tls.Config{Certificates: []tls.Certificate{server}}).Handshake()
	}()
	if err := tls.Client(client, settings).Handshake(); err != nil {
		t.Error(err)
	}
}
