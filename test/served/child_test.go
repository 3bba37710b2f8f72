package served

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/rig"
)

// job is what a child is started for: one file, served by one program, in namespaces of its own.
type job struct {
	Program, File string
	Lines         []int // how many lines of the log each ask had with the other program; nil: nobody knows
}

// outcome is what it saw.
type outcome struct {
	Error   string   `json:",omitempty"`
	Denied  bool     `json:",omitempty"` // the Error: this user may not make namespaces what they have to be
	Servers []string // their states when checks had been made
	Asks    []answer
	Counts  []string // of `show stat` at the end
}

// answer is what came of one ask.
type answer struct {
	Ask    string
	Answer []string
	Seen   []string `json:",omitempty"` // what reached servers
	Lines  []string `json:",omitempty"` // of the log
}

// child is a run of a job.
type child struct {
	*whole
	job
	lb    *rig.LB
	r     *recorder
	socks []*net.UDPConn
	flush *net.UDPConn
	asked int

	patience time.Duration // how long a client waits for what may never come

	ports map[string]int // the ask that a client's port belongs to
	out   outcome

	asks []*ask
	mine []string // the ports of the asks
}

// childMain runs the job that stands in the environment, and prints its outcome.
func childMain(text string) {
	c := &child{ports: map[string]int{}, r: &recorder{seen: map[string][]string{}}}
	err := json.Unmarshal([]byte(text), &c.job)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		c.out.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(c.out)
}

func (c *child) run() error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if err := c.room(); err != nil {
		c.out.Denied = errors.Is(err, os.ErrPermission)
		return fmt.Errorf("namespace: %w", err)
	}
	c.whole = rewrite(string(file))
	c.patience = 20 * time.Second
	if strings.Contains(c.text, "silent-drop") { // what was dropped so hears nothing
		c.patience = 1500 * time.Millisecond
	}
	if err := c.files(); err != nil {
		return err
	}
	asks := asksOf(c.whole)
	if err := c.network(asks); err != nil {
		return err
	}
	c.lb = rig.LBIn("/run/lb")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	if err := c.lb.Start(ctx, c.Program, "-W", c.text); err != nil {
		return err
	}
	c.out.Servers, err = c.settled(ctx)
	if err != nil {
		return err
	}
	for i, a := range asks {
		answer := answer{Ask: a.String()}
		c.asked = i + 1
		c.late()
		c.asks, c.mine = append(c.asks, a), append(c.mine, "")
		answer.Answer = c.do(a)
		lines, err := c.lines(i)
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		answer.Seen = c.r.take(i + 1)
		c.out.Asks = append(c.out.Asks, answer)
		for _, line := range lines {
			c.line(line)
		}
	}
	c.out.Counts = c.counts()
	c.late()
	for i := range c.out.Asks {
		c.mask(i)
	}
	return nil
}

