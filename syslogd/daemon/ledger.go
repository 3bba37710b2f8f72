package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/ledger"
	"lbsyslogd/syslogd/receive"
)

// Beside the control socket are two files: the ledger, which outlives the process, and inputs, which says where this daemon listens, so that
// a balancer on this host knows that what listens there takes its beats.
const (
	ledgerFile = "ledger"
	inputsFile = "inputs"
)

// openLedger opens the ledger. Without its file the accounts begin anew with each start.
func (d *Daemon) openLedger() {
	dir := filepath.Dir(d.Config.Control.Path)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		d.ledger, err = ledger.Open(filepath.Join(dir, ledgerFile))
	}
	if err != nil {
		d.Log.Warn("the ledger of senders begins anew with each start", "err", err)
		d.ledger, _ = ledger.Open("") // which needs nothing that could fail
	}
}

// announce writes where the inputs listen. A balancer that cannot read it sends no beats.
func (d *Daemon) announce(inputs []*input) {
	var text strings.Builder
	for _, in := range inputs {
		address := in.Describe().Address
		switch _, stream := in.source.(*receive.Stream); {
		case stream:
			fmt.Fprintf(&text, "tcp://%s\n", address)
		case strings.HasPrefix(address, "/"):
			fmt.Fprintf(&text, "unix://%s\n", address)
		default:
			fmt.Fprintf(&text, "udp://%s\n", address)
		}
	}
	path := filepath.Join(filepath.Dir(d.Config.Control.Path), inputsFile)
	f, err := os.CreateTemp(filepath.Dir(path), inputsFile+".*")
	if err == nil {
		_, err = f.WriteString(text.String())
		if err == nil {
			err = f.Chmod(0o644)
		}
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		d.Log.Debug("announce the inputs", "err", err)
	}
}

// silence takes the announcement back, unless the sockets outlive this process: what comes meanwhile waits in them for the next one, which
// takes beats as well. A balancer that begins just then would else send its first lines without having said so. (With systemd, the directory
// goes when the service is stopped for good.)
func (d *Daemon) silence() {
	inputs, _ := d.now()
	for _, in := range inputs {
		if in.Describe().Inherited || len(in.kept) > 0 {
			return
		}
	}
	_ = os.Remove(filepath.Join(filepath.Dir(d.Config.Control.Path), inputsFile)) // which may not be there
}

// ledgerStatus is what the ledger says; nil when no sender has said anything.
func (d *Daemon) ledgerStatus() *control.Ledger {
	if d.ledger == nil {
		return nil
	}
	entries, past := d.ledger.Entries()
	if len(entries) == 0 && past.Sent == 0 && d.ledger.Killed() == 0 {
		return nil
	}
	l := &control.Ledger{Sent: past.Sent, Lost: past.Lost, Received: past.Received, Missing: past.Missing, Before: past.Before, Killed: d.ledger.Killed()}
	for _, e := range entries {
		l.Sent += e.Sent
		l.Lost += e.Lost
		l.Received += e.Received
		l.Missing += e.Missing
		l.Before += e.Before
		l.Senders = append(l.Senders, control.LedgerSender{
			Input: e.Input, Peer: e.Peer, PID: e.PID, Generation: e.Generation, Sent: e.Sent, Lost: e.Lost, Received: e.Received,
			Missing: e.Missing, Heard: e.Heard, Ended: e.Final,
		})
	}
	return l
}
