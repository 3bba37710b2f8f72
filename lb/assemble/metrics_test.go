package assemble

import (
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/syslog"
)

func TestReloadMetrics(t *testing.T) {
	var rt Runtime
	if got := rt.appendReloads(nil); len(got) != 0 {
		t.Errorf("without a master: %q", got)
	}
	rt.SetReloads(handoff.Reloads{Total: 7, Failed: 2, LastGood: time.Unix(1700000000, 0)})
	got := string(rt.appendReloads(nil))
	for _, want := range []string{
		"\nlb_reloads_total 7\n", "\nlb_reload_failures_total 2\n", "\nlb_last_reload_success_timestamp 1700000000\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

func TestLogMetrics(t *testing.T) {
	var rt Runtime
	if got := rt.appendLogs(nil); len(got) != 0 {
		t.Errorf("without receivers: %q", got)
	}
	rt.receivers = []*syslog.Health{{Address: "127.0.0.1:514"}, {Address: "/run/log"}}
	got := string(rt.appendLogs(nil))
	for _, want := range []string{
		"\nlb_log_lines_total{target=\"127.0.0.1:514\",result=\"sent\"} 0\n", "\nlb_log_lines_total{target=\"/run/log\",result=\"lost\"} 0\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}
