package assemble

import (
	"fmt"
	"log/slog"
	"os"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stream"
)

// Flights implements worker.Engine.
func (rt *Runtime) Flights() *os.File { return rt.eng.Flights }

// LogLost implements worker.Engine: every request that a killed worker had in flight
// gets its line, with the termination state X, and counts as an internal error
// of its frontend.
func (rt *Runtime) LogLost(f *os.File) {
	defer f.Close()
	lost, estate, err := stream.ReadFlights(f)
	if err != nil {
		rt.note("a worker was killed, and what it had in flight is not known: " + err.Error())
		return
	}
	rt.ledger.ReportKilled(estate)
	for i := range lost {
		rt.logLost(&lost[i])
	}
	if len(lost) > 0 {
		rt.logEvent(slog.LevelWarn, event.RequestsLost, fmt.Sprintf("the worker that was killed had %d requests in flight; each has its line in the log, termination state X", len(lost)))
	}
}

// logLost logs one lost request where its frontend logs.
func (rt *Runtime) logLost(r *sample.Record) {
	for _, fe := range rt.eng.Frontends {
		if fe.Proxy.Name != r.Frontend {
			continue
		}
		rt.generation.Lost(fe.Proxy.Name)
		r.Pid, r.Hostname = rt.eng.Pid, rt.eng.Hostname
		sev, wanted := fe.Access.Severity(r)
		if fe.Logs < 0 || !wanted {
			return
		}
		out, err := rt.side.ofFrontend(fe.Logs, rt.eng.Targets[fe.Logs])
		if err != nil {
			rt.note("log a lost request: " + err.Error())
			return
		}
		out.write(sev, string(fe.Access.Append(nil, &sample.Ctx{Rec: r})))
		return
	}
}
