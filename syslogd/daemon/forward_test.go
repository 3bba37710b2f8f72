package daemon

import (
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"testing"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/test/accept"
)

// TestForwardingAuthoritiesAreReadAgain has the peer's certificate and the authority renewed while the output stays.
func TestForwardingAuthoritiesAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeCert(t, file, 1)
	old, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]*tls.Config)
	for _, name := range []string{"server", "another", "192.0.2.1"} {
		f, err := new(Daemon).newSender(&config.Forward{Scheme: "tls", Address: "192.0.2.1:6514", CA: file, Name: name}, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		settings[name] = f.(server).TLS("192.0.2.1")
	}
	believes := func(cert tls.Certificate, name string) error {
		t.Helper()
		client, server := accept.Pair(t)
		defer client.Close()
		go func() {
			defer server.Close()
			tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
		}()
		return tls.Client(client, settings[name]).Handshake()
	}
	if err := believes(old, "server"); err != nil {
		t.Errorf("the first certificate: %v", err)
	}
	for _, name := range []string{"another", "192.0.2.1"} {
		if err := believes(old, name); err == nil {
			t.Errorf("a certificate that is not for %s is believed", name)
		}
	}
	writeCert(t, file, 2)
	renewed, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := believes(renewed, "server"); err != nil {
		t.Errorf("a renewed authority with the same time: %v", err)
	}
	if err := believes(old, "server"); err == nil {
		t.Error("the authority that was replaced is still believed")
	}
}
