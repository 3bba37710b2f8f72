package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// host is the loopback address of the soak: not 127.0.0.1, so that nothing else on the machine is in its way.
const host = "127.83.61.7"

// site is the balancer, what stands behind it, and what it logs to. It lives through many rounds.
type site struct {
	programs rig.Programs
	other    string // another build of lb
	program  string // the path that lb runs from, where builds take turns
	turn     int    // of builds
	dir      string
	epoch    time.Time // what all times of the books are counted from
	books    books
	servers  []*server
	routes   []*route // by a map, by a list
	echo     *backend.Echo
	sink     *sink
	names    *names
	log      *rig.Syslogd
	disk     *disk // a small one, for an output of syslogd; nil where there is none to be had
	noDisk   error // why
	audit    audit
	lb       *rig.LB
	said     *os.File // what lb prints
	cert     string
	more     int // other certificates
	signer   *rig.Authority

	http, https, tcp string // the balancer's addresses

	master  sync.Mutex   // held while the master is replaced or killed
	logs    sync.Mutex   // held while syslogd is restarted or signalled
	starved atomic.Int64 // workers that died for want of memory
	forgot  atomic.Int64 // the last moment, since epoch, in which a worker may have taken along what was changed at run time
	past    []window     // of earlier rounds, that did
	moved   int          // files that logrotate has moved away; owned by the archive's hand
}

