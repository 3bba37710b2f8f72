package worker

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// raiseFiles raises the limit of open files to what is needed: the soft limit
// as far as the hard one allows, the hard one too where the process may.
// The Go runtime has raised the soft limit to the hard one already. fit is how many
// connections a limit is enough for.
func raiseFiles(need uint64, fit func(files uint64) (conns int)) error {
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
	return fmt.Errorf("maxconn needs %d open files and the limit is %d: %d connections are accepted at a time, more wait; raise LimitNOFILE (or ulimit -n), or lower maxconn",
		need, have.Max, fit(have.Max))
}

// confine makes dir all that this process sees of the files; "" does nothing.
// It is done before root is given up, which otherwise has ways out.
func confine(dir string) error {
	if dir == "" {
		return nil
	}
	_ = time.Now().Format(time.RFC822) // reads the time zone's file, which may not be in there
	if err := syscall.Chroot(dir); err != nil {
		return fmt.Errorf("chroot %s: %w (it needs root or CAP_SYS_CHROOT; remove `chroot`, or start as root)", dir, err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("chroot %s: %w", dir, err)
	}
	return nil
}

// become gives up root: the group first, because without root it could not.
// -1 leaves a part as it is. With wayBack asRoot can still be called.
func become(uid, gid int, wayBack bool) error {
	if os.Geteuid() == 0 && (gid >= 0 || uid > 0) {
		groups := []int{}
		if gid >= 0 {
			groups = append(groups, gid)
		}
		if err := syscall.Setgroups(groups); err != nil {
			return fmt.Errorf("give up root's groups: %w", err)
		}
	}
	if gid >= 0 && gid != os.Getegid() {
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

// leanDump keeps memory out of dumps that do not ask the kernel whether this
// process may be dumped: gcore(1) of root takes what core(5)'s coredump_filter
// says. Must come before a change of users, after which the file is root's. Where
// it cannot be written (no /proc) dumpable has to do.
func leanDump() { _ = os.WriteFile("/proc/self/coredump_filter", []byte("0"), 0) }

// dumpable says whether this process may leave core dumps, and whether
// debuggers of other users may look at it (prctl(2), PR_SET_DUMPABLE).
func dumpable(yes bool) error {
	value, what := uintptr(0), "keep keys out of core dumps"
	if yes {
		value, what = 1, "allow core dumps"
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, value, 0, 0, 0); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
