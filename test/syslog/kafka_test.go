package syslog_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lbsyslogd/test/wait"
)

// TestKafkaThatMisbehaves kills syslogd three times while lines come, files rotate, and brokers lose connections and acknowledgements, are no leaders any
// more, go and come back, and in the long form answer nothing for a while. By the idempotence keys nothing is missing, the order is kept, and what is there twice is no more than was under way when syslogd was killed.
func TestKafkaThatMisbehaves(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	stalled := misbehave(cluster)
	ports := make([]int, 3)
	for i, address := range cluster.ListenAddrs() {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = int(at.Port())
	}
	const batch = 500
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs:
  - name: lb
    file: DIR/lb.log
    format: rfc5424
    rotate: {size: 300kB, keep: 100000, compress: zstd}
    forward: {to: [kafka://`+strings.Join(cluster.ListenAddrs(), ", kafka://")+fmt.Sprintf(`], topic: logs, partition_by: "%%text%%", backoff: 100ms, batch: {lines: %d, age: 50ms}}
`, batch))
	count := 20_000
	if os.Getenv("LB_LONG") != "" {
		count = 1_000_000
	}
	trickled := trickleNumbers(t, d.addr(), count)
	for node := range int32(3) {
		wait.Until(t, "lines to be confirmed", func() bool { return d.status().Outputs[0].Forward.Confirmed > uint64(count/20) })
		d.kill()
		if err := cluster.RemoveNode(node); err != nil { // one broker after the other goes, and comes back
			t.Fatal(err)
		}
		d.run()
		wait.Until(t, "the other brokers to take lines", func() bool { return d.status().Outputs[0].Forward.Confirmed > 0 })
		if _, _, err := cluster.AddNode(node, ports[node]); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("LB_LONG") != "" {
		stalled.Store(true)
		wait.Until(t, "the stall to be noticed", func() bool { return d.status().Outputs[0].Forward.Error != "" })
		stalled.Store(false)
	}
	trickled()
	d.do("flush")
	f := d.status().Outputs[0].Forward
	for f.Behind > 0 || f.Error != "" {
		before := f.Confirmed
		wait.Until(t, "more lines to be confirmed", func() bool {
			f = d.status().Outputs[0].Forward
			return f.Confirmed > before || f.Behind == 0 && f.Error == ""
		})
	}
	if f.Missed != 0 || f.GivenUp != 0 || f.Refused != 0 {
		t.Errorf("%+v", f)
	}
	d.stop()

	want := 0
	files := filesInOrder(t, d.dir)
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := plain(file)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(in); lines.Scan(); {
			want++
		}
		file.Close()
	}
	out, err := exec.Command(binary(), "verify", "--kafka", "-f", d.config).CombinedOutput()
	t.Logf("%s", out)
	var lines, held, hosts, partitions, topics, gaps, bytes, twice, disordered, others int
	n, scanErr := fmt.Sscanf(string(out), "lb: %d lines of %d files of %d hosts in %d partitions of %d topics\ngaps: %d (%d bytes); duplicates: %d; out of order: %d; records of others: %d\n",
		&lines, &held, &hosts, &partitions, &topics, &gaps, &bytes, &twice, &disordered, &others)
	if err != nil || scanErr != nil || n != 10 {
		t.Fatalf("verify: %v, %v", err, scanErr)
	}
	if lines != want || held != len(files) || want < count/20 || gaps != 0 || disordered != 0 || others != 0 || twice > 3*batch {
		t.Errorf("%d lines in %d files", want, len(files))
	}
}

// misbehave has brokers fail one request in ten: some store what they do not acknowledge, some end the connection. None answers while the returned value is
// true.
func misbehave(cluster *kfake.Cluster) *atomic.Bool {
	stalled := new(atomic.Bool)
	random := rand.New(rand.NewPCG(7, 8)) // what follows runs on the cluster's goroutine
	sometimes := func(kmsg.Request) bool { return random.IntN(30) == 0 }
	produce := []kmsg.Key{kmsg.Produce}
	cluster.Fault(
		kfake.Fault{Keys: produce, Topic: "logs", Err: kerr.NotEnoughReplicasAfterAppend, Count: -1, When: sometimes},
		kfake.Fault{Keys: produce, Topic: "logs", Err: kerr.NotLeaderForPartition, Count: -1, When: sometimes},
	)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		cut := random.IntN(30) == 0
		if stalled.Load() {
			cluster.SleepControl(func() {
				for stalled.Load() {
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		if cut {
			return nil, fmt.Errorf("the connection is cut"), true
		}
		return nil, nil, false
	})
	return stalled
}
