package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// speaker is a client that a test talks through: crypto/tls or openssl.
type speaker struct {
	name string
	w    io.Writer
	r    *bufio.Reader
}

func (k *speaker) get(t *testing.T, path string) {
	t.Helper()
	fmt.Fprintf(k.w, "GET %s HTTP/1.1\r\nHost: lb.example\r\n\r\n", path)
	k.answer(t, path)
}

func (k *speaker) answer(t *testing.T, path string) {
	t.Helper()
	a, err := http.ReadResponse(k.r, nil)
	if err != nil {
		t.Fatalf("%s: %s: %v", k.name, path, err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 || string(body) != small(path) || a.Close {
		t.Fatalf("%s: %s: %d, %q, %v, closes: %v", k.name, path, a.StatusCode, body, err, a.Close)
	}
}

// goSpeaker is a client of crypto/tls.
func (s *stack) goSpeaker(t *testing.T, cfg *tls.Config) *speaker {
	t.Helper()
	cfg.RootCAs, cfg.ServerName = s.pool, "lb.example"
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", s.https, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return &speaker{fmt.Sprintf("Go, %s", tls.CipherSuiteName(c.ConnectionState().CipherSuite)), c, bufio.NewReader(c)}
}

// opensslSpeaker is openssl s_client.
func (s *stack) opensslSpeaker(t *testing.T, words ...string) *speaker {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-connect", s.https, "-servername", "lb.example", "-quiet", "-no_ign_eof"}, words...)...)
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &speaker{"openssl " + strings.Join(words, " "), w, bufio.NewReader(r)}
}

// TestTLSSurvivesReloads: connections over TLS stay through one reload after the other, with every version and suite that moves: idle ones, half a
// head, an upgraded one; whatever the client is. Each request has one line, and the workers before are gone.
func TestTLSSurvivesReloads(t *testing.T) {
	tape.Require(t, "openssl")
	s := start(t, options{log: true})
	only := func(suite uint16) *tls.Config {
		return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}
	}
	clients := []*speaker{
		s.opensslSpeaker(t, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), s.opensslSpeaker(t, "-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
		s.opensslSpeaker(t, "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"), s.opensslSpeaker(t, "-tls1_2"),
		s.goSpeaker(t, only(tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)), s.goSpeaker(t, only(tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)),
	}
	for range 40 {
		clients = append(clients, s.goSpeaker(t, &tls.Config{}))
	}
	half := s.goSpeaker(t, &tls.Config{})
	tunnel := s.goSpeaker(t, &tls.Config{})
	io.WriteString(tunnel.w, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if a, err := http.ReadResponse(tunnel.r, nil); err != nil || a.StatusCode != 101 {
		t.Fatalf("%+v %v", a, err)
	}
	const rounds = 4
	for round := range rounds {
		if round > 0 {
			if out, err := s.lb.Reload(t.Context()); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		for i, k := range clients {
			k.get(t, fmt.Sprintf("/r/moves%d/%d", i, round))
		}
		text := fmt.Sprintf("over the upgraded connection, round %d", round)
		io.WriteString(tunnel.w, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(tunnel.r, got); err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
		if round > 0 {
			io.WriteString(half.w, "st: a\r\n\r\n")
			half.answer(t, fmt.Sprintf("/r/half/%d", round-1))
		}
		fmt.Fprintf(half.w, "GET /r/half/%d HTTP/1.1\r\nHo", round)
	}
	wait.Until(t, "the old workers to leave", func() bool {
		_, old, err := s.lb.Workers()
		return err == nil && len(old) == 0
	})
	s.wantLines(t, "/r/moves", rounds*len(clients))
	s.wantLines(t, "/r/half", rounds-1)
}
