package syslog_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

// TestIdleAndSlowClientsDelayNobody holds idle connections and one that sends a byte a second, while others send at full speed. All of
// the others' messages are in the file long before the slow one has ended its first; and then the idle ones speak too.
func TestIdleAndSlowClientsDelayNobody(t *testing.T) {
	idle, fast := 500, 20_000
	if os.Getenv("LB_LONG") != "" {
		idle = 10_000
	}
	d := start(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT]
connections: {most: 20000, most_each: 20000, idle: 1h}
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", d.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, text string) {
		t.Helper()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var crowd []net.Conn
	for range idle {
		crowd = append(crowd, dial())
	}
	connections := func() int { return d.status().Inputs[1].Connections }
	wait.Until(t, "the idle connections", func() bool { return connections() == idle })

	const slow = "<13>Nov 21 03:04:05 slow: a byte a second"
	crawl, crawled, enough := dial(), make(chan int), make(chan struct{})
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for i := range slow {
			crawl.Write([]byte{slow[i]}) // that it arrives is seen at the other end
			select {
			case <-tick.C:
			case <-enough:
				crawled <- i + 1
				return
			}
		}
		crawled <- len(slow)
	}()

	began := time.Now()
	quick := dial()
	var lines strings.Builder
	for n := range fast {
		lines.WriteString("<134>Nov 21 03:04:05 flood[42]: ")
		lines.Write(flood.Line(nil, n, flood.TextSize(200)))
		lines.WriteByte('\n')
	}
	say(quick, lines.String())
	if _, err := (flood.Flood{To: d.addr(), First: fast, Count: fast, Rate: 50_000}).Send(context.Background()); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the others' messages", func() bool { return d.status().Total.Written >= uint64(2*fast) })
	took := time.Since(began)
	close(enough)
	sent := <-crawled
	if sent == len(slow) {
		t.Error("the slow client had finished by then")
	}
	d.do("flush")
	account(t, d.dir, "lb", 0, 2*fast, 200).balanced(t)

	say(crawl, slow[sent:]+"\n")
	for i, c := range crowd {
		say(c, fmt.Sprintf("<13>Nov 21 03:04:05 idle: I am %d.\n", i))
	}
	wait.Until(t, "the slow and the idle", func() bool {
		text, err := os.ReadFile(d.file())
		return err == nil && bytes.Count(text, []byte(" idle: I am ")) == idle && bytes.Count(text, []byte(" slow: a byte a second\n")) == 1
	})
	t.Logf("%d messages in %v alongside %d idle connections and one that had sent %d bytes", 2*fast, took.Round(time.Millisecond), idle, sent)
}
