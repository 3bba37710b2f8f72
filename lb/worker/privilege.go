package worker

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// raiseFiles raises the limit of open files to what is needed: the soft limit
// as far as the hard one allows, the hard one too where the process may.
// The Go runtime has raised the soft limit to the hard one already.
func raiseFiles(need uint64) error {
	var have syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &have); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if need <= have.Cur {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: need, Max: max(need, have.Max)}); err == nil {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: min(need, have.Max), Max: have.Max}); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if need <= have.Max {
		return nil
	}
	return fmt.Errorf("maxconn needs %d open files and the limit is %d: raise LimitNOFILE (or ulimit -n), or lower maxconn", need, have.Max)
}

// become gives up root: the group first, because without root it could not.
// -1 leaves a part as it is. With wayBack asRoot can still be called.
func become(uid, gid int, wayBack bool) error {
	if gid >= 0 && gid != os.Getegid() {
		if os.Geteuid() == 0 {
			if err := syscall.Setgroups([]int{gid}); err != nil {
				return fmt.Errorf("give up root's groups: %w", err)
			}
		}
		if err := syscall.Setresgid(gid, gid, gid); err != nil {
			return fmt.Errorf("become group %d: %w (only root may; remove `group`, or start as root)", gid, err)
		}
	}
	if uid >= 0 && uid != os.Geteuid() {
		saved := uid
		if wayBack {
			saved = os.Geteuid()
		}
		if err := syscall.Setresuid(uid, uid, saved); err != nil {
			return fmt.Errorf("become user %d: %w (only root may; remove `user`, or start as root)", uid, err)
		}
	}
	return nil
}

// asRoot calls f as the user that this process was before become, and then
// goes the way back for the last time. What a start is completed with needs it:
// signals to processes of another user, paths in directories of root.
func asRoot(f func() error) error {
	_, effective, before := unix.Getresuid()
	if before == effective {
		return f()
	}
	if err := syscall.Setresuid(-1, before, -1); err != nil {
		return fmt.Errorf("become user %d again: %w", before, err)
	}
	err := f()
	if gone := syscall.Setresuid(effective, effective, effective); gone != nil {
		return fmt.Errorf("give up user %d: %w", before, gone)
	}
	return err
}
