package worker

import (
	"fmt"
	"os"
	"syscall"
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
// -1 leaves a part as it is.
func become(uid, gid int) error {
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
		if err := syscall.Setresuid(uid, uid, uid); err != nil {
			return fmt.Errorf("become user %d: %w (only root may; remove `user`, or start as root)", uid, err)
		}
	}
	return nil
}
