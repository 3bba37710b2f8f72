package handover

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// TestNghttp2OnBothSides: nghttp and curl fetch files that nghttpd serves, through lb, over TLS and in plain on either side, with a reload after each; the bytes are
// those of the file.
func TestNghttp2OnBothSides(t *testing.T) {
	nghttp, nghttpd, curl := tape.Require(t, "nghttp"), tape.Require(t, "nghttpd"), tape.Require(t, "curl")
	s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt")
	root := filepath.Join(s.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"small": []byte("small\n"), "large": bytes.Repeat([]byte("0123456789abcdef"), 40_000)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := rig.FreePorts(host, 2)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(port int, args ...string) string {
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		p, err := rig.Start(nghttpd, append([]string{"-a", host, "-d", root, strconv.Itoa(port)}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Stop() }) // it ends by the signal
		s.until("nghttpd to listen", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err == nil || !p.Running()
		})
		if !p.Running() {
			t.Fatalf("nghttpd: %s", p.Output())
		}
		return addr
	}
	for _, server := range []string{
		serve(ports[0], s.cert, s.cert) + " ssl verify required ca-file " + s.cert + " verifyhost lb.example alpn h2",
		serve(ports[1], "--no-tls") + " proto h2",
	} {
		s.configure(defaultConfig, "ssl crt", "ssl alpn h2,http/1.1 crt", "server b1 BACKEND OPTIONS", "server b1 "+server)
		s.reload()
		for _, base := range []string{"https://" + s.https, "http://" + s.http} {
			for name, want := range files {
				get := func(program string, args ...string) {
					t.Helper()
					out, err := exec.CommandContext(t.Context(), program, append(args, base+"/"+name)...).Output()
					if err != nil || !bytes.Equal(out, want) {
						t.Errorf("%s %v of %s: %v, %d bytes, want %d", filepath.Base(program), args, server, err, len(out), len(want))
					}
				}
				get(nghttp)
				get(curl, "-sSk", "--http2-prior-knowledge")
				get(curl, "-sSk", "--http1.1")
				// Ten requests at once on one connection.
				out, err := exec.CommandContext(t.Context(), nghttp, "-ns", "-m10", base+"/"+name).CombinedOutput()
				if n := strings.Count(string(out), " 200 "); err != nil || n != 10 {
					t.Errorf("nghttp -m10 of %s: %v, %d answers:\n%s", server, err, n, out)
				}
			}
			s.reload()
		}
	}
	s.alone()
	const fetched = 2 * 2 * 2 * (3 + 10)
	if got := s.stat("be", "b1", "hrsp_2xx"); got != fetched {
		t.Errorf("%d answers are counted, want %d", got, fetched)
	}
}
