package served

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/rig"
)

// room makes a place where the file's paths are its own.
func (c *child) room() error {
	texts := map[string]string{}
	for path, text := range map[string]string{"/etc/resolv.conf": "nameserver 127.0.0.1\n", "/etc/hosts": "127.0.0.1 localhost\n"} {
		texts[linked(path)] = text // as long as /run is the machine's own
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, dir := range []string{"/run/lb", "/run/etc/certs", "/run/lib", "/run/haproxy"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for path, text := range texts {
		if strings.HasPrefix(path, "/run/") {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
			continue
		}
		ours := "/run/" + filepath.Base(path)
		if err := os.WriteFile(ours, []byte(text), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(ours, path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// linked follows links up to a file, or to what lies below /run, be it there or not.
func linked(path string) string {
	for range 40 {
		if strings.HasPrefix(path, "/run/") {
			break
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if dir, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil { // /var/run
			to = filepath.Join(dir, filepath.Base(to))
		}
		path = to
	}
	return path
}

var pem = regexp.MustCompile(`/run/[\w./*-]+\.pem`)

// files puts the files there that a configuration names.
func (c *child) files() error {
	all := c.text
	err := os.CopyFS("/run/etc", os.DirFS("testdata/etc"))
	if err != nil {
		return err
	}
	lists, _ := filepath.Glob("/run/etc/*.list")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		all += string(text)
	}
	for _, path := range append(pem.FindAllString(all, -1), "/run/recorder.pem", "/run/etc/certs/client.pem") {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".pem")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if _, err := rig.WriteCertificate(path, name, "*."+name); err != nil {
			return err
		}
	}
	c.r.cert, err = tls.LoadX509KeyPair("/run/recorder.pem", "/run/recorder.pem")
	return err
}

// network has addresses for all, and servers and a log at theirs.
func (c *child) network(asks []*ask) error {
	for _, text := range append([]string{front, front6, client, "2001:db8::7", "192.0.2.99", "127.0.0.5"}, sources(asks)...) {
		c.addLocal(netip.MustParseAddr(text))
	}
	batch := "link set lo up\n"
	for _, ip := range c.locals {
		switch {
		case ip.Is4() && !ip.IsLoopback():
			batch += fmt.Sprintf("addr add %s/32 dev lo\n", ip)
		case ip.Is6() && !ip.IsLoopback():
			batch += fmt.Sprintf("addr add %s/128 dev lo nodad\n", ip)
		}
	}
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s\n%s", err, out, batch)
	}
	for addr := range c.speakers {
		if err := c.r.listen(addr); err != nil {
			return err
		}
	}
	for _, addr := range append(slices.DeleteFunc(c.logs, func(s string) bool { return s == logsTo }), logsTo) {
		a, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return err
		}
		c.flush, err = net.ListenUDP("udp", a)
		if err != nil {
			return err
		}
		c.socks = append(c.socks, c.flush)
	}
	return nil
}

func sources(asks []*ask) (out []string) {
	for _, a := range asks {
		add(&out, a.from)
	}
	return out
}
