package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestChainText has what table, metrics and JSON say of outputs with and without a chain.
func TestChainText(t *testing.T) {
	s := Status{Outputs: []Output{
		{Name: "plain"},
		{Name: "x", Chain: &Chain{State: "ok", Journal: "00000002", Records: 3, Lines: 40, Last: time.Unix(1_800_000_000, 250_000_000)}},
		{Name: "y", Errors: []string{"no space"}, Chain: &Chain{State: "failed", Records: 1, Lines: 5, Adopted: 2, Waiting: 77, Failures: 4, Error: "no space"}},
	}}
	contains := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q is missing in:\n%s", w, text)
			}
		}
	}
	var table, metrics strings.Builder
	if err := s.WriteTable(&table, time.Unix(1_800_000_004, 0)); err != nil {
		t.Fatal(err)
	}
	contains(table.String(), "x: chain ok: 40 lines in 3 records, the last record 4s ago; 0 bytes without one\n",
		"y: chain failed: 5 lines in 1 records, no record yet; 77 bytes without one; 2 of the lines were adopted; the journal could not be written 4 times\n", "y: no space\n")
	if err := s.WriteMetrics(&metrics); err != nil {
		t.Fatal(err)
	}
	contains(metrics.String(), "# TYPE syslogd_chain_lines_total counter\nsyslogd_chain_lines_total{output=\"x\"} 40\nsyslogd_chain_lines_total{output=\"y\"} 5\n",
		`syslogd_chain_up{output="x"} 1`, `syslogd_chain_up{output="y"} 0`, `syslogd_chain_last_record_timestamp_seconds{output="x"} 1800000000.25`,
		`syslogd_chain_last_record_timestamp_seconds{output="y"} 0`, `syslogd_chain_waiting_bytes{output="y"} 77`, `syslogd_chain_adopted_lines_total{output="y"} 2`,
		`syslogd_chain_records_total{output="x"} 3`, `syslogd_chain_failures_total{output="y"} 4`)
	text, err := json.Marshal(s.Outputs)
	if err != nil {
		t.Fatal(err)
	}
	contains(string(text), `"chain":{"state":"ok","journal":"00000002","records":3,"lines":40,"adopted_lines":0,"waiting_bytes":0,"last_record":"`,
		`"chain":{"state":"failed","records":1,"lines":5,"adopted_lines":2,"waiting_bytes":77,"failures":4,"error":"no space"}`)
	if strings.Contains(table.String()+metrics.String(), "plain: chain") || strings.Contains(metrics.String(), `syslogd_chain_up{output="plain"}`) || strings.Count(string(text), `"chain"`) != 2 {
		t.Errorf("an output without a chain has one:\n%s%s%s", &table, &metrics, text)
	}
}
