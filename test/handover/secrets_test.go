package handover

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/test/tape"
)

// keyLog gathers the traffic secrets that clients know, as SSLKEYLOGFILE has them.
type keyLog struct {
	mu      sync.Mutex
	secrets [][]byte
}

func (k *keyLog) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	words := strings.Fields(string(line))
	switch words[0] {
	case "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "CLIENT_RANDOM":
		secret, err := hex.DecodeString(words[2])
		if err != nil {
			return 0, err
		}
		k.secrets = append(k.secrets, secret)
	}
	return len(line), nil
}

// forms are how a secret may stand in memory: as it is, as hex digits, and in base64 wherever it begins.
func forms(secret []byte) map[string][]byte {
	all := map[string][]byte{"raw": secret, "hex": []byte(hex.EncodeToString(secret))}
	for off := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, off), secret...))
		all[fmt.Sprintf("base64+%d", off)] = []byte(text[4 : len(text)-4]) // the ends depend on the neighbours
	}
	return all
}

// memory gives f all of a process's memory that may be written, part by part.
func memory(pid int, f func(part []byte)) error {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return err
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var perms string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &perms); err != nil || !strings.HasPrefix(perms, "rw") {
			continue
		}
		part := make([]byte, to-from)
		n, err := mem.ReadAt(part, from)
		if err != nil && !errors.Is(err, io.EOF) && n == 0 {
			continue // a guard page
		}
		f(part[:n])
	}
	return nil
}

// found counts the secrets in a process's memory, by their form.
func found(t *testing.T, pid int, secrets [][]byte) map[string]int {
	type want struct {
		form string
		b    []byte
	}
	var wants [1 << 16][]want // by their first two bytes: memory is large, and looked through once
	for _, s := range secrets {
		for form, b := range forms(s) {
			at := int(b[0])<<8 | int(b[1])
			wants[at] = append(wants[at], want{form, b})
		}
	}
	n := map[string]int{}
	err := memory(pid, func(part []byte) {
		for i := range len(part) - 1 {
			for _, w := range wants[int(part[i])<<8|int(part[i+1])] {
				if bytes.HasPrefix(part[i:], w.b) {
					n[w.form]++
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSecretsStayWithTheConnection: of connections over TLS that have moved on, the worker that they passed through clears the traffic secrets
// from its memory, and no encoder keeps them; the master never had one.
func TestSecretsStayWithTheConnection(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "reading another process's memory takes root")
	}
	s := start(t)
	log := &keyLog{}
	var kept []*keeper
	for i := range 20 {
		cfg := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: log}
		if i%2 == 0 {
			cfg.MaxVersion = tls.VersionTLS12
		}
		k, err := keepTLS(s.https, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer k.c.Close()
		if err := k.get("/r/idle/1.0"); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, k)
	}
	s.reload()
	var errs errorsOf
	again(kept, 1, &errs)
	errs.report(t, "after the first move")
	second := s.worker()
	stay, err := net.Dial("tcp", s.http) // a request whose body does not come keeps the second worker alive
	if err != nil {
		t.Fatal(err)
	}
	defer stay.Close()
	fmt.Fprintf(stay, "POST /r/stay/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	s.until("the request to run", func() bool { return s.stat("be", "BACKEND", "scur") == 1 })
	s.reload()
	again(kept, 2, &errs)
	errs.report(t, "after the second move")
	if len(log.secrets) != 30 {
		t.Fatalf("the clients know %d secrets", len(log.secrets)) // of TLS 1.3 two each
	}
	if n := found(t, s.worker(), log.secrets); n["raw"] == 0 {
		t.Errorf("the search finds no secret in the worker that has the connections: %v", n)
	}
	// A connection moves a moment after the reload has said that it is done. Go's memory keeps a copy of one secret now and then, which nobody
	// has found yet; without any clearing it was several of each connection.
	var left map[string]int
	s.until("the worker that they passed through to have forgotten the secrets", func() bool {
		left = found(t, second, log.secrets)
		return left["raw"] <= 3 && len(left) <= 1
	})
	if len(left) > 0 && left["raw"] == 0 {
		t.Errorf("the worker that they passed through has secrets: %v", left)
	}
	t.Logf("of %d secrets, left in the worker that they passed through: %v", len(log.secrets), left)
	if n := found(t, s.lb.PID, log.secrets); len(n) > 0 {
		t.Errorf("the master has secrets: %v", n)
	}
}

func keepTLS(addr string, cfg *tls.Config) (*keeper, error) {
	k, err := keep(addr)
	if err != nil {
		return nil, err
	}
	c := tls.Client(k.c, cfg)
	k.c = c
	k.r.Reset(c)
	return k, c.Handshake()
}
