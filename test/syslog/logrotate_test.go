package syslog_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/tape"
)

// long is how long a test under load lasts: LB_LONG=1 asks for the whole of it.
func long(short, whole time.Duration) time.Duration {
	if os.Getenv("LB_LONG") != "" {
		return whole
	}
	return short
}

// dropIn is the packaged logrotate configuration, turned to this test's file and daemon. It compresses and does not delay that.
func dropIn(t *testing.T, d *daemon) string {
	t.Helper()
	tape.Require(t, "logrotate")
	text, err := os.ReadFile("../../logrotate/lb")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lb")
	conf := strings.Replace(string(text), "/var/log/lb/*.log", d.file(), 1)
	conf = strings.NewReplacer("/usr/sbin/syslogd reopen", binary()+" reopen -s "+d.socket(), "/var/log/lb", d.dir, "/etc/logrotate.d/lb", path,
		"rotate 90", "rotate 1000").Replace(conf)
	if !regexp.MustCompile(`(?m)^\s*compress$`).MatchString(conf) || regexp.MustCompile(`(?m)^\s*(delaycompress|nocompress)$`).MatchString(conf) ||
		strings.Contains(conf, "/usr/sbin") || !strings.Contains(conf, "rotate 1000") {
		t.Fatalf("the drop-in has changed:\n%s", conf)
	}
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func logrotate(conf string) error {
	out, err := exec.Command("logrotate", "-f", "-s", conf+".state", conf).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("logrotate: %v: %s", err, out)
	}
	return nil
}

// TestLogrotateUnderLoad is the night that killed the operators' balancer, once a second: logrotate renames the file, runs the
// drop-in's postrotate and compresses at once, while lines keep coming.
func TestLogrotateUnderLoad(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs: [{match: "local0.*", file: DIR/lb.log, rotate: never}]
`)
	conf := dropIn(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const enough = 8 // rotations, however slow they are
	end := time.Now().Add(long(12*time.Second, 30*time.Second))
	sent := make(chan int)
	go func() {
		n, err := flood.Flood{To: d.addr(), Rate: 20_000}.Send(ctx)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	rotations := 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for rotations < enough || time.Now().Before(end) {
		<-tick.C
		if err := logrotate(conf); err != nil {
			t.Error(err)
		}
		rotations++
	}
	cancel()
	n := <-sent
	d.do("flush")
	l := account(t, d.dir, "lb", 0, n, 200)
	s := d.status()
	t.Logf("%d lines sent, %d found after %d rotations; %d dropped by the kernel", n, l.lines, rotations, s.Total.KernelDrops)
	l.balanced(t)
	if n < 100_000 {
		t.Errorf("%d lines show nothing", n)
	}
	if s.Outputs[0].Reopens != uint64(rotations) {
		t.Errorf("%d reopens for %d rotations", s.Outputs[0].Reopens, rotations)
	}
}

// TestRotationsFromAllSides rotates by command, by size and by logrotate at once, compresses with zstd, and reopens in a loop, while
// lines keep coming.
func TestRotationsFromAllSides(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs: [{match: "local0.*", file: DIR/lb.log, rotate: {size: 5MB, compress: zstd}}]
`)
	conf := dropIn(t, d)
	ctx, cancel := context.WithTimeout(context.Background(), long(6*time.Second, 60*time.Second))
	defer cancel()
	sent := make(chan int)
	go func() {
		n, err := flood.Flood{To: d.addr(), Rate: 100_000}.Send(ctx)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil {
			if err := d.try("reopen"); err != nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := logrotate(conf); err != nil {
					t.Error(err)
				}
			}
		}
	})
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		d.do("rotate")
		<-tick.C
	}
	others.Wait()
	n := <-sent
	d.do("flush")
	s := d.status()
	d.stop() // a compression under way is given up
	d.run()  // and done again
	compressed(t, d.dir, func(name string) bool { return strings.HasPrefix(name, "lb-") && !strings.HasSuffix(name, ".zst") })
	l := account(t, d.dir, "lb", 0, n, 200)
	t.Logf("%d lines sent, %d found after %d rotations and %d reopens; %d dropped by the kernel", n, l.lines, s.Total.Rotations,
		s.Total.Reopens, s.Total.KernelDrops)
	if l.lost -= int(s.Total.KernelDrops); l.lost < 0 {
		t.Errorf("fewer lines are lost than the kernel says it dropped: %d", l.lost)
	}
	l.balanced(t)
}
