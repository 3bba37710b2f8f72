package packages

import (
	"strings"
	"testing"
)

// engine makes a machine one that runs containers. What podman does by default with limits and with control groups takes rights
// that a box does not have.
const engine = `rm -rf /var/lib/containers /run/containers; mkdir -p /etc/containers
	printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/run/containers/graph"\n' >/etc/containers/storage.conf
	printf '[containers]\ncgroups = "disabled"\ndefault_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n' $(ulimit -Hn) $(ulimit -Hn) $(ulimit -Hu) $(ulimit -Hu) >/etc/containers/containers.conf
	systemctl start podman.socket`

// compose is docker-compose, as if podman were docker.
const compose = "export DOCKER_HOST=unix:///run/podman/podman.sock; docker-compose --ansi never -f /root/site/compose.yaml "

// TestContainers builds the images, runs them as compose.yaml says, without an init: the daemons are process 1. Under load it reloads,
// rotates, restarts the log daemon and replaces the balancer's container.
func TestContainers(t *testing.T) {
	t.Parallel()
	m := boot(t, "containers")
	m.sh("%s", engine)
	m.sh("cp -r site /root; for i in lb syslogd; do podman build -q --format docker --target $i -t $i /root/site; done")
	// First with the configurations in the images, then with a site's own.
	m.compose("config -q")
	m.compose("up -d")
	m.await("the balancer in a container", "curl -sf -o /dev/null http://127.0.0.1:8404/health && curl -sf http://127.0.0.1:8404/metrics | grep -q ^haproxy_process_")
	m.compose("down -v")

	m.sh(`systemd-run -q --unit backends -p LimitNOFILE=20000 %s/backend 0.0.0.0:9001
		cd /root/site; sed -i 's/#- /- /' compose.yaml; mkdir -p lb syslogd`, m.dir)
	m.put("../../packaging/container/syslogd.yaml", "/root/site/syslogd/syslogd.yaml")
	m.put("../../packaging/container/lb.cfg", "/root/site/lb/lb.cfg")
	m.sh("cat >>/root/site/lb/lb.cfg <<'END'\nfrontend www\n    bind :80\n    default_backend app\nbackend app\n    server a1 host.containers.internal:9001\nEND")
	m.compose("up -d")
	m.await("the site answers", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")

	logs := m.sh("podman volume inspect -f '{{.Mountpoint}}' site_logs")
	m.logs = compose + "exec -T syslogd syslogd flush >/dev/null; rm -rf /root/got; cp -r " + logs + " /root/got; rm -f /root/got/*.tmp; zstd -dq --rm /root/got/*.zst; cat /root/got/* >/root/ledger/lb.log"
	m.load("contained", 20_000, 2000, func() {
		for range 3 {
			m.compose("exec -T lb lb reload")
			m.compose("kill -s USR2 lb")
			m.compose("exec -T syslogd syslogd rotate")
			m.compose("restart syslogd")
		}
	})
	if out, err := m.try("%s%s", compose, "exec -T lb lb status"); err != nil || !strings.Contains(out, "master 1, ") {
		t.Errorf("lb status in the container: %v\n%s", err, out)
	}
	m.sh("echo '    ballance x' >>/root/site/lb/lb.cfg")
	if out, err := m.try("%s%s", compose, "exec -T lb lb reload"); err == nil || !strings.Contains(out, "/etc/lb/lb.cfg:") {
		t.Errorf("a reload with a mistake: %v\n%s", err, out)
	}
	m.sh("sed -i '/ballance/d' /root/site/lb/lb.cfg")

	for name, uid := range map[string]string{"lb": "10001", "syslogd": "10002"} {
		m.sh("podman healthcheck run site_%s_1", name)
		pid := m.sh("podman inspect -f '{{.State.Pid}}' site_%s_1", name)
		if out := m.sh("ps -o uid= -p %[1]s --ppid %[1]s | sort -u", pid); out != uid {
			t.Errorf("%s runs as %s", name, out)
		}
		m.await("no dead to be left", "! ps -o stat= --ppid "+pid+" | grep -q Z")
	}
	// A worker that dies again and again: in the pause before the next one nothing serves.
	m.await("the health check to fail", `pkill -9 -P $(podman inspect -f '{{.State.Pid}}' site_lb_1); ! podman healthcheck run site_lb_1`)
	m.await("the health check to pass", "podman healthcheck run site_lb_1")

	// What is open is finished, on both sides.
	m.sh("systemd-run -q --unit slow -r curl -sf -o /root/slow http://127.0.0.1/delay/1500")
	m.await("the request to be open", `socat - UNIX:$(podman volume inspect -f '{{.Mountpoint}}' site_run-lb)/admin.sock <<<"show info" | grep -q '^CurrConns: [2-9]' || grep -q . /root/slow`)
	m.compose("stop")
	m.await("the answer", "test -s /root/slow")
	if out := m.sh("podman inspect -f '{{.State.ExitCode}}' site_lb_1 site_syslogd_1"); out != "0\n0" {
		t.Errorf("exit codes:\n%s", out)
	}
}

// TestReplaceContainer starts a container from a new image next to the old one, on the host's network: it takes the listening sockets
// from the old one's stats socket, and nobody is refused.
func TestReplaceContainer(t *testing.T) {
	t.Parallel()
	m := boot(t, "replace")
	m.sh("%s", engine)
	m.sh("podman build -q --format docker --target lb -t lb site; podman build -q --format docker --target syslogd -t syslogd site")
	m.sh("sysctl -q -w net.ipv4.ip_unprivileged_port_start=0; systemd-run -q --unit backends -p LimitNOFILE=20000 %s/backend 127.0.0.1:9001; mkdir /root/lb", m.dir)
	m.put("../../packaging/container/lb.cfg", "/root/lb/lb.cfg")
	m.sh("cat >>/root/lb/lb.cfg <<'END'\nfrontend www\n    bind :80\n    default_backend app\nbackend app\n    server a1 127.0.0.1:9001\nEND")
	m.sh("podman run -d --name syslogd -v run-syslogd:/run/syslogd -v logs:/var/log/lb --read-only --cap-drop ALL syslogd")
	logs := m.sh("podman volume inspect -f '{{.Mountpoint}}' logs")
	m.logs = "podman exec syslogd syslogd flush; cat " + logs + "/* >/root/ledger/lb.log"
	run := func(name, more string) {
		t.Helper()
		m.sh("podman run -d --name %[1]s --network host --read-only --cap-drop ALL -v /root/lb:/etc/lb:ro -v run-syslogd:/run/syslogd:ro -v %[1]s:/run/lb %[2]s", name, more)
		m.await(name, "podman healthcheck run "+name+" || { podman logs "+name+"; exit 1; }")
	}
	run("a", "lb")
	m.await("the site answers", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
	m.load("replaced", 16_000, 2000, func() {
		for i, name := range []string{"b", "c", "d"} {
			former := string("abc"[i])
			run(name, "-v "+former+":/former:ro lb -W -f /etc/lb/lb.cfg -S /run/lb/master.sock -x /former/admin.sock")
			m.sh("podman stop -t 70 %s", former)
		}
	})
	if out := m.sh("podman ps -q | wc -l; podman exec d lb status"); !strings.HasPrefix(out, "2\n") || strings.Contains(out, " 0 requests") {
		t.Errorf("in the end:\n%s", out)
	}
	m.sh("podman stop d syslogd")
}

// compose runs docker-compose on compose.yaml.
func (m *machine) compose(arguments string) string {
	m.t.Helper()
	return m.sh("%s%s", compose, arguments)
}
