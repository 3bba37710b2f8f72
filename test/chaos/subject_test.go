package chaos

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/rig"
)

// scene is one thing that can happen to a connection through a balancer.
type scene struct {
	name   string
	tcp    bool
	config string // lines of its listen section
	lines  int    // log lines expected; 0 is one, -1 none
	server func(p *peer, n int)
	client func(p *peer)
	ours   string // where lb differs on purpose: the log line's outcome; see docs/logs.md
	wire   bool   // lb's bytes differ on purpose, too
}

// outcome is what a scene came to under one balancer.
type outcome struct {
	client string
	server []string
	log    []string
}

// subject is a balancer that plays all scenes, and its log.
type subject struct {
	name string
	proc *rig.Process
	log  *net.UDPConn

	mu sync.Mutex
	// mu guards the fields below.
	lines []string
}

const preamble = `global
    log 127.0.0.1:%d local0
    nbthread 1
    stats socket %s mode 600 level admin
defaults
    mode http
    log global
    option httplog
    timeout connect 300ms
    timeout client 2s
    timeout server 2s
    retries 0
`

// start runs program with one listen section for each scene.
func start(t *testing.T, program string, scenes []scene, stages []*stage, host string, ports []int) (*subject, error) {
	s := &subject{name: filepath.Base(program)}
	log, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	s.log = log
	t.Cleanup(func() { log.Close() })
	go s.listen()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, preamble, log.LocalAddr().(*net.UDPAddr).Port, filepath.Join(dir, "stats.sock"))
	for i, sc := range scenes {
		fmt.Fprintf(&b, "listen %s\n    bind %s:%d\n", sc.name, host, ports[i])
		if sc.tcp {
			b.WriteString("    mode tcp\n    option tcplog\n")
		}
		text := sc.config
		if !strings.Contains(text, "server s1") && !strings.Contains(text, "noserver") {
			text += "\nserver s1 $s"
		}
		text = strings.ReplaceAll(text, "noserver", "")
		text = strings.ReplaceAll(text, "$s", stages[i].ln.Addr().String())
		text = strings.ReplaceAll(text, "$dead", "127.0.0.1:1")
		for line := range strings.Lines(text) {
			fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(line))
		}
	}
	file := filepath.Join(dir, "cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	if s.proc, err = rig.Start(program, "-db", "-f", file); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.proc.Stop() }) // HAProxy says 143 here
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = rig.Until(ctx, program, func() bool {
		_, err := os.Stat(filepath.Join(dir, "stats.sock"))
		if err != nil || !s.proc.Running() {
			return !s.proc.Running()
		}
		c, err := net.Dial("unix", filepath.Join(dir, "stats.sock"))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	if err != nil || !s.proc.Running() {
		return nil, fmt.Errorf("%s does not serve: %v\n%s", program, err, s.proc.Output())
	}
	return s, nil
}

func (s *subject) listen() {
	b := make([]byte, 64<<10)
	for {
		n, err := s.log.Read(b)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.lines = append(s.lines, strings.TrimSpace(string(b[:n])))
		s.mu.Unlock()
	}
}

// about gives the lines of one listen section.
func (s *subject) about(name string) (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		if strings.Contains(line, "] "+name+" ") {
			lines = append(lines, reduce(line))
		}
	}
	return lines
}

var (
	logged = regexp.MustCompile(`\] (\S+ \S+) (\S+) (.*)$`)
	counts = regexp.MustCompile(` \d+/\d+/\d+/\d+/(\+?\d+) `)
)

// reduce makes two balancers' lines comparable: times become + or -1, bytes
// + or 0, the connections of the moment go.
func reduce(line string) string {
	m := logged.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	timers := strings.Split(m[2], "/")
	for i, v := range timers {
		if v != "-1" {
			timers[i] = "+"
		}
	}
	rest := strings.SplitN(m[3], " ", 3)
	bytes := 1 // of the words behind the timers; TCP has no status
	if len(timers) == 3 {
		bytes = 0
	}
	if rest[bytes] != "0" {
		rest[bytes] = "+"
	}
	return m[1] + " " + strings.Join(timers, "/") + " " + counts.ReplaceAllString(strings.Join(rest, " "), " $1 ")
}

// play plays one scene against the subject.
func (s *subject) play(sc scene, host string, port int, st *stage) (o outcome) {
	c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return outcome{client: err.Error()}
	}
	p := &peer{c: c.(*net.TCPConn)}
	sc.client(p)
	p.settle()
	p.c.Close()
	o.client = wire(p.got.String()) + "| " + p.ended
	o.server = st.close()
	for i := range o.server {
		o.server[i] = wire(o.server[i])
	}
	slices.Sort(o.server)
	want := max(sc.lines, 1)
	until := time.Now().Add(2 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); len(s.about(sc.name)) < want && time.Now().Before(until); <-tick.C {
	}
	o.log = s.about(sc.name)
	return o
}

var (
	heads  = regexp.MustCompile(`(?s)(HTTP/1\.[01] \d\d\d|[A-Z]+ \S+ HTTP/1\.[01])[^\r]*\r\n(.*?\r\n)?\r\n`)
	vanish = regexp.MustCompile(`^(date|expires|last-modified): `)
)

// wire makes the bytes of two balancers comparable: names of fields in lower
// case, fields in order.
func wire(text string) string {
	return heads.ReplaceAllStringFunc(text, func(head string) string {
		lines := strings.Split(strings.TrimRight(head, "\r\n"), "\r\n")
		fields := lines[1:]
		for i, f := range fields {
			name, value, _ := strings.Cut(f, ":")
			fields[i] = strings.ToLower(name) + ":" + value
		}
		fields = slices.DeleteFunc(fields, vanish.MatchString)
		slices.Sort(fields)
		return lines[0] + " {" + strings.Join(fields, "; ") + "}\n"
	})
}