// room makes a place where the file's paths are its own.
func (c *child) room() error {
	texts := map[string]string{}
	for path, text := range map[string]string{"/etc/resolv.conf": "nameserver 127.0.0.1\n", "/etc/hosts": "127.0.0.1 localhost\n"} {
		texts[linked(path)] = text // as long as /run is the machine's own
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, dir := range []string{"/run/lb", "/run/etc/certs", "/run/lib", "/run/haproxy"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for path, text := range texts {
		if strings.HasPrefix(path, "/run/") {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
			continue
		}
		ours := "/run/" + filepath.Base(path)
		if err := os.WriteFile(ours, []byte(text), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(ours, path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// linked follows links up to a file, or to what lies below /run, be it there or not.
func linked(path string) string {
	for range 40 {
		if strings.HasPrefix(path, "/run/") {
			break
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if dir, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil { // /var/run
			to = filepath.Join(dir, filepath.Base(to))
		}
		path = to
	}
	return path
}

var pem = regexp.MustCompile(`/run/[\w./*-]+\.pem`)

// files puts the files there that a configuration names.
func (c *child) files() error {
	all := c.text
	err := os.CopyFS("/run/etc", os.DirFS("testdata/etc"))
	if err != nil {
		return err
	}
	lists, _ := filepath.Glob("/run/etc/*.list")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		all += string(text)
	}
	for _, path := range append(pem.FindAllString(all, -1), "/run/recorder.pem", "/run/etc/certs/client.pem") {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".pem")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if _, err := rig.WriteCertificate(path, name, "*."+name); err != nil {
			return err
		}
	}
	c.r.cert, err = tls.LoadX509KeyPair("/run/recorder.pem", "/run/recorder.pem")
	return err
}

// network has addresses for all, and servers and a log at theirs.
func (c *child) network(asks []*ask) error {
	for _, text := range append([]string{front, front6, client, "2001:db8::7", "192.0.2.99", "127.0.0.5"}, sources(asks)...) {
		c.addLocal(netip.MustParseAddr(text))
	}
	batch := "link set lo up\n"
	for _, ip := range c.locals {
		switch {
		case ip.Is4() && !ip.IsLoopback():
			batch += fmt.Sprintf("addr add %s/32 dev lo\n", ip)
		case ip.Is6() && !ip.IsLoopback():
			batch += fmt.Sprintf("addr add %s/128 dev lo nodad\n", ip)
		}
	}
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s\n%s", err, out, batch)
	}
	for addr := range c.speakers {
		if err := c.r.listen(addr); err != nil {
			return err
		}
	}
	for _, addr := range append(slices.DeleteFunc(c.logs, func(s string) bool { return s == logsTo }), logsTo) {
		a, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return err
		}
		c.flush, err = net.ListenUDP("udp", a)
		if err != nil {
			return err
		}
		c.socks = append(c.socks, c.flush)
	}
	return nil
}

func sources(asks []*ask) (out []string) {
	for _, a := range asks {
		add(&out, a.from)
	}
	return out
}

// rows are those of `show stat`, as columns by name.
func (c *child) rows() (rows []map[string]string) {
	text, err := c.ask("show stat")
	if err != nil {
		return nil
	}
	all, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# ")))).ReadAll()
	if err != nil || len(all) == 0 {
		return nil
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *child) ask(command string) (string, error) {
	s, err := net.Dial("unix", "/run/served.sock")
	if err != nil {
		return "", err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(s, command+"\n")
	s.(*net.UnixConn).CloseWrite()
	text, err := io.ReadAll(s)
	return string(text), err
}

// settled waits until each server that is checked was, and gives their states.
func (c *child) settled(ctx context.Context) (states []string, err error) {
	err = rig.Until(ctx, "the first checks", func() bool {
		states = nil
		for _, row := range c.rows() {
			if row["svname"] == "FRONTEND" || row["svname"] == "BACKEND" {
				continue
			}
			check := row["check_status"]
			if check == "INI" || strings.HasPrefix(check, "*") || check != "" && !strings.Contains(check, "OK") && strings.HasPrefix(row["status"], "UP") {
				return false // the first check that fails takes a server down
			}
			status, _, _ := strings.Cut(row["status"], " ")
			states = append(states, fmt.Sprintf("%s/%s %s %s weight=%s", row["pxname"], row["svname"], status, row["check_status"], row["weight"]))
		}
		return true
	})
	if err != nil {
		err = fmt.Errorf("%w: %s\n%s", err, strings.Join(states, "\n"), c.lb.Output())
	}
	return states, err
}

// counts are the numbers of `show stat` that both can agree about.
func (c *child) counts() (out []string) {
	for _, row := range c.rows() {
		if row["pxname"] == "served-flush" {
			continue
		}
		text := row["pxname"] + "/" + row["svname"]
		for _, name := range []string{"stot", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "req_tot", "ereq", "dreq", "dresp", "dcon", "dses", "econ", "eresp", "wretr", "wredis", "lbtot", "srv_abrt", "intercepted"} {
			if v := row[name]; v != "" && v != "0" {
				text += " " + name + "=" + v
			}
		}
		out = append(out, text)
	}
	return out
}

// do asks.
func (c *child) do(a *ask) []string {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp", a.addr)
	if err != nil {
		return []string{ended(err)} // before the client knew of its connection
	}
	defer conn.Close()
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	c.ports[port] = c.asked
	c.mine[c.asked-1] = port
	conn.SetDeadline(time.Now().Add(c.patience))
	plain := conn.(*net.TCPConn)
	if a.proxy {
		fmt.Fprintf(conn, "PROXY TCP4 %s 203.0.113.80 %s 80\r\n", a.from, port)
	}
	if a.tls && a.kind != "raw" || a.kind == "tls" || a.kind == "h2" && !a.h2c {
		conf := &tls.Config{InsecureSkipVerify: true, ServerName: a.name}
		if pair, err := tls.LoadX509KeyPair("/run/etc/certs/client.pem", "/run/etc/certs/client.pem"); err == nil {
			conf.Certificates = []tls.Certificate{pair}
		}
		if a.kind == "h2" {
			conf.NextProtos = []string{"h2"}
		}
		t := tls.Client(conn, conf)
		if err := t.Handshake(); err != nil {
			plain.CloseWrite()
			io.Copy(io.Discard, plain) // what a server has said that does not speak TLS
			if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
				return []string{"no TLS"}
			}
			return []string{ended(err)}
		}
		conn = t
	}
	out := []string{}
	if t, ok := conn.(*tls.Conn); ok {
		state := t.ConnectionState()
		out = append(out, fmt.Sprintf("TLS %s alpn=%s", state.PeerCertificates[0].Subject.CommonName, state.NegotiatedProtocol))
	}
	switch a.kind {
	case "h2":
		return append(out, c.http2(conn, a)...)
	case "raw", "tls":
		out = append(out, c.bytes(conn, a))
	default:
		out = append(out, c.http1(conn, a)...)
	}
	if a.mode == "tcp" { // a tunnel's two ends close in this order
		plain.CloseWrite()
		io.Copy(io.Discard, plain)
	}
	return out
}

func (c *child) marked(text string) string {
	n := fmt.Sprint(c.asked)
	if i := strings.Index(text, "served-###"); i >= 0 { // where a length stands before
		return strings.Replace(text, "served-###", fmt.Sprintf("served-%03d", c.asked), 1)
	}
	return strings.ReplaceAll(text, "served-#", "served-"+n)
}

// bytes sends what is no HTTP, and reads what comes.
func (c *child) bytes(conn net.Conn, a *ask) string {
	raw := cmp.Or(a.raw, "PING served-#\r\n")
	io.WriteString(conn, c.marked(raw))
	b := make([]byte, 65536)
	n, err := conn.Read(b)
	if n == 0 {
		return ended(err)
	}
	if half, ok := conn.(*net.TCPConn); ok {
		half.CloseWrite()
		more, err := io.ReadAll(conn)
		return short(string(b[:n])+string(more)) + " then " + ended(err)
	}
	return short(string(b[:n]))
}

func ended(err error) string {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE): // it depends on what came first
		return "closed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	}
	return err.Error()
}

func (c *child) head(a *ask) string {
	if a.raw != "" {
		return a.raw
	}
	version := "HTTP/1.1"
	if a.old {
		version = "HTTP/1.0"
	}
	text := fmt.Sprintf("%s %s %s\r\nHost: %s\r\nX-Served: served-%d\r\n", a.method, a.target, version, a.host, c.asked)
	has := false
	for _, f := range a.fields {
		text += f + "\r\n"
		has = has || strings.HasPrefix(f, "Content-Length:") || strings.HasPrefix(f, "Transfer-Encoding:")
	}
	if a.body != "" && !has {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(a.body))
	}
	return text + "\r\n" + a.body
}

func (c *child) http1(conn net.Conn, a *ask) (out []string) {
	b := bufio.NewReader(conn)
	times := 1
	if a.kind == "twice" {
		times = 3
	}
	for range times {
		io.WriteString(conn, c.head(a))
		for {
			text, response := readResponse(b, cmp.Or(a.method, "GET"))
			out = append(out, text)
			if response == nil {
				return out
			}
			if response.StatusCode == 101 {
				fmt.Fprintf(conn, "hello\n")
				line, err := b.ReadString('\n')
				_, end := io.Copy(io.Discard, b) // the server ends first, and the client when it has seen that
				return append(out, fmt.Sprintf("%q %v then %s", line, err, ended(end)))
			}
			if response.Close {
				_, err := b.ReadByte()
				return append(out, "then "+ended(err))
			}
			if response.StatusCode == 401 {
				return out
			}
			if response.StatusCode >= 200 {
				break
			}
		}
	}
	return out
}

// readResponse reads one and describes it; it is nil if there is none.
func readResponse(b *bufio.Reader, method string) (string, *http.Response) {
	if _, err := b.Peek(1); err != nil {
		return ended(err), nil
	}
	r, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		return "no answer: " + ended(err), nil
	}
	if r.StatusCode == 101 {
		return r.Proto + " " + described(r, ""), r
	}
	body, err := io.ReadAll(r.Body)
	text := r.Proto + " " + described(r, string(body))
	if err != nil {
		return text + " then " + ended(err), nil
	}
	return text, r
}

func described(r *http.Response, body string) string {
	var fields []string
	long := false
	if r.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(strings.NewReader(body)); err == nil {
			plain, _ := io.ReadAll(z)
			body = string(plain)
			long = true
		}
	}
	long = long || len(body) > 3000
	for name, values := range r.Header {
		switch {
		case name == "Date", name == "Content-Length" && long:
			values = []string{"*"}
		case name == "Age" && len(values[0]) == 1: // the second may have ended meanwhile
			values = []string{"N"}
		}
		fields = append(fields, strings.ToLower(name)+"="+strings.Join(values, " ; "))
	}
	slices.Sort(fields)
	chunked := ""
	if len(r.TransferEncoding) > 0 {
		chunked = " chunked"
	}
	if r.Close {
		chunked += " close"
	}
	return fmt.Sprintf("%s%s | %s | %s", r.Status, chunked, strings.Join(fields, "; "), short(body))
}

