package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/test/wait"
)

// A recorder is a sink that takes everything, and remembers who is open.
type recorder struct {
	mu    sync.Mutex
	lines []string
	open  map[string]bool
}

func (r *recorder) sinks() map[string]OpenSink {
	return map[string]OpenSink{"http": func(to *config.Forward) (sink.Peer, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.open[to.Address] = true
		var err error
		if to.HTTP.BearerFile != "" {
			err = errors.New("the token is not there")
		}
		return recording{r, to.Address}, err
	}}
}

// recording is an open one.
type recording struct {
	*recorder
	address string
}

func (r recording) Deliver(_ context.Context, records []sink.Record) sink.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		_, text, _ := strings.Cut(string(record.Line), "number ")
		r.lines = append(r.lines, r.address+" "+text)
	}
	return sink.Answer{Verdict: sink.Taken}
}

func (r recording) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, r.address)
	return nil
}

func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// TestReloadOfASink goes on with another receiver where the one before was, and stays with the one it has if the other cannot be used.
func TestReloadOfASink(t *testing.T) {
	dir := t.TempDir()
	text := func(address, more string) string {
		return "listen: unix://DIR/in\noutputs:\n- {file: DIR/a.log, format: rfc5424, forward: {to: \"http://" + address + "\", encoding: ndjson, batch: {age: 1ms}" + more + "}}\n"
	}
	r := &recorder{open: make(map[string]bool)}
	socket, stop := runWith(t, dir, text("one", ""), &Daemon{Log: slog.New(slog.DiscardHandler), Sinks: r.sinks()})
	say := func(n int) {
		t.Helper()
		c, err := net.Dial("unixgram", filepath.Join(dir, "in"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "<13>app: number %d", n); err != nil {
			t.Fatal(err)
		}
		ask(t, socket, "flush")
	}
	say(1)
	wait.Until(t, "the first line", func() bool { return len(r.taken()) == 1 })
	configure(t, dir, text("two", ", bearer_file: x"))
	if ask(t, socket, "reload") != "" {
		t.Error("a reload with a token that is not there succeeds")
	}
	say(2)
	wait.Until(t, "the second line", func() bool { return len(r.taken()) == 2 })
	configure(t, dir, text("two", ""))
	if ask(t, socket, "reload") == "" {
		t.Error("the reload fails")
	}
	say(3)
	wait.Until(t, "the third line", func() bool { return len(r.taken()) == 3 })
	f := statusOf(t, socket).Outputs[0].Forward
	if f.To != "http://two" || f.Confirmed != 1 || f.Requests != 1 {
		t.Errorf("%+v", f)
	}
	if got := strings.Join(r.taken(), ", "); got != "one 1, one 2, two 3" {
		t.Error(got)
	}
	stop()
	if len(r.open) != 0 {
		t.Errorf("%v is open at the end", r.open)
	}
}

// TestASinkThatIsNotBuiltIn is a reason not to start.
func TestASinkThatIsNotBuiltIn(t *testing.T) {
	dir := t.TempDir()
	configure(t, dir, "listen: unix://DIR/in\noutputs:\n- {file: DIR/a.log, format: rfc5424, forward: {to: \"http://h\", encoding: ndjson}}\n")
	c, err := config.Load(filepath.Join(dir, "conf"))
	if err != nil {
		t.Fatal(err)
	}
	d := Daemon{Config: c, Log: slog.New(slog.DiscardHandler)}
	if err := d.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "no sink for http") {
		t.Error(err)
	}
}
