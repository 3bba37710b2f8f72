package handover

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
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
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
)

// keyLog gathers the traffic secrets that clients know, as SSLKEYLOGFILE has them, and what is computed of them.
type keyLog struct {
	mu      sync.Mutex
	secrets [][]byte
	keys    [][]byte          // keys and nonces of records
	masters map[string][]byte // of TLS 1.2, by the client's random
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
		if words[0] != "CLIENT_RANDOM" {
			return len(line), k.expand13(secret)
		}
		if k.masters == nil {
			k.masters = map[string][]byte{}
		}
		k.masters[words[1]] = secret
	}
	return len(line), nil
}

// expand13 computes what a traffic secret of TLS 1.3 becomes, for whichever suite (RFC 8446 section 7.3).
func (k *keyLog) expand13(secret []byte) error {
	h, sizes := sha256.New, []int{16, 32}
	if len(secret) == sha512.Size384 {
		h, sizes = sha512.New384, []int{32}
	}
	for _, n := range sizes {
		key, err := hkdf.Expand(h, secret, "\x00"+string(rune(n))+"\x09tls13 key\x00", n)
		if err != nil {
			return err
		}
		k.keys = append(k.keys, key)
	}
	iv, err := hkdf.Expand(h, secret, "\x00\x0c\x08tls13 iv\x00", 12)
	k.keys = append(k.keys, iv)
	return err
}

// expand12 computes the keys of a connection of TLS 1.2, which has a suite of AES-GCM, of both randoms (RFC 5246 section 6.3).
func (k *keyLog) expand12(suite uint16, client, server []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, n := sha256.New, 16
	if suite == tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 || suite == tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 {
		h, n = sha512.New384, 32
	}
	prf := hmac.New(h, k.masters[hex.EncodeToString(client)])
	sum := func(parts ...[]byte) []byte {
		prf.Reset()
		for _, p := range parts {
			prf.Write(p)
		}
		return prf.Sum(nil)
	}
	seed := slices.Concat([]byte("key expansion"), server, client)
	var block []byte
	for a := sum(seed); len(block) < 2*n; a = sum(a) {
		block = append(block, sum(a, seed)...)
	}
	k.keys = append(k.keys, block[:n], block[n:2*n])
}

// all is every secret and every key.
func (k *keyLog) all() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Concat(k.secrets, k.keys)
}

// hellos is a connection that keeps the beginning of both directions: the hellos have the randoms.
type hellos struct {
	net.Conn
	sent, got []byte
}

func (h *hellos) Write(b []byte) (int, error) {
	h.sent = append(h.sent, b[:min(len(b), max(0, 64-len(h.sent)))]...)
	return h.Conn.Write(b)
}

func (h *hellos) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.got = append(h.got, b[:min(n, max(0, 64-len(h.got)))]...)
	return n, err
}

// random is that of a hello at the beginning of a connection: after the heads of the record and of the message, and the version.
func random(b []byte) []byte { return b[5+4+2:][:32] }

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

// search counts the secrets in what walk gives its function, by their form.
func search(t *testing.T, secrets [][]byte, walk func(f func(part []byte)) error) map[string]int {
	t.Helper()
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
	err := walk(func(part []byte) {
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

// found counts the secrets in a process's memory, by their form.
func found(t *testing.T, pid int, secrets [][]byte) map[string]int {
	t.Helper()
	return search(t, secrets, func(f func([]byte)) error { return memory(pid, f) })
}

// patient has a request whose body does not come stay for as long as a search through memory may take on a busy machine.
var patient = []string{"timeout client 60s", "timeout client 30m", "timeout server 60s", "timeout server 30m"}

// TestSecretsStayWithTheConnection: of connections over TLS that have moved on, the worker that they passed through clears the traffic secrets
// from its memory, and no encoder keeps them; the master never had one.
func TestSecretsStayWithTheConnection(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "reading another process's memory takes root")
	}
	s := start(t, patient...)
	kept, log := s.keepLogged(20, tls.VersionTLS12, tls.VersionTLS13)
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
		left = found(t, second, log.all())
		return len(left) == 0
	})
	for _, pid := range []int{second, s.worker()} { // what a dump may hold is in no mapping of theirs
		if filter, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", pid)); err != nil || strings.Trim(string(filter), "0\n") != "" {
			t.Errorf("a dump of worker %d would have what filter %q says, %v", pid, filter, err)
		}
	}
	if n := found(t, s.lb.PID, log.all()); len(n) > 0 {
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
	kept, log := s.keepLogged(4, tls.VersionTLS13)
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
	cmd.Process.Signal(unix.SIGTERM)
	<-stopped
	where := sockets(t, trace, log.all())
	if len(where) != 1 {
		t.Errorf("the secrets were written to %v, not to the one pair of the two workers", where)
	}
	for name := range where {
		if !unnamed.MatchString(name) {
			t.Errorf("the secrets were written to %s, no socket pair", name)
		}
	}
}

