package forward

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/syslogd/circle"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// TestCircle has a peer that sends everything back. It gets lines a bounded number of times, status says why, and new lines go on.
func TestCircle(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	var came, news atomic.Uint64
	addr := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			count, err := in.ReadString(' ')
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(strings.TrimSuffix(count, " "))
			b := make([]byte, n)
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			came.Add(1)
			if strings.HasSuffix(string(b), "n=7") {
				news.Add(1)
			}
			w.Write(append(b, '\n'))
		}
	})
	f := &Forwarder{
		Peers: only(addr), Queue: queueOf(w), Session: 20 * time.Millisecond, Settle: time.Millisecond,
		circle: circle.Circle{After: 200 * time.Millisecond},
	}
	f.Start()
	defer f.Close()
	write(t, w, 0, 5)
	wait.Until(t, "the circle to be seen", func() bool { return strings.Contains(f.Counts().LastError, "comes back") })
	wait.Until(t, "nothing to be left to send", func() bool { return f.Counts().Behind == 0 })
	before := came.Load()
	write(t, w, 7, 8)
	wait.Until(t, "a new line to be sent", func() bool { return news.Load() > 0 })
	wait.Until(t, "nothing to be left to send", func() bool { return f.Counts().Behind == 0 })
	if c := f.Counts(); c.Looped == 0 || came.Load() > before+circle.Lines*2 {
		t.Errorf("%d and then %d lines came: %+v", before, came.Load(), c)
	}
}
