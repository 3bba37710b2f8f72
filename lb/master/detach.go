package master

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"lbsyslogd/lb/safefile"
)

// Part is the signal with which a service manager ends a master that is being
// restarted, where it does not ask `lb stop --or-detach` first: it comes in
// the middle of a reload or a start. It is SIGRTMIN+1 as systemd and kill(1)
// count. A master that was asked to stop before stops at once.
const Part = syscall.Signal(35)

// restartMark is the path of the file that tells the next master that somebody
// waits for the outcome of its start. Whoever restarts a service wants to hear
// that its configuration is bad; after a crash nobody has asked.
func (m *Master) restartMark() string { return m.Rendezvous + ".restart" }

// detach ends this master and leaves workers and sockets to the next one.
func (r *run) detach() error {
	if r.Notify == nil && r.Rendezvous == "" {
		return errors.New("there is neither a command socket (-S) nor a service manager through which the next master could find the workers")
	}
	r.parting = true
	r.part()
	return nil
}

// part ends this master. A worker on its way is given up, as the next master
// begins with the configuration of then; but one for which nothing serves is
// waited for, as it may run a former configuration that only this master has.
func (r *run) part() {
	if r.trial != nil {
		r.takeBackTrial("the master is being restarted, which loads the configuration of then")
		return // ended comes back
	}
	if w := r.starting; w != nil {
		if r.current == nil && len(r.adopting) == 0 {
			return // ended comes back
		}
		r.attempt.give(Outcome{Reason: "the master is being restarted, which loads the configuration of then", When: time.Now()})
		w.kill()
		r.takeBack(w)
		r.unstore(linkName(w.pid))
	}
	if r.Notify != nil && r.Rendezvous != "" {
		if err := safefile.Write(r.restartMark(), nil, 0o600); err != nil {
			r.Log.Warn(fmt.Sprintf("leave word for the next master: %v", err))
		}
	}
	r.refuseWaiting()
	r.vanish("The workers serve on while the master is restarted")
}

// vanish ends Run and touches nothing that the next master needs.
func (r *run) vanish(status string) {
	r.detached, r.stopping, r.stopped = true, true, true
	r.notify("STOPPING=1\nSTATUS=" + status)
}

// owed says, once, whether somebody waits for the outcome of this start.
func (m *Master) owed() bool {
	return m.Notify != nil && m.Rendezvous != "" && os.Remove(m.restartMark()) == nil
}

// failRestart ends a start that somebody waits for, and whose configuration
// cannot be loaded: the service manager says that it failed. The workers of
// before serve on; the start that the manager tries then is owed to nobody,
// and takes charge of them.
func (r *run) failRestart(a attempt, o Outcome) {
	r.reportFailure(a, o, nil)
	a.give(o)
	r.status = 1
	r.vanish(fmt.Sprintf("The restart failed, generation %d serves on: %s", r.current.facts.Generation, o.Reason))
}