// TestCoreDuringMove: a core of either worker that is taken while connections over TLS move has none of their secrets and keys, whether root takes it
// with gcore(1) or the kernel should when a worker ends by a signal; nor has the master's.
func TestCoreDuringMove(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "taking a core of another process takes root")
	}
	if _, err := exec.LookPath("gcore"); err != nil {
		tape.Skipf(t, "%v", err)
	}
	s := start(t, patient...)
	kept, log := s.keepLogged(9, tls.VersionTLS12, tls.VersionTLS13)
	stays := kept[0]
	kept = kept[1:]
	fmt.Fprintf(stays.c, "POST /r/stay/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf") // it has the old worker stay, with keys in use
	s.until("the request to run", func() bool { return s.stat("be", "BACKEND", "scur") == 1 })
	if n := found(t, s.worker(), log.keys); n["raw"] == 0 {
		t.Errorf("the search finds no key in a worker that uses some: %v", n)
	}

	old := s.worker()
	for _, pid := range []int{s.lb.PID, old} {
		if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	reloaded := make(chan error, 1)
	go func() {
		_, err := s.lb.Reload(t.Context())
		reloaded <- err
	}()
	next := 0
	s.until("the next worker", func() bool { next = childBesides(t, s.lb.PID, old); return next > 0 })
	cores := takeCores(t, s.dir, "during", old, next)
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	cores = append(cores, takeCores(t, s.dir, "after", old, next, s.lb.PID)...)
	var errs errorsOf
	again(kept, 1, &errs)
	errs.report(t, "after the move")
	for _, path := range cores {
		n := search(t, log.all(), func(f func([]byte)) error {
			core, err := os.ReadFile(path)
			if len(core) == 0 && err == nil {
				err = fmt.Errorf("%s is empty", path)
			}
			f(core)
			return err
		})
		if len(n) > 0 {
			t.Errorf("%s has secrets: %v", filepath.Base(path), n)
		}
	}

	home, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", old))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(old, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	s.gone(old)
	if left, _ := filepath.Glob(filepath.Join(home, "core*")); len(left) > 0 {
		t.Errorf("the kernel has written %v", left)
	}
}

// childBesides is a process's child that is not the given one; 0 when there is none.
func childBesides(t *testing.T, parent, other int) int {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range threads {
		text, _ := os.ReadFile(name) // of a thread that has ended: nothing
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil && pid != other {
				return pid
			}
		}
	}
	return 0
}

// takeCores takes cores of processes, all at the same time, and returns the files.
func takeCores(t *testing.T, dir, when string, pids ...int) (paths []string) {
	t.Helper()
	var running []*exec.Cmd
	for _, pid := range pids {
		cmd := exec.Command("gcore", "-o", filepath.Join(dir, when), strconv.Itoa(pid))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%s.%d", when, pid)))
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd.Args, err)
		}
	}
	return paths
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

// keepLogged opens n kept connections over TLS, of the versions in turn, until the test's end. Each has had an answer, and the log knows its keys.
func (s *site) keepLogged(n int, versions ...uint16) (kept []*keeper, log *keyLog) {
	s.t.Helper()
	log = &keyLog{}
	for i := range n {
		k, err := keepTLS(s.https, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: log, MaxVersion: versions[i%len(versions)]})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { k.c.Close() })
		if err := k.get("/r/idle/1.0"); err != nil {
			s.t.Fatal(err)
		}
		kept = append(kept, k)
	}
	return kept, log
}

func keepTLS(addr string, cfg *tls.Config) (*keeper, error) {
	k, err := keep(addr)
	if err != nil {
		return nil, err
	}
	raw := &hellos{Conn: k.c}
	c := tls.Client(raw, cfg)
	k.c = c
	k.r.Reset(c)
	if err := c.Handshake(); err != nil {
		return k, err
	}
	if state := c.ConnectionState(); state.Version == tls.VersionTLS12 {
		if log, ok := cfg.KeyLogWriter.(*keyLog); ok {
			log.expand12(state.CipherSuite, random(raw.sent), random(raw.got))
		}
	}
	return k, nil
}
