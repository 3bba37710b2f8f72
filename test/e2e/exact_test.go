package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/ledger"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// books is a balancer whose figures are compared with what the servers and the disk say.
type books struct {
	*stack
	t      *testing.T
	target string
	asked  int
	client http.Client
}

// ask sends requests, over a few connections, one after the other on each.
func (b *books) ask(n int) {
	b.t.Helper()
	for range n {
		resp, err := b.client.Get(fmt.Sprintf("http://%s/r/exact/%d", b.http, b.asked))
		if err != nil || resp.StatusCode != 200 {
			b.t.Fatalf("request %d: %v", b.asked, err)
		}
		resp.Body.Close()
		b.asked++
	}
}

// onDisk is how many requests have a line in the files; none has two.
func (b *books) onDisk() int {
	b.t.Helper()
	if _, err := b.log.Verb(b.t.Context(), "flush"); err != nil {
		b.t.Fatal(err)
	}
	all := ledger.New("exact", b.asked)
	if err := all.ReadAll(b.log.Log); err != nil {
		b.t.Fatal(err)
	}
	r := all.Report()
	if r.Double > 0 || r.Foreign > 0 || r.Torn > 0 {
		b.t.Errorf("the files: %v", r)
	}
	return r.Lines
}

// settled waits until the ledger has heard of as many lines as there are requests, sent or lost by the sender.
func (b *books) settled() (l *control.Ledger) {
	b.t.Helper()
	wait.Until(b.t, fmt.Sprintf("the ledger's word on %d lines", b.asked), func() bool {
		status, err := b.log.Status(b.t.Context())
		if err != nil || status.Ledger == nil {
			return false
		}
		l = status.Ledger
		return int(l.Sent+l.Lost) == b.asked
	})
	return l
}

// want holds that the ledger says of the lines what the disk does.
func (b *books) want(lost, missing, killed int) {
	b.t.Helper()
	var l *control.Ledger
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("the ledger's last word is %+v", l)
		}
	})
	// A word of the ledger can overtake the lines that it speaks of.
	wait.Until(b.t, fmt.Sprintf("%d lost by the sender, %d missing, %d killed, none before", lost, missing, killed), func() bool {
		l = b.settled()
		return int(l.Lost) == lost && int(l.Missing) == missing && int(l.Killed) == killed && l.Before == 0
	})
	if n := b.onDisk(); n != b.asked-lost-missing-killed {
		b.t.Errorf("%d requests, %d lines on the disk, %d lost, %d missing, %d killed", b.asked, n, lost, missing, killed)
	}
}

// sent waits until the balancer has sent as many lines as there were requests: the last one's is sent a moment after its answer.
func (b *books) sent() {
	b.t.Helper()
	want := fmt.Sprintf("lb_log_lines_total{target=%q,result=\"sent\"} %d\n", b.target, b.asked)
	wait.Until(b.t, fmt.Sprintf("%d lines to be sent", b.asked), func() bool {
		resp, err := b.client.Get("http://" + b.http + "/metrics")
		if err != nil {
			b.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), want)
	})
}

// block runs an iptables rule about what goes to the log daemon until lift is called, which says how many datagrams it stopped.
func (b *books) block(chain string) (stopped func() int, lift func()) {
	b.t.Helper()
	iptables := tape.Require(b.t, "iptables")
	_, port, _ := strings.Cut(b.target, ":")
	rule := func(what string) {
		b.t.Helper()
		if out, err := exec.Command(iptables, what, chain, "-d", host, "-p", "udp", "--dport", port, "-j", "DROP").CombinedOutput(); err != nil {
			b.t.Fatalf("iptables: %v %s", err, out)
		}
	}
	rule("-I")
	lifted := false
	lift = func() {
		if !lifted {
			lifted = true
			rule("-D")
		}
	}
	b.t.Cleanup(lift)
	return func() int {
		out, err := exec.Command(iptables, "-vnxL", chain).Output()
		if err != nil {
			b.t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "udp dpt:"+port) {
				n, err := strconv.Atoi(strings.Fields(line)[0])
				if err != nil {
					b.t.Fatal(err)
				}
				return n
			}
		}
		return 0
	}, lift
}

func keep(t *testing.T, udp bool) *books {
	t.Helper()
	t.Setenv("LB_LEDGER", "always")
	b := &books{t: t, client: http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}} // one connection, and one loop
	// Connections without a request, as ab leaves some at its end, have no line.
	b.stack = start(t, options{log: true, udp: udp, unix: !udp, fe: "    option dontlognull\n    http-request set-log-level silent if { path /metrics }\n    http-request use-service prometheus-exporter if { path /metrics }"})
	if b.target = b.log.Unix; udp {
		b.target = b.log.UDP
	}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// TestLedgerIsExact: what the log daemon says is missing is what is missing, whoever loses it: the network, a sender that may not send, a worker that is killed
