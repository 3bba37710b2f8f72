package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/stats"
	"lbsyslogd/test/tape"
)

// mix has wrk ask for answers that take 20, 70, 190 and 520 ms: 20, 40, 35 and 5 of a hundred, so that p50, p90 and p99 stand in the midst of a step
// each, and a step is two buckets or more from the next. wrk pauses between two requests of a connection because of its own correction: for each
// answer that took more than twice the mean time from request to request it adds shorter ones that nobody had.
const mix = `
local n = 0
function request()
  n = n + 1
  local k, ms = (n * 37) % 100, 520
  if k < 20 then ms = 20 elseif k < 60 then ms = 70 elseif k < 95 then ms = 190 end
  return wrk.format('GET', '/delay/' .. ms)
end
local d = 0
function delay()
  d = d + 1
  return 150 + (d * 37) % 100
end
`

// TestPercentilesAgreeWithWrk: the percentiles of a frontend's total time in /metrics are those that a client saw in the same run, within a bucket
// of the histogram.
func TestPercentilesAgreeWithWrk(t *testing.T) {
	wrk := tape.Require(t, "wrk")
	s := start(t, options{fe: "    http-request use-service prometheus-exporter if { path /metrics }"})
	script := filepath.Join(s.dir, "mix.lua")
	if err := os.WriteFile(script, []byte(mix), 0o600); err != nil {
		t.Fatal(err)
	}
	// Where the client itself waits for the processor, as on a busy machine, it sees times that nobody else does.
	var apart string
	before := make([]uint64, len(stats.Bounds)+1)
	for range 4 {
		out, err := exec.CommandContext(t.Context(), wrk, "-t1", "-c64", "-d4s", "--timeout", "20s", "--latency", "-s", script, "http://"+s.http).CombinedOutput()
		if err != nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
			t.Fatalf("wrk: %v\n%s", err, out)
		}
		sums := totalTimes(t, "http://"+s.http+"/metrics")
		for i, n := range sums {
			sums[i], before[i] = n-before[i], n
		}
		if apart = disagree(t, sums, out); apart == "" {
			return
		}
		t.Log(apart)
	}
	t.Error(apart)
}

// disagree compares percentiles of sums with those in wrk's report, and says which are more than a bucket apart.
func disagree(t *testing.T, sums []uint64, out []byte) (which string) {
	t.Helper()
	all := sums[len(sums)-1]
	for _, percent := range []uint64{50, 90, 99} {
		m := regexp.MustCompile(`(?m)^ +` + strconv.FormatUint(percent, 10) + `% +(\S+)$`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("wrk has no p%d:\n%s", percent, out)
		}
		seen, err := time.ParseDuration(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		theirs, _ := slices.BinarySearch(stats.Bounds[:], uint32(seen.Milliseconds())+1)
		ours := slices.IndexFunc(sums, func(n uint64) bool { return 100*n >= percent*all })
		t.Logf("p%d of %d requests: bucket %d; wrk saw %v, of bucket %d", percent, all, ours, seen, theirs)
		if apart := ours - theirs; apart < -1 || apart > 1 {
			which += fmt.Sprintf("p%d of the frontend is in the bucket %d, and wrk saw %v, which is of the bucket %d:\n%s", percent, ours, seen, theirs, out)
		}
	}
	return which
}

// totalTimes is how many requests of the frontend took less than each bound of the histograms, and last how many there were.
func totalTimes(t *testing.T, url string) (sums []uint64) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^lb_frontend_total_time_seconds_bucket\{proxy="fe",le="([^"]+)"\} (\d+)$`).FindAllSubmatch(text, -1) {
		if at := len(sums); at < len(stats.Bounds) {
			if bound := strconv.FormatFloat(float64(stats.Bounds[at])/1000, 'g', -1, 64); string(m[1]) != bound {
				t.Fatalf("the bound %d is %s, not %s", at, m[1], bound)
			}
		}
		n, err := strconv.ParseUint(string(m[2]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, n)
	}
	if len(sums) != len(stats.Bounds)+1 || sums[len(sums)-1] == 0 {
		t.Fatalf("/metrics has %d bounds of the frontend's total time, not %d:\n%s", len(sums), len(stats.Bounds)+1, text)
	}
	return sums
}