// short shortens what is known or long.
func short(text string) string {
	text = strings.ReplaceAll(text, page, "PAGE")
	if len(text) > 3000 {
		return "long"
	}
	return fmt.Sprintf("%q", text)
}

// http2 asks over HTTP/2.
func (c *child) http2(conn net.Conn, a *ask) []string {
	dial := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableCompression: true, Protocols: new(http.Protocols)}
	scheme := "https"
	if a.h2c {
		scheme = "http"
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		transport.Protocols.SetHTTP2(true)
	}
	if a.raw != "" {
		a.method, a.target, a.host = "GET", "/raw", "raw.test"
	}
	r, err := http.NewRequest(a.method, scheme+"://"+a.host+a.target, strings.NewReader(a.body))
	if err != nil {
		return []string{"not asked"}
	}
	r.Header.Set("X-Served", fmt.Sprintf("served-%d", c.asked))
	r.Header.Set("User-Agent", "h2")
	for _, f := range a.fields {
		name, value, _ := strings.Cut(f, ":")
		if !slices.Contains([]string{"Connection", "Upgrade", "Transfer-Encoding", "Content-Length"}, name) {
			r.Header.Add(name, strings.TrimSpace(value))
		}
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return []string{"no answer"}
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	text := "HTTP/2 " + described(response, string(body))
	for name, values := range response.Trailer {
		text += fmt.Sprintf(" trailer %s=%q", name, values)
	}
	return []string{text}
}

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
