package tables

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// machine is one of the two balancers of docs/cluster.md, in a network namespace of its own.
type machine struct {
	*rig.LB
	t          testing.TB
	name, dir  string
	address    string
	namespace  string
	keepalived *exec.Cmd
}

// recipe is a file of docs/cluster.md, by the comment that it begins with.
func recipe(t testing.TB, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```\n# "+name+"\n")
	if !ok {
		t.Fatalf("docs/cluster.md has no %s", name)
	}
	text, _, _ = strings.Cut(text, "```")
	return text
}

// ip runs ip(8).
func ip(t testing.TB, words string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", words, err, out)
	}
}

// network makes a bridge with an address for clients, servers and the log host, and two namespaces that are connected to it.
func network(t testing.TB) (names [2]string) {
	t.Helper()
	id := fmt.Sprint(os.Getpid() % 100_000)
	bridge := "lbb" + id
	ip(t, "link add "+bridge+" type bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", bridge).Run() })
	ip(t, "addr add 192.0.2.9/24 dev "+bridge)
	ip(t, "link set "+bridge+" up")
	for i := range names {
		name := fmt.Sprintf("lb%d-%s", i+1, id)
		names[i] = name
		ip(t, "netns add "+name)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
		outer := fmt.Sprintf("lbv%d%s", i+1, id)
		ip(t, "link add "+outer+" type veth peer name eth0 netns "+name)
		t.Cleanup(func() { exec.Command("ip", "link", "del", outer).Run() }) // at once: a namespace takes its links with it some time later
		ip(t, "link set "+outer+" master "+bridge+" up")
		ip(t, "-n "+name+" link set lo up")
		ip(t, "-n "+name+" link set eth0 up")
		ip(t, fmt.Sprintf("-n %s addr add 192.0.2.%d/24 dev eth0", name, i+1))
	}
	return names
}

// inside is a program that runs another one in the machine's namespace.
func (m *machine) inside(program string) string {
	path := filepath.Join(m.dir, filepath.Base(program)+"-inside")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec ip netns exec "+m.namespace+" "+program+" \"$@\"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// start starts lb and syslogd, and then keepalived.
func (m *machine) start(program, syslogd, server string) {
	t := m.t
	write := func(name, text string) string {
		path := filepath.Join(m.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := write("syslogd.yaml", strings.NewReplacer("/var/log/lb/", m.dir+"/").Replace(recipe(t, "syslogd.yaml"))+"control: "+m.dir+"/syslogd.sock\n")
	log := exec.Command(m.inside(syslogd), "-f", conf)
	log.Stderr = os.Stderr
	run(t, log)
	text := strings.NewReplacer("localpeer lb1", "localpeer "+m.name, "/run/lb/admin.sock", m.Stats, "192.0.2.21:8080", server, "gt 100", "gt 5").Replace(recipe(t, "lb.cfg"))
	if err := m.Start(t.Context(), m.inside(program), "-W", text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop() })
	other, priority := "192.0.2.2", "150"
	if m.name == "lb2" {
		other, priority = "192.0.2.1", "100"
	}
	text = strings.NewReplacer("unicast_src_ip 192.0.2.1", "unicast_src_ip "+m.address, "    192.0.2.2\n", "    "+other+"\n", "priority 150", "priority "+priority,
		"/usr/sbin/lb status", program+" status -S "+m.Master, "advert_int 1\n", "advert_int 0.5\n").Replace(recipe(t, "keepalived.conf"))
	m.keepalived = exec.Command(m.inside(tape.Require(t, "keepalived")), "-n", "-l", "-P", "-f", write("keepalived.conf", text), "-p", m.dir+"/k.pid", "-r", m.dir+"/vrrp.pid")
	out, err := os.Create(m.dir + "/keepalived.log")
	if err != nil {
		t.Fatal(err)
	}
	m.keepalived.Stdout, m.keepalived.Stderr = out, out
	run(t, m.keepalived)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(m.dir + "/keepalived.log")
			t.Logf("keepalived of %s said:\n%s", m.name, text[max(0, len(text)-2000):])
			t.Logf("%s said:\n%s", m.name, m.Output())
		}
	})
}

// run starts a program, which is ended with the test.
func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
}

// holds reports whether the machine has the shared address.
func (m *machine) holds() bool {
	out, err := exec.Command("ip", "-n", m.namespace, "addr", "show", "dev", "eth0").Output()
	return err == nil && strings.Contains(string(out), "192.0.2.100/")
}

