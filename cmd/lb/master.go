package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/cmd/internal/buildinfo"
	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/cmd/internal/notify"
	"lbsyslogd/cmd/internal/patience"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/master"
	"lbsyslogd/lb/safefile"
)

// beMaster is -W and -Ws.
func beMaster(o *options, args []string, opener *handoff.Opener, signals <-chan os.Signal, out *console.Writer) (int, error) {
	self, err := program()
	if err != nil {
		return refused, err
	}
	pid := os.Getpid()
	starts := patience.Patience{Unit: "lb", Config: o.files, Write: safefile.Write}
	m := &master.Master{
		Binary: self, Args: args, Version: buildinfo.Version(), Started: time.Now(),
		Log: console.Logger(out, pid, o.quiet), Out: out, Terse: out.Journal(), Stdout: os.Stdout, Stderr: out.File,
		Pidfile: o.pidfile, Opener: opener,
		FirstReady: func() {
			starts.Worked()
			replaceOld(o)
			if err := notifyParent(); err != nil {
				fmt.Fprintf(out, "[WARNING]  (%d) : %v\n", pid, err)
			}
		},
	}
	if isDaemon() {
		// Once they serve, workers must not hold what the daemon's parent was
		// started with; what they say before that comes through the master.
		null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
		if err != nil {
			return refused, err
		}
		defer null.Close()
		m.Stdout, m.Stderr = null, null
	}
	if err := serviceManager(o, m); err != nil {
		return refused, err
	}
	if dir := runtimeDirectory(); m.Notify != nil && dir != "" && len(m.Links) == 0 {
		starts.Path = filepath.Join(dir, "failed-starts")
		starts.Notify = func(status string) { _ = m.Notify.Send("STATUS=" + status) } // nothing depends on it
		if !starts.Wait(signals) {
			return done, nil
		}
	}
	forget, err := commandSocket(o, m, opener)
	if err != nil {
		starts.Failed()
		return refused, err
	}
	defer forget()
	code := m.Run(signals)
	if code == refused {
		starts.Failed()
	}
	return code, nil
}

// runtimeDirectory is the unit's RuntimeDirectory=; "" without one.
func runtimeDirectory() string {
	dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return dir
}

// serviceManager connects the master to systemd, and takes back what it kept.
func serviceManager(o *options, m *master.Master) error {
	kept := notify.Take()
	if o.systemd {
		if manager := notify.Find(); manager != nil {
			m.Notify = manager
		}
		var err error
		if m.Watchdog, err = notify.Watchdog(); err != nil {
			return err
		}
	}
	estate, err := master.Inherit()
	if err != nil {
		return err
	}
	if estate != nil {
		return estate.Take(m)
	}
	return m.TakeKept(func(yield func(string, *os.File) bool) {
		for _, k := range kept {
			if !yield(k.Name, k.File) {
				return
			}
		}
	})
}

// commandSocket opens -S. The function returned removes its path again.
func commandSocket(o *options, m *master.Master, opener *handoff.Opener) (forget func(), err error) {
	address := o.cli
	if dir := runtimeDirectory(); address == "" && o.systemd && dir != "" {
		address = filepath.Join(dir, "master.sock")
	}
	if address == "" {
		return func() {}, nil
	}
	w, err := commandAddress(address)
	if err != nil {
		return nil, usageError{fmt.Sprintf("-S %s: %v", address, err)}
	}
	if w.Network == "unix" {
		m.Rendezvous = w.Address
	}
	m.Onlookers = w.Network == "unix" && !strings.Contains(address, ",mode,")
	forget = func() { _ = opener.Forget(w.Key()) } // a path that is gone already is as good
	if m.Rendezvous != "" {
		// Those with a connection that is known already hang up. One may have been missed.
		defer func() {
			if err == nil {
				m.Links = append(m.Links, master.FindWorkers(m.Rendezvous)...)
			}
		}()
	}
	if m.CLI != nil {
		return forget, nil // kept by an upgrade
	}
	if w.Network == "unix" && len(o.finish) == 0 && len(o.end) == 0 {
		if err := alone(w.Address); err != nil {
			return nil, err
		}
	}
	fd, err := opener.Open(w)
	if err != nil {
		return nil, fmt.Errorf("-S: %w", err)
	}
	f := os.NewFile(uintptr(fd), w.Address)
	defer f.Close()
	if m.CLI, err = net.FileListener(f); err != nil {
		return nil, fmt.Errorf("-S: %w", err)
	}
	return forget, nil
}

// alone refuses to take the command socket away from a master that lives.
func alone(path string) error {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil
	}
	defer c.Close()
	who := "another master"
	if cred, err := handoff.Peer(c.(*net.UnixConn)); err == nil {
		who = fmt.Sprintf("another master (pid %d)", cred.Pid)
	}
	return fmt.Errorf("%s answers on %s already: reload it, stop it, or use another socket (-S)", who, path)
}

// groupMode is the command socket's mode where none is asked for: the group may
// connect, and look.
const groupMode = 0o660

// commandAddress reads PATH[,OPTION,VALUE...], as HAProxy's -S.
func commandAddress(text string) (handoff.Want, error) {
	words := strings.Split(text, ",")
	w := handoff.Want{Network: "unix", Address: words[0], Mode: groupMode, UID: -1, GID: -1, Where: "-S"}
	for _, prefix := range []string{"unix@", "uxst@"} {
		w.Address = strings.TrimPrefix(w.Address, prefix)
	}
	for _, network := range []string{"fd", "abns"} {
		if rest, ok := strings.CutPrefix(words[0], network+"@"); ok {
			w.Network, w.Address = network, rest
		}
	}
	if rest, ok := strings.CutPrefix(words[0], "ipv4@"); ok {
		w.Network, w.Address = "tcp", rest
	}
	if w.Network == "unix" {
		path, err := filepath.Abs(w.Address)
		if err != nil {
			return w, err
		}
		w.Address = path
	}
	words = words[1:]
	if len(words)%2 != 0 {
		return w, fmt.Errorf("the option %q has no value", words[len(words)-1])
	}
	for ; len(words) > 0; words = words[2:] {
		if err := commandOption(&w, words[0], words[1]); err != nil {
			return w, err
		}
	}
	return w, nil
}

func commandOption(w *handoff.Want, name, value string) (err error) {
	switch name {
	case "mode":
		var mode uint64
		mode, err = strconv.ParseUint(value, 8, 32)
		w.Mode = uint32(mode)
	case "uid":
		w.UID, err = strconv.Atoi(value)
	case "gid":
		w.GID, err = strconv.Atoi(value)
	case "user":
		u, lookup := user.Lookup(value)
		if lookup != nil {
			return errors.New("there is no user " + value)
		}
		w.UID, err = strconv.Atoi(u.Uid)
	case "group":
		g, lookup := user.LookupGroup(value)
		if lookup != nil {
			return errors.New("there is no group " + value)
		}
		w.GID, err = strconv.Atoi(g.Gid)
	case "level", "severity-output":
		// The master's commands have no levels.
	default:
		return fmt.Errorf("there is no option %q", name)
	}
	if err != nil {
		return fmt.Errorf("%s %q is not a number", name, value)
	}
	return nil
}
