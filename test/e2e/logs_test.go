package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestLogDaemonDown holds that requests go on while nobody takes their lines, that the journal has one line when that begins and one when it
// is over, whatever the number of requests and event loops, and that every line is in the file or in a number.
func TestLogDaemonDown(t *testing.T) {
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf("%s:%d", host, ports[0])
	s := start(t, options{fe: fmt.Sprintf("    log %s local0\n    option httplog\n    http-request use-service prometheus-exporter if { path /metrics }", target)})
	get := func(path string) string {
		resp, err := http.Get("http://" + s.http + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("GET %s: %d %v", path, resp.StatusCode, err)
		}
		return string(text)
	}
	count := func(result string) int {
		prefix := fmt.Sprintf("lb_log_lines_total{target=%q,result=%q} ", target, result)
		for line := range strings.Lines(get("/metrics")) {
			if value, ok := strings.CutPrefix(line, prefix); ok {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("the metrics have no %s", prefix)
		return 0
	}
	said := func(what string) int { return strings.Count(s.lb.Output(), "log: "+target+" "+what) }

	for range 300 {
		get("/r/x/1")
	}
	wait.Until(t, "the outage in the journal", func() bool { return said("refuses datagrams (connection refused): is syslogd running?") == 1 })

	file := filepath.Join(s.dir, "back.log")
	conf := filepath.Join(s.dir, "back.yaml")
	text := fmt.Sprintf("listen: [\"udp://%s\"]\ncontrol: %s/back.sock\noutputs: [{file: %s, rotate: never}]\n", target, s.dir, file)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := rig.Start(built.Syslogd, "-f", conf)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	wait.Until(t, "the end of the outage in the journal", func() bool {
		get("/r/x/1")
		return said("takes lines again; ") == 1
	})
	if n := said("refuses"); n != 1 {
		t.Errorf("the outage was told of %d times", n)
	}
	lost := count("lost")
	if lost < 300 || !strings.Contains(s.lb.Output(), fmt.Sprintf(" takes lines again; %d lines were lost between ", lost)) {
		t.Errorf("%d lines are counted as lost; the journal has\n%s", lost, s.lb.Output())
	}
	if n, err := s.lb.Info("DroppedLogs"); err != nil || n != lost {
		t.Errorf("show info counts %d lost lines (%v), the metrics %d", n, err, lost)
	}
	sent := count("sent") // the line of the request that asks comes after its answer
	wait.Until(t, "what was sent in the file", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Count(text, []byte("\n")) >= sent
	})
}
