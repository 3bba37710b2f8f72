package served

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lines gives what has been logged up to now.
func (c *child) lines(i int) (lines []string, err error) {
	if err := c.sentinel(i); err != nil {
		return nil, err
	}
	want := 0
	if i < len(c.Lines) {
		want = c.Lines[i]
	}
	flushed := false
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		last := flushed // once more after the sentinel's line, for what other sockets have
		for _, s := range c.socks {
			for _, line := range drain(s) {
				if strings.Contains(line, fmt.Sprintf("FLUSH /%d.", i)) {
					flushed, since = true, time.Now()
				}
				if !notAccess.MatchString(line) {
					lines = append(lines, line)
				}
			}
		}
		waited := time.Since(since)
		switch {
		case !flushed && waited > 20*time.Second:
			return nil, errors.New("the log has no line of the request after it")
		case last && (len(lines) >= want || waited > 3*time.Second): // what the other program has logged comes soon, or never
			return lines, nil
		}
	}
}

// late puts lines to the ask before that came after its sentinel's.
func (c *child) late() {
	if len(c.out.Asks) == 0 {
		return // what was logged up to now is the first one's
	}
	for _, s := range c.socks {
		for _, line := range drain(s) {
			if !notAccess.MatchString(line) {
				c.line(line)
			}
		}
	}
}

var notAccess = regexp.MustCompile(`FLUSH /|(Health check|Server|Proxy|Backend|backend) \S+ |Stopping|started|DNS : section`)

// sentinel makes the line that all lines before it have come with.
func (c *child) sentinel(i int) error {
	conn, err := net.DialTimeout("tcp", flush, 20*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /%d. HTTP/1.1\r\nHost: flush\r\nConnection: close\r\n\r\n", i)
	_, err = io.ReadAll(conn)
	return err
}

// drain reads what a socket has.
func drain(s *net.UDPConn) (lines []string) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	b := make([]byte, 65536)
	raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			lines = append(lines, string(bytes.TrimSpace(b[:n])))
		}
	})
	return lines
}

var ofPort = regexp.MustCompile(`:(\d+) `)

// line puts a line to the ask it belongs to.
func (c *child) line(line string) {
	i := len(c.out.Asks)
	if m := ofPort.FindStringSubmatch(line); m != nil && c.ports[m[1]] > 0 && c.ports[m[1]] <= i {
		i = c.ports[m[1]]
	}
	c.out.Asks[i-1].Lines = append(c.out.Asks[i-1].Lines, line)
}

var masks = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`\[\d\d/\w{3}/\d{4}:[\d:.]+( [+-]\d{4})?\]`), "[DATE]"},
	{regexp.MustCompile(`\[\d{1,7}\]: `), "[PID]: "},
	{regexp.MustCompile(`^(<\d+>(?:1 )?)(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.+Z-]+)`), "${1}DATE"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.+Z-]+`), "DATE"},
	{regexp.MustCompile(`(" \d{3}) \d+( "[^"]*" "[^"]*" )\d+ \d+`), "$1 B${2}PORT MS"}, // httplog clf
	{regexp.MustCompile(`^(<\d+>1 DATE \S+ \S+ )\d+( - )`), "${1}PID${2}"},             // rfc5424
}

var (
	suites = regexp.MustCompile(`/TLS_[A-Z0-9_]+`)
	expiry = regexp.MustCompile(`\|[A-Za-z0-9+/]{5}`)
	timers = regexp.MustCompile(`(\s)(-?\d+)/(-?\d+)/(-?\d+)(?:/(-?\d+))?(?:/(\+?)(\d+))?(\s)`)
	conns  = regexp.MustCompile(` \d+/\d+/\d+/\d+/(\+?\d+) (\d+/\d+)`)
	after  = regexp.MustCompile(`(N |/N )(\d{3}|-1) \+?\d+ `)
	bytesB = regexp.MustCompile(`([N1]) \+?\d+ (\S\S C/C)`) // tcplog of mode http
)

// mask puts names in the place of what differs from run to run.
func (c *child) mask(i int) {
	a := &c.out.Asks[i]
	for j, line := range a.Lines {
		for _, m := range masks {
			line = m.from.ReplaceAllString(line, m.to)
		}
		line = suites.ReplaceAllString(line, "/SUITE")
		line = conns.ReplaceAllString(line, " C/C/C/C/$1 $2")
		line = timers.ReplaceAllStringFunc(line, func(s string) string {
			return regexp.MustCompile(`(^|[\s/+])\d+`).ReplaceAllString(s, "${1}N")
		})
		line = after.ReplaceAllString(line, "$1$2 B ")
		if c.asks[i].mode == "http" || c.asks[i].kind == "tls" { // what TLS signs has no fixed length
			line = bytesB.ReplaceAllString(line, "$1 B $2")
		}
		a.Lines[j] = line
	}
	slices.Sort(a.Lines)
	for j := range a.Answer { // a cookie's dates
		a.Answer[j] = expiry.ReplaceAllString(a.Answer[j], "|DATE")
	}
	if port := c.mine[i]; port != "" {
		re := regexp.MustCompile(`\b` + port + `\b`)
		for _, list := range [][]string{a.Lines, a.Seen, a.Answer} {
			for j := range list {
				list[j] = re.ReplaceAllString(list[j], "PORT")
			}
		}
	}
}
