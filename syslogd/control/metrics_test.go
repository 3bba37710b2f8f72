package control

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	s := Status{
		Version: "1.0", Started: time.Unix(1000, 0),
		Inputs:  []Input{{Name: "udp://a", Received: 123456789, KernelDrops: 7}, {Name: `b"\` + "\n"}},
		Outputs: []Output{{Name: "x", Written: 5, Errors: []string{"full"}}, {Name: "y", Forward: &Forward{To: "tcp://h:1", Again: 3}}},
	}
	var out bytes.Buffer
	if err := s.WriteMetrics(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`syslogd_build_info{version="1.0"} 1`, "syslogd_start_time_seconds 1000",
		`syslogd_input_received_total{input="udp://a"} 1.23456789e+08`, `syslogd_input_kernel_drops_total{input="udp://a"} 7`,
		`syslogd_input_received_total{input="b\"\\\n"} 0`, `syslogd_output_written_total{output="x"} 5`, `syslogd_output_errors{output="x"} 1`,
		`syslogd_forward_again_total{output="y",to="tcp://h:1"} 3`,
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("%s is missing in:\n%s", want, out.String())
		}
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if seen[name] || strings.HasSuffix(name, "_total") != (kind == "counter") {
				t.Errorf("%s is a %s, or there twice", name, kind)
			}
			seen[name] = true
		}
	}
}