// while lines wait, the log daemon that is killed. The truth is from outside: how many requests there were, and how many lines are on the disk.
func TestLedgerIsExact(t *testing.T) {
	t.Run("1,000 lines are dropped on their way", func(t *testing.T) {
		if os.Getuid() != 0 {
			tape.Skipf(t, "iptables is for root")
		}
		b := keep(t, true)
		b.ask(100)
		b.sent()
		stopped, lift := b.block("INPUT")
		b.ask(1000)
		b.sent()
		wait.Until(t, "the rule to stop 1,000 lines", func() bool { return stopped() >= 1000 })
		lift()
		b.ask(100)
		b.want(0, 1000, 0)
		if out, err := b.log.Verb(t.Context(), "status"); err != nil || !strings.Contains(out, "1200 lines sent, 200 received: 1000 MISSING;") {
			t.Errorf("status says %v\n%s", err, out)
		}
	})
	t.Run("1,000 lines may not be sent", func(t *testing.T) {
		if os.Getuid() != 0 {
			tape.Skipf(t, "iptables is for root")
		}
		b := keep(t, true)
		b.ask(100)
		b.sent()
		stopped, lift := b.block("OUTPUT")
		b.ask(1000)
		wait.Until(t, "the rule to stop 1,000 lines", func() bool { return stopped() >= 1000 })
		wait.Until(t, "them to be counted", func() bool { n, err := b.lb.Info("DroppedLogs"); return err == nil && n == 1000 })
		lift()
		b.ask(100)
		b.want(1000, 0, 0)
	})
	t.Run("a worker is killed while lines wait", func(t *testing.T) {
		b := keep(t, false)
		b.ask(100)
		b.settled()
		freeze(t, b.log.Process, true)
		const waiting = 5000 // some of which the next worker knows, but not all
		b.ask(waiting)
		before := b.worker(t)
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		freeze(t, b.log.Process, false)
		wait.Until(t, "another worker", func() bool { now, _, err := b.lb.Workers(); return err == nil && now != before })
		b.ask(100)
		l := b.settled()
		if l.Lost == 0 || l.Lost >= waiting {
			t.Errorf("%d lines of %d were lost: nothing was tested", l.Lost, waiting)
		}
		b.want(int(l.Lost), 0, 0)
	})
	t.Run("the log daemon is killed, again and again", func(t *testing.T) {
		b := keep(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		for i := range 5 {
			b.ask(100)
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.ask(400)
			}()
			if i%2 == 1 {
				if out, err := b.lb.Reload(ctx); err != nil {
					t.Errorf("%v %s", err, out)
				}
			}
			if _, err := b.log.Verb(ctx, "rotate"); err != nil {
				t.Error(err)
			}
			if err := b.log.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-b.log.Done()
			if err := b.log.Start(ctx, built.Syslogd); err != nil {
				t.Fatal(err)
			}
			<-done
		}
		wait.Until(t, "the ledger and the disk to agree", func() bool {
			l := b.settled()
			return l.Lost == 0 && l.Before == 0 && b.onDisk() == b.asked-int(l.Missing+l.Killed)
		})
	})
}

// heard waits until the log daemon has heard of the worker that serves. One that looks for it first while it is stopped says nothing of itself, and the
// lines that it sends until it looks again are in nobody's account.
func (b *books) heard() {
	b.t.Helper()
	wait.Until(b.t, "the worker's first report", func() bool {
		serving, _, err := b.lb.Workers()
		if err != nil {
			return false
		}
		status, err := b.log.Status(b.t.Context())
		return err == nil && status.Ledger != nil && slices.ContainsFunc(status.Ledger.Senders, func(s control.LedgerSender) bool { return s.PID == strconv.Itoa(serving) })
	})
}

// TestLedgerUnderAB: no line is missing while ab's clients are served and both daemons are reloaded, rotated and restarted; ledger, disk and clients agree.
func TestLedgerUnderAB(t *testing.T) {
	ab := tape.Require(t, "ab")
	b := keep(t, false)
	const path, requests = "/r/under-ab", 1000
	deeds, done := make(chan struct{}), make(chan struct{})
	defer func() { <-done }() // also where a deed ends the test
	go func() {
		defer close(done)
		for {
			out, err := exec.Command(ab, "-q", "-r", "-s", "60", "-c", "4", "-n", strconv.Itoa(requests), "http://"+b.http+path).CombinedOutput()
			if text := string(out); err != nil || abFigure(text, "Complete requests") != requests || abFigure(text, "Failed requests") != 0 || abFigure(text, "Non-2xx responses") != 0 {
				t.Errorf("ab: %v\n%s", err, out)
				return
			}
			b.asked += requests
			select {
			case <-deeds:
				return
			default:
			}
		}
	}()
	try := func(what string, out string, err error) {
		if err != nil {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	for range 2 {
		out, err := b.lb.Reload(t.Context())
		try("reload", out, err)
		out, err = b.log.Verb(t.Context(), "rotate")
		try("rotate", out, err)
		try("lb's restart", "", b.lb.Replace(t.Context()))
		b.heard()
		try("syslogd's stop", "", b.log.Stop())
		try("syslogd's start", "", b.log.Start(t.Context(), built.Syslogd))
		out, err = b.lb.Reload(t.Context())
		try("reload", out, err)
		try("the restart of lb's master", "", b.lb.Restart(t.Context()))
	}
	close(deeds)
	<-done
	b.wantLines(t, path+" ", b.asked)
	t.Cleanup(func() {
		if t.Failed() {
			text, err := b.log.Verb(context.Background(), "status")
			t.Logf("status says %v\n%s", err, text)
		}
	})
	var l *control.Ledger
	wait.Until(t, "the ledger to have heard of all", func() bool { l = b.settled(); return int(l.Received) == b.asked })
	if l.Missing+l.Lost+l.Killed+l.Before > 0 {
		t.Errorf("the ledger's difference is not 0: %+v", l)
	}
	t.Logf("%d requests, %d senders", b.asked, len(l.Senders))
}

// freeze stops a process, or has it go on.
func freeze(t *testing.T, p *rig.Process, stop bool) {
	t.Helper()
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := p.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if !stop {
		return
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGCONT) }) // or it could not be stopped at the end
	wait.Until(t, "the process to stop", func() bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "stat"))
		return err == nil && bytes.Contains(text, []byte(") T "))
	})
}
