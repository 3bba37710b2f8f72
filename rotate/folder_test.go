package rotate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

const nobody = 65534

// TestDirectoryOfOthers has somebody else own a directory on the way, who puts a symbolic link to root's in the place of the log's. Nothing is
// written, renamed, compressed or removed there.
func TestDirectoryOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root gives directories away")
	}
	top := t.TempDir()
	if err := os.Chmod(filepath.Dir(top), 0o755); err != nil {
		t.Fatal(err)
	}
	theirs, sub, precious := filepath.Join(top, "theirs"), filepath.Join(top, "theirs/sub"), filepath.Join(top, "precious")
	if err := errors.Join(os.MkdirAll(sub, 0o755), os.Chown(theirs, nobody, nobody), os.Mkdir(precious, 0o700)); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(precious, "app-2020-01-01T00-00-00.000.log")
	if err := os.WriteFile(old, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(sub, "app.log"), Options{Keep: 1, Compress: Gzip})
	write(t, w, numbered(0))
	if err := errors.Join(os.Rename(sub, filepath.Join(theirs, "old")), os.Symlink(precious, sub)); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the link to be refused", func() bool { return strings.Contains(w.Stats().ReopenError, "symbolic link") })
	write(t, w, numbered(1))
	if _, err := w.Rotate(); err == nil {
		t.Error("Rotate worked")
	}
	if _, err := w.Reopen(); err == nil {
		t.Error("Reopen worked")
	}
	if _, err := w.pass(t.Context()); err != nil {
		t.Error(err)
	}
	if got := names(t, precious); len(got) != 1 || read(t, old) != "x\n" {
		t.Errorf("in root's directory are %q", got)
	}
	if _, err := Open(filepath.Join(sub, "other.log"), Options{}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("Open: %v", err)
	}
	if err := errors.Join(os.Remove(sub), os.Rename(filepath.Join(theirs, "old"), sub)); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the directory to be taken again", func() bool { return w.Stats().ReopenError == "" })
	write(t, w, numbered(2))
	w.Close()
	once(t, content(t, sub, "app"), 3)

	// A hard link is as good as a symbolic one.
	victim := filepath.Join(top, "victim")
	if err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Link(victim, filepath.Join(theirs, "link.log"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(theirs, "link.log"), Options{}); err == nil || !strings.Contains(err.Error(), "another name") {
		t.Errorf("a hard link: %v", err)
	}
}

