package dialect

import "testing"

// TestEffort: what a request takes of the CPU is measured by neither, without profiling; lb says so, and counts no calls.
func TestEffort(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %[cpu_ns_avg] %[cpu_ns_tot] %[lat_ns_avg] %[lat_ns_tot]")+`
frontend f
  bind HTTP
  http-request return status 200 hdr X-CPU "%[cpu_ns_avg] %[cpu_ns_tot]" hdr X-Latency "%[lat_ns_avg] %[lat_ns_tot]" hdr X-Calls %[cpu_calls,mul(0)]
`, nil)
	drive := func(s *subject) string { return s.get("/") }
	same(t, "answer", []string{seen(theirs, drive)}, []string{drive(ours)})
	same(t, "line", theirs.lines(1), ours.lines(1))
}
