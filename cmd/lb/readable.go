package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/worker"
)

// Root may read every file, and the packaged unit runs lb as a user of its own: a
// key that is valid for `lb -c` could be refused at the reload.

// unreadable are warnings about files that root has read for -c, and that the
// master at socket could not read at a reload, if it was started with these
// configuration files.
func (o *options) unreadable(cfg *config.Config, socket string) (warnings []string) {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	defer c.Close()
	cred, err := handoff.Peer(c.(*net.UnixConn))
	if err != nil || cred.Uid == 0 || !startedWith(int(cred.Pid), o.files) {
		return nil
	}
	var paths []string
	for _, f := range worker.Files(cfg) {
		path, err := filepath.Abs(f.Path)
		if _, missing := os.Stat(path); err == nil && missing == nil {
			paths = append(paths, path)
		}
	}
	refused, err := refusedTo(int(cred.Pid), paths)
	if errors.Is(err, os.ErrNotExist) { // the process has ended, or there is no shell
		return nil
	}
	if err != nil {
		return []string{fmt.Sprintf("whether the user %d, as whom lb serves, may read the files is not known: %v", cred.Uid, err)}
	}
	for _, path := range refused {
		warnings = append(warnings, fmt.Sprintf("%s: root can read it, but not the user %d, as whom lb serves (pid %d): a reload would fail", path, cred.Uid, cred.Pid))
	}
	return warnings
}

// startedWith reports whether a process has one of some files on its command line.
func startedWith(pid int, files []string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	words := strings.Split(string(line), "\x00")
	return slices.ContainsFunc(files, func(name string) bool { return slices.Contains(words, name) })
}

// refusedTo are the files that a process's user and groups may not read.
func refusedTo(pid int, paths []string) ([]string, error) {
	who, err := credentials(pid)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", `while IFS= read -r f; do [ -r "$f" ] || printf '%s\n' "$f"; done`)
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\n") + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == '\n' }), nil
}

// credentials are whose rights a process has.
func credentials(pid int) (*syscall.Credential, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	ids := func(name string) (list []uint32) {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				for _, word := range strings.Fields(rest) {
					if n, err := strconv.ParseUint(word, 10, 32); err == nil {
						list = append(list, uint32(n))
					}
				}
			}
		}
		return list
	}
	uid, gid := ids("Uid"), ids("Gid") // real, effective, saved, of the file system
	if len(uid) < 2 || len(gid) < 2 {
		return nil, fmt.Errorf("/proc/%d/status has no user", pid)
	}
	return &syscall.Credential{Uid: uid[1], Gid: gid[1], Groups: ids("Groups")}, nil
}