// open starts everything. The caller must call close exactly once, also after an error.
func (s *site) open(ctx context.Context) (err error) {
	s.epoch = time.Now()
	if s.dir, err = os.MkdirTemp("", "soak-"); err != nil {
		return err
	}
	s.lb = rig.LBIn(s.dir)
	s.cert = filepath.Join(s.dir, "site.pem")
	if s.said, err = os.OpenFile(filepath.Join(s.dir, "lb.said"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	s.lb.Said = s.said
	if s.signer, err = rig.NewAuthority(); err != nil {
		return err
	}
	if err := s.signer.Write(s.cert, "localhost", host); err != nil {
		return err
	}
	if err := s.writeMore(); err != nil {
		return err
	}
	if s.servers, err = startServers(&s.books, s.signer, s.dir); err != nil {
		return err
	}
	for _, name := range []string{mapped, listed} {
		r, err := newRoute(s.dir, name)
		if err != nil {
			return err
		}
		s.routes = append(s.routes, r)
	}
	if s.echo, err = backend.StartEcho(net.JoinHostPort(host, "0")); err != nil {
		return err
	}
	if s.sink, err = openSink(&s.books); err != nil {
		return err
	}
	if err := s.openLog(ctx); err != nil {
		return err
	}
	ports, err := rig.FreePorts(host, 5)
	if err != nil {
		return err
	}
	for i, addr := range []*string{&s.http, &s.https, &s.tcp} {
		*addr = fmt.Sprintf("%s:%d", host, ports[i])
	}
	if s.names, err = openNames(&s.books, ports[3:]); err != nil {
		return err
	}
	s.routes = append(s.routes, s.names.route)
	// lb tells syslogd how many lines it has sent: where it listens is in this file, next to its control socket.
	if err := os.Setenv("LB_LEDGER", filepath.Join(s.dir, "inputs")); err != nil {
		return err
	}
	s.program = filepath.Join(s.dir, "lb")
	if err := install(s.programs.LB, s.program); err != nil {
		return err
	}
	if err := s.lb.Start(ctx, s.program, "-W", s.config()); err != nil {
		return err
	}
	known, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return rig.Until(known, "lb to know the name's address", func() bool { return s.follows("a") })
}

// openLog starts syslogd. Its UDP socket is held over its deaths, as systemd holds it.
func (s *site) openLog(ctx context.Context) (err error) {
	if s.log, err = rig.SyslogdIn(s.dir, host); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.log.Log), 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf(`listen: ["udp://%s", "unix://%s"]
control: %s
outputs:
- match: "*.*;local1.none"
  file: %s
  rotate: {size: 20MB, keep: 1000, compress: zstd}
- match: "local0.*"
  file: %s
  format: rfc5424
  rotate: {size: 20MB, keep: 3, compress: zstd}
  forward: {to: "http://%s/in", encoding: ndjson, fields: message, backoff: 1s}
`, s.log.UDP, s.log.Unix, s.log.Control, s.log.Log, filepath.Join(s.dir, "sunk", "lb.log"), s.sink.addr)
	if err := os.Mkdir(filepath.Join(s.dir, "sunk"), 0o755); err != nil {
		return err
	}
	if s.disk, s.noDisk = openDisk(s.dir); s.noDisk != nil {
		s.disk = nil
	} else {
		text += fmt.Sprintf("- match: \"local1.*\"\n  file: %s\n  rotate: {size: 1MB, keep: 1000, compress: none}\n", auditLog(s.disk.dir))
	}
	if err := os.WriteFile(s.log.Config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := s.log.Hold(); err != nil {
		return err
	}
	return s.log.Start(ctx, s.programs.Syslogd)
}

// certificates is the words of the HTTPS address's certificates.
func (s *site) certificates() string {
	if s.more == 0 {
		return "crt " + s.cert
	}
	return "crt " + s.cert + " crt " + filepath.Join(s.dir, "certificates")
}

// writeMore writes the certificates that nobody asks for.
func (s *site) writeMore() error {
	if s.more == 0 {
		return nil
	}
	dir := filepath.Join(s.dir, "certificates")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for i := range s.more {
		name := fmt.Sprintf("site%d.example", i)
		if err := s.signer.Write(filepath.Join(dir, name+".pem"), name, "www."+name); err != nil {
			return err
		}
	}
	return nil
}

// config is what the balancer runs with.
func (s *site) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    log %s local0
    stats socket %s mode 600 level admin
    maxconn 4000

defaults
    mode http
    log global
    option httplog
    option redispatch 1
    retries 3
    timeout connect 20s
    timeout client 3m
    timeout server 3m
    timeout check 30s

frontend www
    bind %s
    bind %s ssl %s alpn h2,http/1.1
    http-request add-header X-Soak-Once 1
    use_backend tunnels if { path_beg /upgrade }
    use_backend named if { path_beg /r/named- }
    use_backend streams if { path_beg /grpc/ }
    use_backend %%[path,field(3,/),field(1,-),map(%s)] if { path_beg /r/mapped- }
    use_backend blue if { path_beg /r/listed- } { path,field(3,/),field(1,-) -m str -f %s }
    use_backend red if { path_beg /r/listed- }
    default_backend be

backend be
    balance roundrobin
    option httpchk GET /
`, s.log.UDP, s.lb.Stats, s.http, s.https, s.certificates(), s.routes[0].path, s.routes[1].path)
	const check = "check inter 3s fastinter 1s downinter 500ms fall 3 rise 1" // a check has as long as inter to connect
	for _, w := range s.servers {
		fmt.Fprintf(&b, "    server %s %s %s %s\n", w.name, w.addr, check, w.line)
	}
	for _, name := range []string{red, blue} {
		fmt.Fprintf(&b, "\nbackend %s\n    balance roundrobin\n    option httpchk GET /\n", name)
		for _, w := range s.servers {
			fmt.Fprintf(&b, "    server %s %s %s %s\n", w.name, w.addr, check, w.line)
		}
	}
	fmt.Fprint(&b, "\nbackend streams\n    balance roundrobin\n    option httpchk GET /\n")
	for _, w := range s.servers {
		if w.http2 {
			fmt.Fprintf(&b, "    server %s %s %s %s\n", w.name, w.addr, check, w.line)
		}
	}
	fmt.Fprint(&b, "\nbackend tunnels\n    balance roundrobin\n    option httpchk GET /\n")
	for _, w := range s.servers {
		if !w.http2 {
			fmt.Fprintf(&b, "    server %s %s %s %s\n", w.name, w.addr, check, w.line)
		}
	}
	fmt.Fprintf(&b, `
listen echo
    mode tcp
    option tcplog
    bind %s
    server echo %s
`, s.tcp, s.echo.Addr())
	b.WriteString(s.names.config())
	return b.String()
}

// trust is whose certificates clients believe.
func (s *site) trust() *x509.CertPool { return s.signer.Pool }

// close stops what was started, and removes its files.
func (s *site) close() error {
	var errs []error
	if s.lb != nil && s.lb.Process != nil {
		if err := s.lb.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop lb: %w", err))
		}
	}
	s.killRest()
	if s.log != nil && s.log.Process != nil {
		if err := s.log.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop syslogd: %w", err))
		}
	}
	if s.disk != nil {
		errs = append(errs, s.disk.close())
	}
	for _, w := range s.servers {
		w.close()
	}
	if s.echo != nil {
		s.echo.Close()
	}
	if s.names != nil {
		errs = append(errs, s.names.close())
	}
	if s.sink != nil {
		errs = append(errs, s.sink.http.Close())
	}
	if s.said != nil {
		errs = append(errs, s.said.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// killRest kills the workers that a master has left, which serve on for the next one.
func (s *site) killRest() {
	list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range list {
		text, err := os.ReadFile(name)
		pid, numeric := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && numeric == nil && s.dir != "" && strings.HasPrefix(string(text), s.program+"\x00@worker\x00") {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
