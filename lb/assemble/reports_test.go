package assemble

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Trouble that goes on has a line when it begins and one a minute, with how much there was.
func TestReportsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := reports{logger: slog.New(slog.NewTextHandler(&out, nil))}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for range 150 { // seconds
			for range 10 {
				r.report("accept: too many open files; raise LimitNOFILE")
			}
			<-tick.C
		}
		r.report("something else")
		synctest.Wait()
		got := out.String()
		if strings.Count(got, "accept:") != 3 || strings.Count(got, "(and 599 times more in the last 1m0s)") != 2 || strings.Count(got, "something else") != 1 {
			t.Errorf("told:\n%s", got)
		}
		if strings.Count(got, "MESSAGE_ID=") != 3 {
			t.Errorf("not all lines about descriptors say so:\n%s", got)
		}
	})
}
