package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"lbsyslogd/test/rig"
)

// startLogger starts the log daemon that goes with the subject, syslogd with lb and rsyslogd with HAProxy, on the same core, and returns where it listens.
func (s *subject) startLogger(ctx context.Context, how string, core int) (string, error) {
	ports, err := rig.FreePorts("127.0.0.1", 1)
	if err != nil {
		return "", err
	}
	udp := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	s.lines = s.dir + "/lines.log"
	program, listen, text := s.logger, udp, ""
	switch {
	case s.kind == kindLB:
		text = fmt.Sprintf("listen: [\"udp://%s\"]\ncontrol: %s/control\noutputs: [{file: %s, rotate: never}]\n", udp, s.dir, s.lines)
	case how == packaged: // Debian's rsyslog.conf and its 49-haproxy.conf
		program, listen = "rsyslogd", s.dir+"/log"
		text = fmt.Sprintf(`module(load="imuxsock" SysSock.Use="off")
$FileOwner root
$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat
$AddUnixListenSocket %s
:programname, startswith, "haproxy" {
  %s
  stop
}
`, listen, s.lines)
	default: // what make bench-syslog -sweep has found best
		program = "rsyslogd"
		text = fmt.Sprintf(`module(load="imudp" timeRequery="64" batchSize="512" threads="1")
input(type="imudp" address="127.0.0.1" port="%d" rcvbufSize="64m" ruleset="in")
template(name="line" type="string" string="%%timestamp%% %%hostname%% %%syslogtag%%%%msg:::drop-last-lf%%\n")
ruleset(name="in" parser="rsyslog.rfc3164" queue.type="Direct") {
  action(type="omfile" file="%s" template="line" ioBufferSize="256k" flushOnTXEnd="off" flushInterval="1" asyncWriting="on")
}
`, ports[0], s.lines)
	}
	conf := s.dir + "/logger.conf"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", err
	}
	args := []string{"-c", strconv.Itoa(core), program, "-f", conf}
	if program == "rsyslogd" {
		args = append(args, "-n", "-i", s.dir+"/logger.pid")
	}
	proc, err := rig.Start("taskset", args...)
	if err != nil {
		return "", err
	}
	s.procs = append(s.procs, proc)
	err = rig.Until(ctx, program+" to listen", func() bool {
		if !proc.Running() {
			return true
		}
		conn, err := net.ListenPacket("udp", udp)
		if err == nil {
			conn.Close()
		}
		_, missing := os.Stat(s.dir + "/log")
		return err != nil || missing == nil
	})
	if err == nil && !proc.Running() {
		err = fmt.Errorf("%s ended: %v\n%s", program, proc.Err(), proc.Output())
	}
	return listen, err
}

// logged counts the lines of a pipeline's file.
func (s *subject) logged() (int, error) {
	f, err := os.Open(s.lines)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf, lines := make([]byte, 1<<20), 0
	for {
		n, err := f.Read(buf)
		lines += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}
