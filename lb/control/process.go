package control

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// What HAProxy tells its developers of its insides, with what is true here.

func showActivity(c *session, _ []string) {
	loops := c.Runtime.Loops()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	perLoop := func(name string, of func(l Loop) int) {
		total, each := 0, []byte("[")
		for _, l := range loops {
			total += of(l)
			each = fmt.Appendf(each, " %d", of(l))
		}
		c.say(fmt.Sprintf("%s: %d %s ]", name, total, each))
	}
	now := time.Now()
	c.say(fmt.Sprintf("thread_id: %d (1..%d)", len(loops), len(loops)))
	c.say(fmt.Sprintf("date_now: %d.%06d", now.Unix(), now.Nanosecond()/1000))
	perLoop("sessions", func(l Loop) int { return l.Sessions })
	perLoop("idle_server_conns", func(l Loop) int { return l.IdleServerConns })
	c.say(fmt.Sprintf("goroutines: %d", runtime.NumGoroutine()))
	c.say(fmt.Sprintf("gc_cycles: %d", m.NumGC))
	c.say(fmt.Sprintf("gc_pause_us_tot: %d", m.PauseTotalNs/1000))
}

func showThreads(c *session, _ []string) {
	for i, l := range c.Runtime.Loops() {
		c.say(fmt.Sprintf("  Thread %-3d: loop=%d sessions=%d idle_server_conns=%d", i+1, i, l.Sessions, l.IdleServerConns))
	}
}

// showTasks lists what goroutines are doing: the loops, checks, handshakes,
// control sockets.
func showTasks(c *session, _ []string) {
	c.say(fmt.Sprintf("Running tasks: %d (%d threads)", runtime.NumGoroutine(), runtime.GOMAXPROCS(0)))
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		c.fail(err.Error())
		return
	}
	// An empty line ends an answer, so that the profile may have none.
	for line := range bytes.Lines(b.Bytes()) {
		if len(bytes.TrimSpace(line)) > 0 {
			c.out = append(c.out, line...)
		}
	}
}

func showPools(c *session, _ []string) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	held, budget := c.Runtime.Held()
	// The Go runtime has sizes of objects in place of pools: each row counts bytes.
	c.say("Dumping pools usage. Memory is the Go runtime's.")
	pools := []struct {
		name                       string
		allocated, used, givenBack uint64
	}{
		{"heap", m.HeapSys, m.HeapAlloc, m.HeapReleased},
		{"stacks", m.StackSys, m.StackInuse, 0},
		{"held", uint64(budget), uint64(held), 0}, // for requests that wait; a part of the heap
	}
	for _, p := range pools {
		c.say(fmt.Sprintf("  - Pool %s (1 bytes) : %d allocated (%[2]d bytes), %d used, %d given back, 0 failures, 1 users", p.name, p.allocated, p.used, p.givenBack))
	}
	c.say(fmt.Sprintf("Total: %d pools, %d bytes allocated, %d used.", len(pools), m.Sys, m.HeapAlloc+m.StackInuse))
}

func showLibs(c *session, _ []string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		c.say("The program is linked statically; what of is not recorded in it.")
		return
	}
	c.say(info.GoVersion)
	for _, d := range info.Deps {
		c.say(d.Path + " " + d.Version)
	}
}

// showFD lists the descriptors of the process, or one of them.
func showFD(c *session, args []string) {
	only := -1
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			only = n
		}
	}
	const links = "/proc/self/fd/"
	for _, n := range descriptors(links) {
		if only >= 0 && n != only {
			continue
		}
		if to := descriptor(links, n); to != "" {
			c.say(fmt.Sprintf("%7d : %s", n, to))
		}
	}
}

// descriptors are the numbers of those that are open, as the directory has them; where there
// is no /proc (in a chroot), those that the kernel answers for.
func descriptors(dir string) (all []int) {
	if entries, err := os.ReadDir(dir); err == nil {
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil {
				all = append(all, n)
			}
		}
		slices.Sort(all)
		return all
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	const most = 1 << 20
	some := make([]unix.PollFd, min(limit.Cur, 1024))
	for first := 0; first < int(min(limit.Cur, most)); first += len(some) {
		for i := range some {
			some[i] = unix.PollFd{Fd: int32(first + i)}
		}
		if _, err := unix.Poll(some, 0); err != nil {
			continue // EINTR, which no answer of 0 ms has
		}
		for i := range some {
			if some[i].Revents&unix.POLLNVAL == 0 {
				all = append(all, first+i)
			}
		}
	}
	return all
}

// descriptor is what the kernel calls an open one, or nearly so where there is no /proc;
// "" for one that was closed meanwhile.
func descriptor(links string, n int) string {
	if to, err := os.Readlink(links + strconv.Itoa(n)); err == nil {
		return to
	}
	var st unix.Stat_t
	if unix.Fstat(n, &st) != nil {
		return ""
	}
	kind := map[uint32]string{
		unix.S_IFSOCK: "socket", unix.S_IFIFO: "pipe", unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFCHR: "device", unix.S_IFBLK: "device",
	}[st.Mode&unix.S_IFMT]
	if kind == "" {
		return "anon_inode" // epoll, eventfd and their kind
	}
	return fmt.Sprintf("%s:[%d]", kind, st.Ino)
}

func showRuntimeChanges(c *session, _ []string) {
	for _, change := range c.Runtime.RuntimeChanges() {
		c.say(change.What + ": " + change.Now)
	}
}

func clearRuntimeChanges(c *session, _ []string) { c.answer(c.Runtime.ClearRuntimeChanges()) }

// heading answers with one line.
func heading(line string) func(c *session, _ []string) {
	return func(c *session, _ []string) { c.say(line) }
}

// Loop is what one event loop looks after.
type Loop struct {
	Sessions        int
	IdleServerConns int
}
