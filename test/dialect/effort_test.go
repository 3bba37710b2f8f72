package dialect

import (
	"strings"
	"testing"
)

// TestEffort: what a request takes of the CPU is measured by neither, without profiling. HAProxy counts calls, lb none.
func TestEffort(t *testing.T) {
	config := preface("", "LINE %ST %[cpu_ns_avg] %[cpu_ns_tot] %[lat_ns_avg] %[lat_ns_tot]") + `
frontend f
  bind HTTP
  http-request return status 200 hdr X-CPU "%[cpu_ns_avg] %[cpu_ns_tot]" hdr X-Latency "%[lat_ns_avg] %[lat_ns_tot]" hdr X-Calls %[CALLS]
`
	theirs, ours := each(t, strings.Replace(config, "CALLS", "cpu_calls,mul(0)", 1), strings.Replace(config, "CALLS", "cpu_calls", 1), nil)
	drive := func(s *subject) string { return s.get("/") }
	same(t, "answer", []string{seen(theirs, drive)}, []string{drive(ours)})
	same(t, "line", theirs.lines(1), ours.lines(1))
}
