package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lbsyslogd/syslogd/relp"
	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// TestRELPOverReloads reloads while messages come over RELP, to files that come and go and to such as messages choose. Whatever is acknowledged is in the
// files, and a client whose session a reload ends goes on with the next one.
func TestRELPOverReloads(t *testing.T) {
	dir, address := t.TempDir(), port.Reserve(t)
	configs := []string{
		"outputs: [{file: DIR/a.log, rotate: never}]\n",
		"outputs: [{file: DIR/b.log, rotate: {size: 20kB}}, {match: \"user.*\", file: DIR/c.log, format: json, rotate: never}]\n",
		"outputs: [{file: DIR/set/%tag%.log, rotate: never, files: {open: 2}}]\n",
	}
	text := func(i int) string { return "listen: relp://" + address + "\n" + configs[i%len(configs)] }
	socket := run(t, dir, text(0))

	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	const clients = 3
	var acknowledged [clients]atomic.Int64
	for k := range clients {
		senders.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				c, err := relp.Open(ctx, conn, "test")
				for err == nil {
					var batch [][]byte
					for i := range 50 {
						batch = append(batch, fmt.Appendf(nil, "<13>app%d: client %d message %d.", i%4, k, int(acknowledged[k].Load())+i))
					}
					var taken int
					taken, _, err = c.Send(ctx, batch)
					acknowledged[k].Add(int64(taken))
				}
				if c != nil {
					c.Abandon()
				}
			}
		})
	}
	for i := range 9 {
		configure(t, dir, text(i+1))
		for _, command := range []string{"reload", "rotate", "flush"} {
			if ask(t, socket, command) == "" {
				t.Errorf("%s failed", command)
			}
		}
	}
	for k := range acknowledged {
		wait.Until(t, fmt.Sprintf("messages of client %d", k), func() bool { return acknowledged[k].Load() >= 100 || t.Failed() })
	}
	cancel()
	senders.Wait()
	ask(t, socket, "flush")

	var all strings.Builder
	for _, pattern := range []string{"*.log*", "set/*.log*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
	}
	written := make(map[string]bool)
	for _, m := range regexp.MustCompile(`client \d+ message \d+\.`).FindAllString(all.String(), -1) {
		written[m] = true
	}
	for k := range acknowledged {
		n := int(acknowledged[k].Load())
		for i := range n {
			if !written[fmt.Sprintf("client %d message %d.", k, i)] {
				t.Fatalf("message %d of %d of client %d is acknowledged and in no file", i, n, k)
			}
		}
	}
}

// TestRELPBeyondALimit: what a limit drops is acknowledged and counted. Without an answer the client would send it again and again, and everything after it
// would wait.
func TestRELPBeyondALimit(t *testing.T) {
	dir, address := t.TempDir(), port.Reserve(t)
	socket := run(t, dir, "listen: {address: relp://"+address+", limit: {rate: 1, burst: 40}}\noutputs: [{file: DIR/a.log, rotate: never, limit: {rate: 1, burst: 10}}]\n")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := relp.Open(t.Context(), conn, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abandon()
	const count = 1000
	var batch [][]byte
	for i := range count {
		batch = append(batch, fmt.Appendf(nil, "<13>app: message %d.", i))
	}
	if taken, refused, err := c.Send(t.Context(), batch); taken != count || len(refused) > 0 || err != nil {
		t.Fatalf("%d taken, %v, %v", taken, refused, err)
	}
	ask(t, socket, "flush")
	s := statusOf(t, socket)
	in, out := s.Inputs[0], s.Outputs[0]
	if in.Received != count || in.Acknowledged != count || in.Limited == 0 || in.Routed+in.Limited != count || out.Limited == 0 || out.Written+out.Limited < in.Routed {
		t.Errorf("%+v, %+v", in, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.log"))
	if n := strings.Count(string(text), "message "); err != nil || n < 10 || n == count {
		t.Errorf("%d lines, %v", n, err)
	}
}