// TestTwoBalancers runs TestTwoBalancersApart in a network namespace of its own: the network that this test runs in may have the addresses of the page.
func TestTwoBalancers(t *testing.T) {
	tape.Require(t, "keepalived")
	if os.Geteuid() != 0 {
		tape.Skipf(t, "network namespaces need root")
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0], "-test.run=^TestTwoBalancersApart$", "-test.v")
	cmd.Env = append(os.Environ(), "LB_APART=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestTwoBalancersApart") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTwoBalancersApart runs the files of docs/cluster.md: the address is where lb serves, by priority; a client that was limited on one machine is
// limited on the other; the lines of both are in one file.
func TestTwoBalancersApart(t *testing.T) {
	if os.Getenv("LB_APART") == "" {
		return // TestTwoBalancers runs it
	}
	tape.Require(t, "keepalived")
	names := network(t)
	programs, err := rig.Build(t.TempDir(), "syslogd")
	if err != nil {
		t.Fatal(err)
	}
	server, err := backend.Start("s1", "192.0.2.9:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	conf := filepath.Join(dir, "loghost.yaml")
	if err := os.WriteFile(conf, []byte(strings.ReplaceAll(recipe(t, "loghost.yaml"), "/var/log/", dir+"/")+"control: "+dir+"/syslogd.sock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loghost := exec.Command(programs.Syslogd, "-f", conf)
	loghost.Stderr = os.Stderr
	run(t, loghost)
	var machines [2]*machine
	for i := range machines {
		home, err := os.MkdirTemp("", "lb-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(home) })
		m := &machine{LB: rig.LBIn(home), t: t, name: fmt.Sprintf("lb%d", i+1), dir: home, address: fmt.Sprintf("192.0.2.%d", i+1), namespace: names[i]}
		m.start(built.LB, programs.Syslogd, server.Addr())
		machines[i] = m
	}
	one, two := machines[0], machines[1]
	at := func(m, other *machine) {
		t.Helper()
		wait.Until(t, "the address to be at "+m.name+" alone", func() bool { return m.holds() && !other.holds() })
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}
	get := func(path string) (status int) {
		t.Helper()
		wait.Until(t, "an answer", func() bool {
			res, err := client.Get("http://192.0.2.100" + path)
			if err != nil {
				return false // the neighbours do not know yet where the address is
			}
			res.Body.Close()
			status = res.StatusCode
			return true
		})
		return status
	}
	// knows waits until a machine knows how often the client has come: what is pushed is there a moment later.
	knows := func(m *machine, count int) {
		t.Helper()
		wait.Until(t, fmt.Sprintf("%s to know of %d requests", m.name, count), func() bool {
			text, err := m.Command("show table www")
			return err == nil && strings.Contains(text, fmt.Sprintf(" http_req_rate(600000)=%d\n", count))
		})
	}
	at(one, two)
	wait.Until(t, "the peers to be connected", func() bool {
		n, err := one.Info("ConnectedPeers")
		return err == nil && n == 1
	})
	for range 5 {
		if status := get("/r/first"); status != 200 {
			t.Errorf("a request is answered with %d", status)
		}
	}
	if status := get("/r/first"); status != 429 {
		t.Errorf("the sixth request is answered with %d", status)
	}
	// A reload moves nothing.
	if out, err := exec.Command(built.LB, "reload", "-S", one.Master).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !one.holds() {
		t.Error("a reload moves the address")
	}
	knows(two, 6)
	// Without lb the address goes to the other machine, where the client is limited too.
	text, err := os.ReadFile(one.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Stop(); err != nil {
		t.Log(err)
	}
	at(two, one)
	if status := get("/r/second"); status != 429 {
		t.Errorf("a client that was limited gets %d from the other balancer", status)
	}
	// It comes back by its priority, and knows the client again.
	if err := one.Start(t.Context(), one.inside(built.LB), "-W", string(text)); err != nil {
		t.Fatal(err)
	}
	knows(one, 7)
	at(one, two)
	if status := get("/r/third"); status != 429 {
		t.Errorf("a client that was limited gets %d after a restart", status)
	}
	wait.Until(t, "the lines of both on the log host", func() bool {
		log, err := os.ReadFile(dir + "/balancers.log")
		return err == nil && strings.Contains(string(log), "/r/first") && strings.Contains(string(log), "/r/second") && strings.Contains(string(log), "/r/third")
	})
}
