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
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
	// A connection moves a moment after the reload has said that it is done.
	var left map[string]int
	s.until("the worker that they passed through to have forgotten the secrets", func() bool {
		left = found(t, second, log.secrets)
		return len(left) == 0
	})
	for _, pid := range []int{second, s.worker()} { // what a dump may hold is in no mapping of theirs
		if filter, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", pid)); err != nil || strings.Trim(string(filter), "0\n") != "" {
			t.Errorf("a dump of worker %d would have what filter %q says, %v", pid, filter, err)
		}
	}
	if n := found(t, s.lb.PID, log.secrets); len(n) > 0 {
		t.Errorf("the master has secrets: %v", n)
	}
}

// unnamed is a unix socket of a pair, as strace has it.
var unnamed = regexp.MustCompile(`^UNIX[A-Z-]*:\[\d+->\d+\]$`)

// sockets are the unix sockets and files that a secret was written to, in a trace of strace -yy -xx.
func sockets(t *testing.T, trace string, secrets [][]byte) map[string]int {
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var wants []string
	for _, s := range secrets {
		for _, b := range forms(s) {
			wants = append(wants, "\\x"+strings.Join(pairs(hex.EncodeToString(b)), "\\x"))
		}
	}
	n := map[string]int{}
	for line := range strings.Lines(string(text)) {
		for _, w := range wants {
			if strings.Contains(line, w) {
				_, where, _ := strings.Cut(line, "<")
				where, _, _ = strings.Cut(where, ">,")
				n[where]++
			}
		}
	}
	return n
}

func pairs(s string) (list []string) {
	for ; len(s) >= 2; s = s[2:] {
		list = append(list, s[:2])
	}
	return list
}

// TestSecretsCrossThePairOnly: while connections over TLS move, their secrets are written to the socket pair of the two workers and nowhere else: to
// no other socket, no pipe and no file.
func TestSecretsCrossThePairOnly(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "tracing another process takes root")
	}
	s := start(t)
	log := &keyLog{}
	var kept []*keeper
	for range 4 {
		k, err := keepTLS(s.https, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: log})
		if err != nil {
			t.Fatal(err)
		}
		defer k.c.Close()
		if err := k.get("/r/idle/1.0"); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, k)
	}
	old, trace := s.worker(), filepath.Join(s.dir, "trace")
	cmd := exec.Command("strace", "-f", "-yy", "-xx", "-s", "262144", "-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg", "-e", "signal=none",
		"-o", trace, "-p", strconv.Itoa(s.lb.PID), "-p", strconv.Itoa(old))
	if err := cmd.Start(); err != nil {
		tape.Skipf(t, "strace: %v", err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- cmd.Wait() }()
	for _, pid := range []int{s.lb.PID, old} {
		s.until("strace to trace all threads", func() bool { return traced(pid) })
	}
	s.reload()
	s.gone(old)
	var errs errorsOf
	again(kept, 1, &errs)
	errs.report(t, "after the move")
	cmd.Process.Signal(os.Interrupt)
	<-stopped
	where := sockets(t, trace, log.secrets)
	if len(where) != 1 {
		t.Errorf("the secrets were written to %v, not to the one pair of the two workers", where)
	}
	for name := range where {
		if !unnamed.MatchString(name) {
			t.Errorf("the secrets were written to %s, no socket pair", name)
		}
	}
}

// traced reports whether each thread of a process has a tracer.
func traced(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
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
