package worker

import (
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"lbsyslogd/test/wait"
)

// TestFirstCollectionSettles: GOGC is as usual again from the first collection on, though the start goes on.
func TestFirstCollectionSettles(t *testing.T) {
	usual := debug.SetGCPercent(173)
	defer debug.SetGCPercent(usual)
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	p := &Process{Out: t.Output()}
	p.Load = func() (*Plan, error) {
		runtime.GC()
		wait.Until(t, "the usual GOGC", func() bool { return percent() == 173 })
		return nil, errors.New("all that was to be seen")
	}
	p.Run()
}
