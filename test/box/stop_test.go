package box

import (
	"fmt"
	"strings"
	"testing"
)

// TestStopWithoutAMaster: a stop that meets the moment in which systemd waits to start the next master is a stop, although nobody tells the
// workers; and a wait, however long, is none.
func TestStopWithoutAMaster(t *testing.T) {
	m := boot(t, "nomaster")
	wait := func(seconds int) {
		t.Helper()
		m.sh(`mkdir -p /etc/systemd/system/lb.service.d; printf '[Service]\nRestartSec=%ds\n' >/etc/systemd/system/lb.service.d/wait.conf; systemctl daemon-reload`, seconds)
	}
	kill := func() {
		t.Helper()
		m.sh("kill -9 %s", m.mainPID())
		m.await("systemd waits to start the next master", `test "$(systemctl show lb -p SubState --value)" = auto-restart`)
	}
	// Longer than workers wait when the service is gone.
	wait(6)
	before := m.sh(`pgrep -fn '[l]b @worker'`)
	kill()
	m.await("the next master serves", "systemctl is-active -q lb")
	if log := m.journal("-u lb"); !strings.Contains(log, fmt.Sprintf("found worker %s (generation 1) of the former master", before)) {
		t.Errorf("the next master did not find worker %s:\n%s", before, log)
	}
	wait(600)
	kill()
	m.sh("curl -sf -o /dev/null http://127.0.0.1/; systemctl stop lb")
	m.await("the workers leave", "! pgrep -f '[l]b @worker'")
	if log := m.journal("-u lb"); !strings.Contains(log, "the service was stopped while it had no master") {
		t.Errorf("the journal does not say why:\n%s", log)
	}
	m.sh("systemctl start lb; curl -sf -o /dev/null http://127.0.0.1/")

	// Who starts it again at once has it back from the worker that serves.
	kill()
	m.sh("systemctl stop lb; systemctl start lb; curl -sf -o /dev/null http://127.0.0.1/; lb status")
	m.await("only one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)
	m.sh("systemctl stop lb")
	if out, err := m.try("pgrep -a lb"); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
}
