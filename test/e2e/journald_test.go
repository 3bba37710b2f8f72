package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestJournalAsTarget runs a real systemd-journald, with a /run of its own, and logs to it: each request is an entry with the fields of log-format-sd. While the
// journal does not read, nobody waits for it, and lines that it does not get are counted.
func TestJournalAsTarget(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "a journald with a /run of its own is for root")
	}
	tape.Require(t, "journalctl")
	const program = "/lib/systemd/systemd-journald"
	if _, err := os.Stat(program); err != nil {
		tape.Skipf(t, "%v", err)
	}
	journald, err := rig.Start("unshare", "-m", "--propagation", "private", "sh", "-c", "mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal && exec "+program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journald.Stop() })
	run := fmt.Sprintf("/proc/%d/root/run", journald.PID)
	socket := run + "/systemd/journal/socket"
	wait.Until(t, "the journal's socket", func() bool { _, err := os.Stat(socket); return err == nil })

	s := start(t, options{fe: "    log " + socket + " format journal local0 info\n    option httplog\n" +
		`    log-format-sd "[http@1 status=\"%ST\" client-ip=\"%ci\" backend=\"%b\" server=\"%s\" path=\"%HP\"]"`})
	asked := 0
	ask := func(n int) {
		t.Helper()
		for range n {
			resp, err := http.Get(fmt.Sprintf("http://%s/r/journal/%d", s.http, asked))
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(err)
			}
			resp.Body.Close()
			asked++
		}
	}
	type entry struct {
		Message    string `json:"MESSAGE"`
		Identifier string `json:"SYSLOG_IDENTIFIER"`
		PID        string `json:"SYSLOG_PID"`
		Facility   string `json:"SYSLOG_FACILITY"`
		Priority   string `json:"PRIORITY"`
		Transport  string `json:"_TRANSPORT"`
		Status     string `json:"LB_STATUS"`
		Client     string `json:"LB_CLIENT_IP"`
		Backend    string `json:"LB_BACKEND"`
		Server     string `json:"LB_SERVER"`
		Path       string `json:"LB_PATH"`
	}
	read := func() (all []entry) {
		t.Helper()
		out, err := exec.Command("journalctl", "-q", "-o", "json", "--directory="+run+"/log/journal", "LB_STATUS=200").Output()
		if err != nil {
			return nil // it has just been begun
		}
		for line := range bytes.Lines(out) {
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, e)
		}
		return all
	}
	ask(20)
	var all []entry
	wait.Until(t, "an entry for each request", func() bool { all = read(); return len(all) == asked })
	pid := fmt.Sprint(s.worker(t))
	seen := map[string]bool{}
	for _, e := range all {
		seen[e.Path] = true
		want := entry{
			Message: e.Message, Identifier: "haproxy", PID: pid, Facility: "16", Priority: "6", Transport: "journal",
			Status: "200", Client: "127.0.0.1", Backend: "be", Server: e.Server, Path: e.Path,
		}
		if e.Client == host {
			want.Client = host
		}
		if e != want || !strings.Contains(e.Message, want.Path+" HTTP/1.1") || e.Server == "" {
			t.Errorf("an entry is %+v", e)
		}
	}
	for i := range asked {
		if !seen[fmt.Sprintf("/r/journal/%d", i)] {
			t.Errorf("request %d has no entry", i)
		}
	}

	freeze(t, journald, true)
	ask(300) // more than its socket takes
	freeze(t, journald, false)
	dropped := 0
	wait.Until(t, "all of them in the journal, or counted", func() bool {
		if dropped, err = s.lb.Info("DroppedLogs"); err != nil {
			t.Fatal(err)
		}
		return len(read())+dropped == asked
	})
	if dropped > 0 {
		t.Errorf("%d lines were dropped with room for them", dropped)
	}
	if err := syscall.Kill(journald.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-journald.Done()
	ask(10) // without the journal
}
