package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// site is the balancer, what stands behind it, and what it logs to.
type site struct {
	programs rig.Programs
	dir      string
	backends []*backend.Server
	log      *rig.Syslogd
	lb       *rig.LB
	pool     *x509.CertPool

	http, https, stats string // addresses
	logTarget          string
}

// openSite starts everything. The caller must call close exactly once, unless there is an error.
func openSite(ctx context.Context, programs rig.Programs) (_ *site, err error) {
	dir, err := os.MkdirTemp("", "lb-demo-")
	if err != nil {
		return nil, err
	}
	s := &site{programs: programs, dir: dir, lb: rig.LBIn(dir)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.pool, err = rig.WriteCertificate(s.cert(), "localhost", "127.0.0.1"); err != nil {
		return nil, err
	}
	for i := range 3 {
		b, err := backend.Start(fmt.Sprintf("web%d", i+1), "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s.backends = append(s.backends, b)
	}
	if s.log, err = rig.StartSyslogd(ctx, programs.Syslogd, dir, "127.0.0.1", "{size: 100MB, keep: 1000, compress: zstd}"); err != nil {
		return nil, err
	}
	if s.logTarget, err = s.log.Target(ctx); err != nil {
		return nil, err
	}
	ports, err := rig.FreePorts("127.0.0.1", 3)
	if err != nil {
		return nil, err
	}
	for i, addr := range []*string{&s.http, &s.https, &s.stats} {
		*addr = fmt.Sprintf("127.0.0.1:%d", ports[i])
	}
	return s, s.lb.Start(ctx, programs.LB, "-Ws", s.config())
}

func (s *site) cert() string { return filepath.Join(s.dir, "site.pem") }

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
    option redispatch
    retries 3
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend www
    bind %s
    bind %s ssl crt %s
    default_backend web

backend web
    balance roundrobin
    option httpchk GET /
`, s.logTarget, s.lb.Stats, s.http, s.https, s.cert())
	for i, server := range s.backends {
		fmt.Fprintf(&b, "    server web%d %s check inter 1s\n", i+1, server.Addr())
	}
	fmt.Fprintf(&b, `
listen stats
    bind %s
    stats enable
    stats uri /
`, s.stats)
	return b.String()
}

// close stops what was started, and removes its files.
func (s *site) close() error {
	var errs []error
	if s.lb.Process != nil {
		if err := s.lb.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop lb: %w", err))
		}
	}
	if s.log != nil {
		if err := s.log.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop syslogd: %w", err))
		}
	}
	for _, b := range s.backends {
		b.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *site) describe(w io.Writer) {
	fmt.Fprintf(w, "lb       http://%s and https://%s, in front of three backends\n", s.http, s.https)
	how := "udp://" + s.logTarget
	if s.logTarget == s.log.Unix {
		how = "unix://" + s.logTarget + " (the kernel grants UDP a receive buffer under 8 MiB here: see net.core.rmem_max)"
	}
	fmt.Fprintf(w, "syslogd  %s -> %s\n\n", how, s.log.Log)
}
