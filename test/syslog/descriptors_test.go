package syslog_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// TestOutOfDescriptors gives syslogd few of them and opens more connections than that. It goes on with what it has, rotates, does not spin, and takes
// new connections when there is room again.
func TestOutOfDescriptors(t *testing.T) {
	d := configure(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT]
outputs: [{file: DIR/lb.log, rotate: {size: 100MB}}]
`)
	d.command = func() *exec.Cmd {
		return exec.Command("sh", "-c", `ulimit -n 40; exec "$0" "$@"`, binary(), "-f", d.config)
	}
	d.run()
	var crowd []net.Conn
	for range 60 { // those that are not accepted wait in the kernel's queue
		c, err := net.Dial("tcp", d.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		crowd = append(crowd, c)
	}
	wait.Until(t, "the complaint", func() bool { return strings.Contains(d.said.String(), "too many open files") })
	if _, err := crowd[0].Write([]byte("<13>Nov 21 03:04:05 app: over an open connection\n")); err != nil {
		t.Fatal(err)
	}
	udp, err := net.Dial("udp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := udp.Write([]byte("<13>Nov 21 03:04:05 app: as a datagram\n")); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "both messages", func() bool { return d.holds("over an open connection") && d.holds("as a datagram") })
	d.do("rotate") // connections leave descriptors for that
	for _, c := range crowd[:59] {
		c.Close()
	}
	if _, err := crowd[59].Write([]byte("<13>Nov 21 03:04:05 app: over the last\n")); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the last connection's message", func() bool { return d.holds("over the last") })
	// Ten attempts a second, and this did not take a minute.
	if n := strings.Count(d.said.String(), "too many open files"); n > 600 {
		t.Errorf("it complained %d times", n)
	}
}
