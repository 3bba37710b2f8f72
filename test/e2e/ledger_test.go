package e2e

import (
	"net/http"
	"syscall"
	"testing"

	"lbsyslogd/test/wait"
)

// TestLedgerInProduction holds that the log daemon itself can say whether every line came that the generations of the balancer have sent, over
// reloads: lines sent = lines received = lines written.
func TestLedgerInProduction(t *testing.T) {
	t.Setenv("LB_LEDGER", "always")
	s := start(t, options{log: true})
	requests := uint64(0)
	ask := func(n int) {
		t.Helper()
		for range n {
			resp, err := http.Get("http://" + s.http + "/r/x/1")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			requests++
		}
	}
	for range 3 {
		ask(100)
		before := s.worker(t)
		if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "another worker", func() bool { return s.worker(t) != before })
	}
	ask(100)
	wait.Until(t, "the ledger's word on all lines", func() bool {
		status, err := s.log.Status(t.Context())
		if err != nil || status.Ledger == nil {
			return false
		}
		l := status.Ledger
		return l.Sent == requests && l.Received == requests && l.Missing == 0 && l.Lost == 0 && len(l.Senders) == 4 && status.Total.Written == requests
	})
}
