package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lbsyslogd/test/syslog/flood"
)

// relpWindow is how many messages a sender of RELP has under way.
const relpWindow = 2000

// relpSubjects are those that send what they write over RELP, and those that take it: ours and rsyslog's modules, where they are installed.
func relpSubjects(ours string) (senders []sinkSubject, takers []subject) {
	senders = []sinkSubject{{"syslogd, out", forwarding(ours, ""), func(receiver string) subject { return forwarding(ours, ", forward: \"relp://"+receiver+"\"") }, "rsyslog omrelp"}}
	in := syslogd("syslogd, in", ours)
	in.files = func(dir string, port int) map[string]string {
		return map[string]string{"conf": fmt.Sprintf("listen: [udp://127.0.0.1:%d, relp://127.0.0.1:%d]\ncontrol: %s/ctl\noutputs: [{file: %s/out.log, rotate: never}]\n",
			port, port, dir, dir)}
	}
	takers = []subject{in}
	if there, _ := filepath.Glob("/usr/lib/*/rsyslog/imrelp.so"); len(there) == 0 {
		return senders, takers
	}
	senders = append(senders, sinkSubject{"rsyslog omrelp", rsyslogd("rsyslog", sinkInput+"}\n"), func(receiver string) subject {
		host, port, _ := net.SplitHostPort(receiver)
		return rsyslogd("rsyslog", `module(load="omrelp")
`+sinkInput+`  action(type="omrelp" target="`+host+`" port="`+port+`" windowSize="`+strconv.Itoa(relpWindow)+`" template="RSYSLOG_SyslogProtocol23Format"
    queue.type="LinkedList" queue.size="2000000" queue.dequeueBatchSize="4096" action.resumeRetryCount="-1")
}
`)
	}, ""})
	takers = append(takers, rsyslogd("rsyslog imrelp", `module(load="imrelp" ruleset="in")
input(type="imrelp" address="127.0.0.1" port="PORT")
`+sinkInput+"}\n"))
	return senders, takers
}

// measureRELP prints what a line costs over RELP: for those that send, more than without; for those that take, all of it.
func measureRELP(ours string, rounds, burst int, out io.Writer) error {
	senders, takers := relpSubjects(ours)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c := new(counter)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serveRELP(conn)
		}
	}()
	all := senders
	for _, t := range takers {
		all = append(all, sinkSubject{name: t.name})
	}
	if len(takers) > 1 {
		all[len(senders)].beside = takers[1].name
	}
	costs := make([]sinkCosts, len(all))
	for range rounds {
		for i, s := range senders {
			without, err := s.without.sinkCost(nil, burst, messageSize)
			if err != nil {
				return err
			}
			with, err := s.with(l.Addr().String()).sinkCost(c, burst, messageSize)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			costs[i].add(without, with)
		}
		for i, s := range takers {
			cost, err := s.takingCost(burst, messageSize)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			costs[len(senders)+i].add(0, cost)
		}
	}
	fmt.Fprintf(out, "\nRELP: %d-byte messages, %d of them, %d rounds; out: what a line costs more than without; in: what it costs from the connection to the file\n\n",
		messageSize, burst, rounds)
	return printSinks(all, costs, "RELP", out)
}

// serveRELP takes everything.
func (c *counter) serveRELP(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		number, err := in.ReadString(' ')
		if err != nil {
			return
		}
		command, err := in.ReadString(' ')
		if err != nil || command == "close " {
			return
		}
		length, err := in.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil {
			return
		}
		if _, err := in.Discard(size + 1); err != nil {
			return
		}
		out.WriteString(number)
		if command == "open " {
			out.WriteString("rsp 37 200 OK\nrelp_version=0\ncommands=syslog\n")
			continue
		}
		out.WriteString("rsp 6 200 OK\n")
		c.lines.Add(1)
		c.frames.Add(int64(len(number) + len(command) + len(length) + 1))
	}
}

// takingCost is the processor time of a subject for each message that it takes over RELP, in microseconds.
func (s subject) takingCost(messages, size int) (each float64, err error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	d, err := s.start(port)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := listening(port); err != nil { // the port of UDP was there before
		return 0, err
	}
	before, err := d.cpu()
	if err != nil {
		return 0, err
	}
	if err := pinned(func() error { return sendRELP("127.0.0.1:"+strconv.Itoa(port), messages, size) }); err != nil {
		return 0, err
	}
	lines, err := d.settle()
	if err == nil && lines != messages {
		err = fmt.Errorf("%d of %d lines were written", lines, messages)
	}
	if err != nil {
		return 0, err
	}
	after, err := d.cpu()
	return float64((after - before).Microseconds()) / float64(lines), err
}

// sendRELP sends messages, and returns when each was acknowledged.
func sendRELP(address string, messages, bytes int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	const offers = "relp_version=0\ncommands=syslog"
	if _, err := fmt.Fprintf(conn, "1 open %d %s\n", len(offers), offers); err != nil {
		return err
	}
	for line := ""; !strings.HasPrefix(line, "commands="); { // the last of the response, for both
		if line, err = in.ReadString('\n'); err != nil {
			return err
		}
	}
	var frames, line []byte
	for sent, answered := 0, 0; answered < messages; {
		frames = frames[:0]
		for sent < messages && sent-answered < relpWindow && len(frames) < 64<<10 {
			line = append(line[:0], "<134>Nov 21 03:04:05 flood[42]: "...)
			line = flood.Line(line, sent, flood.TextSize(bytes))
			frames = strconv.AppendInt(frames, int64(sent+2), 10)
			frames = append(frames, " syslog "...)
			frames = strconv.AppendInt(frames, int64(len(line)), 10)
			frames = append(frames, ' ')
			frames = append(append(frames, line...), '\n')
			sent++
		}
		if _, err := conn.Write(frames); err != nil {
			return err
		}
		for must := true; answered < sent && (must || in.Buffered() > 0); must = false {
			text, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if !strings.HasSuffix(string(text), " 200 OK\n") {
				return fmt.Errorf("message %d is answered with %q", answered, text)
			}
			answered++
		}
	}
	fmt.Fprintf(conn, "%d close 0\n", messages+2)
	_, err = io.Copy(io.Discard, in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
