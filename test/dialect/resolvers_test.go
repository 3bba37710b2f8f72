package dialect

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestResolvers: servers follow their names, as Debian's dnsmasq tells them, and a reload waits for no name server.
func TestResolvers(t *testing.T) {
	dnsmasq := tape.Require(t, "dnsmasq")
	tape.Require(t, "haproxy")
	const first, second = "127.91.18.11", "127.91.18.12"
	ports, err := rig.FreePorts(host, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{first, second} {
		elsewhere(t, fmt.Sprintf("%s:%d", a, ports[0]))
	}
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	names := func(addrs ...string) {
		t.Helper()
		var text string
		for _, a := range addrs {
			text += a + " site.test\n"
		}
		if err := os.WriteFile(hosts, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names(first)
	dns, err := rig.Start(dnsmasq, "-k", "-p", fmt.Sprint(ports[1]), "--listen-address="+host, "--bind-interfaces", "--no-resolv", "--no-hosts",
		"--addn-hosts="+hosts, "--local-ttl=1", "--pid-file=", "--user=root", "--conf-file=/dev/null", fmt.Sprintf("--srv-host=_web._tcp.test,site.test,%d,0,512", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Stop() })
	text := strings.NewReplacer("DNS", fmt.Sprintf("%s:%d", host, ports[1]), "PORT", fmt.Sprint(ports[0])).Replace(`resolvers r
  nameserver a DNS
  hold valid 200ms
  hold nx 500ms
  hold refused 500ms
` + preface("", "LINE %ST") + `
frontend fe
  bind HTTP
  default_backend one
backend one
  server s site.test:PORT resolvers r resolve-prefer ipv4 init-addr none
backend many
  server-template m 3 site.test:PORT resolvers r resolve-prefer ipv4 init-addr none
backend srv
  server-template w 2 _web._tcp.test resolvers r resolve-prefer ipv4 init-addr none
`)
	rows := func(s *subject) (list []string) {
		for line := range strings.Lines(s.command("show stat")) {
			cell := strings.Split(line, ",")
			if len(cell) > 73 && slices.Contains([]string{"one", "many", "srv"}, cell[0]) && cell[1] != "BACKEND" {
				list = append(list, strings.Join([]string{cell[0], cell[1], cell[17], cell[18], cell[73]}, " "))
			}
		}
		return list
	}
	theirs, ours := both(t, text, nil)
	settle := func(want ...string) {
		t.Helper()
		for _, s := range []*subject{theirs, ours} {
			var got []string
			wait.Until(t, fmt.Sprintf("%s's servers at %v (they are %v)", s.name, want, &got), func() bool {
				got = nil
				for _, row := range rows(s) {
					if a := strings.Fields(row); strings.HasPrefix(row, "many ") {
						got = append(got, strings.TrimSuffix(a[len(a)-1], fmt.Sprintf(":%d", ports[0])))
					}
				}
				slices.Sort(got)
				return slices.Equal(got, want)
			})
		}
	}
	settle("1", "1", first) // MAINT (resolution), weight 1, no address
	wait.Until(t, "the same rows", func() bool { return slices.Equal(rows(theirs), rows(ours)) })
	wait.Until(t, "the server to be there", func() bool { return strings.Contains(ours.get("/"), "at "+first) })
	names(first, second)
	dns.Signal(syscall.SIGHUP)
	settle("1", first, second)
	names(second)
	dns.Signal(syscall.SIGHUP)
	settle("1", "1", second)
	wait.Until(t, "the server to move", func() bool { return strings.Contains(ours.get("/"), "at "+second) })

	// Nobody answers any more, and yet the next worker serves at once.
	dns.Stop()
	if out, err := ours.Reload(t.Context()); err != nil {
		t.Fatal(err, out)
	}
	if got := ours.get("/"); !strings.HasPrefix(got, fmt.Sprint(http.StatusOK)) || !strings.Contains(got, "at "+second) {
		t.Errorf("after a reload without a name server: %s", got)
	}
	if out := ours.command("show resolvers r"); !strings.Contains(out, "nameserver a:") {
		t.Errorf("show resolvers: %s", out)
	}
}
