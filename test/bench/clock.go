package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the processor time of all of a process's threads, those that have ended included, in nanoseconds: the sum of what
// /proc/PID/task/*/schedstat would show, up to this moment. Children that the process has waited for are added, in ticks of 10 ms (proc(5), fields 16 and 17).
func processCPU(pid int) (time.Duration, error) {
	var ts unix.Timespec
	clock := int32(^pid)<<3 | 2 // clock_getcpuclockid(3); 2 is the scheduler's count
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("the clock of process %d: %w", pid, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the command's name may hold spaces
	ticks := 0
	for _, field := range f[13:15] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ts.Nano()) + time.Duration(ticks)*10*time.Millisecond, nil
}

// processMemory returns how many bytes of a process are resident.
func processMemory(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	pages := 0
	_, err = fmt.Sscanf(string(text), "%d %d", new(int), &pages)
	return pages * os.Getpagesize(), err
}

// family calls f for a process and all its descendants.
func family(pid int, f func(pid int) error) error {
	pids := []int{pid}
	for len(pids) > 0 {
		pid := pids[0]
		pids = pids[1:]
		if err := f(pid); err != nil {
			return err
		}
		children, err := childrenOf(pid)
		if err != nil {
			return err
		}
		pids = append(pids, children...)
	}
	return nil
}

// childrenOf asks every thread of a process: a child belongs to the thread that forked it.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			pids = append(pids, n)
		}
	}
	return pids, nil
}
