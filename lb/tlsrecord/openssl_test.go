package tlsrecord

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// opensslNames are OpenSSL's names of the suites that it offers by default.
var opensslNames = map[uint16]string{
	tls.TLS_AES_128_GCM_SHA256: "TLS_AES_128_GCM_SHA256", tls.TLS_AES_256_GCM_SHA384: "TLS_AES_256_GCM_SHA384",
	tls.TLS_CHACHA20_POLY1305_SHA256:                  "TLS_CHACHA20_POLY1305_SHA256",
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256:               "AES128-GCM-SHA256",
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384:               "AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
}

// suiteWords are openssl's words that leave one suite only.
func suiteWords(s *suite) []string {
	if s.version == tls.VersionTLS13 {
		return []string{"-tls1_3", "-ciphersuites", opensslNames[s.id]}
	}
	return []string{"-tls1_2", "-cipher", opensslNames[s.id]}
}

func openssl(t *testing.T) string {
	t.Helper()
	return tape.Require(t, "openssl")
}

// TestOpenSSLClient: s_client with every suite sends lines and key updates of
// either kind, and gets each line back; the record layer moves with each record.
func TestOpenSSLClient(t *testing.T) {
	path := openssl(t)
	for _, s := range suites {
		t.Run(name(s.version, s.id), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			server, _ := configs(s.version, s.id)
			got := make(chan error, 1)
			go func() {
				got <- func() error {
					c, err := ln.Accept()
					if err != nil {
						return err
					}
					defer c.Close()
					c.SetDeadline(time.Now().Add(20 * time.Second))
					ours, err := shake(c, server, false)
					if err != nil {
						return err
					}
					if ours.Suite() != s.id {
						return fmt.Errorf("the suite is %x", ours.Suite())
					}
					ours.moves = 1
					if _, err = io.Copy(ours, ours); err == nil {
						err = ours.CloseWrite()
					}
					return err
				}()
			}()
			cmd := exec.Command(path, append([]string{"s_client", "-connect", ln.Addr().String()}, suiteWords(&s)...)...)
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			cmd.Stderr = cmd.Stdout
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			lines := bufio.NewReader(out)
			updates := []string{"", "K\n", "k\n", "K\n", "k\n"}
			if s.version == tls.VersionTLS12 {
				updates = []string{"", "", ""}
			}
			for i, update := range updates {
				line := fmt.Sprintf("line %d of this test\n", i)
				io.WriteString(in, update) // by itself: a command is what a read of the terminal begins with
				if update != "" {
					if _, err := find(lines, "KEYUPDATE"); err != nil {
						t.Fatal(err)
					}
				}
				io.WriteString(in, line)
				if _, err := find(lines, line); err != nil {
					t.Fatalf("%q did not come back: %v", line, err)
				}
			}
			io.WriteString(in, "Q\n")
			if err := <-got; err != nil {
				t.Error(err)
			}
			cmd.Wait()
		})
	}
}

// find reads until a line has text.
func find(r *bufio.Reader, text string) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if strings.Contains(line, strings.TrimSuffix(text, "\n")) {
			return line, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// TestOpenSSLServer: s_server with every suite reverses lines; its tickets come
// before the first of them.
func TestOpenSSLServer(t *testing.T) {
	path := openssl(t)
	dir := t.TempDir()
	rsaCert, ecdsaCert := certificates()
	files := []string{}
	for i, c := range []tls.Certificate{rsaCert, ecdsaCert} {
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for _, s := range suites {
		t.Run(name(s.version, s.id), func(t *testing.T) {
			words := append([]string{"s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev",
				"-cert", files[0], "-key", files[0], "-dcert", files[1], "-dkey", files[1]}, suiteWords(&s)...)
			cmd := exec.Command(path, words...)
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
			line, err := find(bufio.NewReader(out), "ACCEPT ")
			if err != nil {
				t.Fatal(err)
			}
			c, err := net.Dial("tcp", strings.TrimSpace(strings.TrimPrefix(line, "ACCEPT ")))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			_, client := configs(s.version, s.id)
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			ours, err := shake(c, client, true)
			if err != nil {
				t.Fatal(err)
			}
			if ours.Suite() != s.id {
				t.Fatalf("the suite is %x", ours.Suite())
			}
			ours.moves = 1
			back := bufio.NewReader(ours)
			for i := range 3 {
				fmt.Fprintf(ours, "line %d\n", i)
				if got, err := back.ReadString('\n'); err != nil || got != fmt.Sprintf("%d enil\n", i) {
					t.Fatalf("%q, %v", got, err)
				}
			}
		})
	}
}