// TestLinksOnTheWay follows symbolic links to directories where only root or we can have made them, and none beneath Base.
func TestLinksOnTheWay(t *testing.T) {
	top := t.TempDir()
	real := filepath.Join(top, "real")
	link, relative := filepath.Join(top, "link"), filepath.Join(top, "relative")
	if err := errors.Join(os.MkdirAll(filepath.Join(real, "deep"), 0o755), os.Symlink(real, link), os.Symlink("real/../real", relative)); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{link + "/a.log", relative + "/b.log", link + "/new/c.log"} {
		w := open(t, path, Options{})
		write(t, w, numbered(i))
		if _, err := w.Rotate(); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, real); len(got) != 6 {
		t.Errorf("there are %q", got)
	}
	if err := os.Symlink(filepath.Join(real, "deep"), filepath.Join(real, "planted")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(link, "planted/a.log"), Options{Base: link}); err == nil || !strings.Contains(err.Error(), "beneath") {
		t.Errorf("a link beneath the base: %v", err)
	}
	open(t, filepath.Join(link, "deep/a.log"), Options{Base: link})
	loop := filepath.Join(top, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(loop+"/a.log", Options{}); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}

func TestAccess(t *testing.T) {
	me := uint32(os.Geteuid())
	row := func(uid, gid, mode uint32, want access) {
		t.Helper()
		if got := accessOf(&unix.Stat_t{Uid: uid, Gid: gid, Mode: unix.S_IFDIR | mode}); got != want {
			t.Errorf("%d:%d %o is %d; want %d", uid, gid, mode, got, want)
		}
	}
	row(0, 0, 0o755, ours)
	row(me, 100, 0o755, ours)
	row(nobody, 0, 0o755, shared)
	row(0, 0, 0o775, ours)
	row(0, 4, 0o775, sticky) // Ubuntu's /var/log
	row(0, 0, 0o1777, sticky)
	row(0, 0, 0o777, shared)
}

// TestOddFileSystems rotates and compresses where the kernel says that it does not know an operation, as FUSE, NFS, CIFS and FAT do, and counts
// every line. What cannot be done at all is reported once.
func TestOddFileSystems(t *testing.T) {
	strace(t)
	for _, faults := range [][]string{
		{"renameat2:error=EINVAL"}, {"renameat2:error=EOPNOTSUPP"}, {"renameat2:error=ENOSYS", "linkat:error=EPERM"},
		{"renameat2:error=EINVAL", "linkat:error=EOPNOTSUPP"}, {ofDirectory + "fsync:error=EINVAL"},
	} {
		t.Run(strings.Join(faults, " "), func(t *testing.T) {
			dir := t.TempDir()
			for i := range 3 {
				if out, err := faulty(dir, i*10, Dated, faults).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			if n := len(names(t, dir)); n != 4 {
				t.Errorf("there are %q", names(t, dir))
			}
			once(t, content(t, dir, "app"), 30)
		})
	}
}

func strace(t *testing.T) {
	t.Helper()
	tape.Require(t, "strace")
	if err := exec.Command("strace", "-qq", "-e", "inject=getppid:error=EINVAL", "true").Run(); err != nil {
		tape.Skipf(t, "strace: %v", err)
	}
}

// ofDirectory begins a fault of calls with the directory itself, and not with its files.
const ofDirectory = "directory "

// faulty is TestChildThatIsKilled, with faults.
func faulty(dir string, first int, naming Naming, faults []string) *exec.Cmd {
	args := []string{"-f", "-qq", "-o", "/dev/null"}
	for _, f := range faults {
		of, ok := strings.CutPrefix(f, ofDirectory)
		if ok {
			args = append(args, "-P", dir)
		}
		args = append(args, "-e", "inject="+of)
	}
	cmd := exec.Command("strace", append(args, os.Args[0], "-test.run=^TestChildThatIsKilled$")...)
	cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(first), "ROTATE_FORM=gzip", "ROTATE_NAMING="+string(naming))
	return cmd
}

// TestKilledBeforeEachSystemCall kills a process before each system call that changes the directory, where renames take one step and where they
// take two. After that each line is there once. The long form takes every call.
func TestKilledBeforeEachSystemCall(t *testing.T) {
	strace(t)
	calls := []string{"renameat2", "linkat", "unlinkat", "fsync"}
	most := 3
	if os.Getenv("LB_LONG") != "" {
		calls = append(calls, "openat", "write", "close", "fchmod", "utimensat", "ftruncate", "getdents64")
		most = 200
	}
	for _, naming := range []Naming{Dated, Numbered} {
		for _, odd := range [][]string{nil, {"renameat2:error=EINVAL"}} {
			t.Run(fmt.Sprint(naming, odd), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				line := 0
				for _, call := range calls {
					if call == "renameat2" && odd != nil {
						continue // a call has one fault
					}
					for when := 1; when <= most; when++ {
						fault := fmt.Sprintf("%s:signal=KILL:when=%d", call, when)
						cmd := faulty(dir, line, naming, append([]string{fault}, odd...))
						out, err := cmd.CombinedOutput()
						if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && (!ok || status.Signal() != syscall.SIGKILL) {
							t.Fatalf("%s: %v\n%s", fault, err, out)
						}
						// How many of its lines are written depends on the call.
						w := open(t, filepath.Join(dir, "app.log"), Options{Naming: naming, Compress: Gzip})
						wait.Until(t, "nothing but compressed files", func() bool { return plainFiles(t, w) == 0 })
						w.Close()
						text := content(t, dir, "app")
						n := strings.Count(text, "\n")
						if once(t, text, n); t.Failed() {
							t.Fatalf("after %s there are %q", fault, names(t, dir))
						}
						line = n
						if err == nil {
							break // it has no more such calls
						}
					}
				}
				inOrder(t, dir)
			})
		}
	}
}

// plainFiles is how many rotated files are not compressed yet.
func plainFiles(t *testing.T, w *Writer) (n int) {
	t.Helper()
	all, err := w.list()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if b.form == None || b.tmp {
			n++
		}
	}
	return n
}
