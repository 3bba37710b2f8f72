package control

import (
	"strings"
	"testing"
	"time"
)

// TestLedgerText has what an operator reads: what is missing, what came after the last reports, and what became of the lines.
func TestLedgerText(t *testing.T) {
	row := func(sent, received, missing uint64, all Total, want ...string) {
		t.Helper()
		var out strings.Builder
		l := &Ledger{Sent: sent, Received: received, Missing: missing, Before: 7, Killed: 8, Senders: []LedgerSender{{PID: "41", Generation: 1, Sent: sent, Received: received}}}
		l.write(&out, time.Now(), all)
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%q is missing in:\n%s", w, &out)
			}
		}
	}
	row(100, 100, 0, Total{Written: 100}, "ledger: 100 lines sent, 100 received: nothing is missing; 0 were", "100 lines given, 100 on disk, 0 waiting, 0 lost",
		"besides: 7 lines were sent before", "besides: 8 lines were received, and lost because syslogd was killed")
	row(100, 90, 10, Total{Written: 80, Waiting: 7, RingOverflow: 1, DiskLost: 2}, "90 received: 10 MISSING; 0 were", "90 lines given, 80 on disk, 7 waiting, 3 lost")
	row(0, 3001, 0, Total{Written: 3001}, "0 lines sent, 3001 received: nothing is missing (3001 came since the senders' last reports);")
}
