package served

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// whole is a configuration file that is made to run here: only what belongs to the machine is rewritten.
type whole struct {
	text     string
	sections []*section
	logs     []string // addresses that take datagrams of the log
	locals   []netip.Addr
	speakers map[string]bool // addresses (IP:port) of servers and their checks
}

// section is one of the file: its first line, and the words of the others.
type section struct {
	kind, name string
	mode       string
	binds      []bind
	lines      [][]string
}

// bind is one address to connect to.
type bind struct {
	addr       string
	tls, h2    bool
	proxy, h2c bool
}

// has reports whether a line begins with a word.
func (s *section) has(word string) bool {
	return slices.ContainsFunc(s.lines, func(words []string) bool { return words[0] == word })
}

// Addresses of the tests' own network.
const (
	front  = "192.0.2.80"   // in the place of any address
	front6 = "2001:db8::80" // and of any of IPv6
	flush  = "192.0.2.99:9"
	logsTo = "127.0.0.5:514"
	client = "198.51.100.7"
)

var (
	gone     = regexp.MustCompile(`^\s*(daemon|chroot|user|group|uid|gid|master-worker|pidfile|nbthread|nbproc|thread-groups|thread-group|cpu-map|ulimit-n|quiet|debug|localpeer|maxsslconn)\b`)
	anywhere = regexp.MustCompile(`^(\s*bind\s+)(\S+)(.*)$`)
	many     = regexp.MustCompile(`^(\s*maxconn\s+)\d{4,}`)
	interval = regexp.MustCompile(`\b(inter|fastinter|downinter)\s+\S+`)
	delays   = regexp.MustCompile(`\b(inspect-delay|timeout\s+tarpit)(\s+)\S+`)
	checks   = regexp.MustCompile(`^(\s*timeout\s+check\s+)\S+`)
	outputs  = regexp.MustCompile(`^(\s*log\s+)(stdout|stderr|fd@\d+|/dev/log)\b`)
	heading  = regexp.MustCompile(`^\s*(global|defaults|frontend|backend|listen|peers|resolvers|userlist|ring|cache|http-errors|mailers|program)\b`)
)

// rewrite makes a file run here.
func rewrite(text string) *whole {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for from, to := range map[string]string{"/etc/haproxy/": "/run/etc/", "/var/lib/haproxy/": "/run/lib/", "/var/run/": "/run/", `-/tmp/`: `-/run/`, " /tmp/": " /run/"} {
		text = strings.ReplaceAll(text, from, to)
	}
	global := "  nbthread 1\n  stats socket /run/served.sock level admin\n"
	if !regexp.MustCompile(`(?m)^\s*log\s+[^g\s]`).MatchString(text) {
		global += "  log " + logsTo + " local0\n"
	}
	more := "  default-server inter 1s\n"
	if !regexp.MustCompile(`(?m)^\s*log\s+global`).MatchString(text) {
		more += "  log global\n"
	}
	if !regexp.MustCompile(`log-format|httplog|tcplog|httpslog`).MatchString(text) {
		more += "  option httplog\n"
	}
	if !regexp.MustCompile(`(?m)^\s*defaults\b`).MatchString(text) {
		at := regexp.MustCompile(`(?m)^\s*(frontend|backend|listen)\b`).FindStringIndex(text)
		text = text[:at[0]] + "defaults\n" + text[at[0]:]
	}
	if !regexp.MustCompile(`(?m)^\s*global\b`).MatchString(text) {
		text = "global\n" + text
	}
	var out strings.Builder
	at := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		m := heading.FindStringSubmatch(line)
		if m == nil {
			if at == "global" && gone.MatchString(line) {
				continue
			}
			if at == "global" {
				line = many.ReplaceAllString(line, "${1}2000")
			}
			line = local(line)
		} else {
			at = m[1]
		}
		out.WriteString(line + "\n")
		switch {
		case m != nil && m[1] == "global":
			out.WriteString(global)
			global = ""
		case m != nil && m[1] == "defaults":
			out.WriteString(more)
		}
	}
	out.WriteString(`defaults served
  mode http
  timeout client 20s
frontend served-flush from served
  bind ` + flush + `
  log ` + logsTo + ` local0
  log-format "FLUSH %HP"
  http-request return status 200
`)
	w := &whole{text: out.String(), speakers: map[string]bool{}}
	w.read()
	for _, s := range w.sections {
		for _, b := range s.binds {
			if w.speakers[b.addr] { // the file's server is the file's own frontend
				host, _, _ := strings.Cut(b.addr, ":")
				text := regexp.MustCompile(`(?m)^\s*bind .*`).ReplaceAllStringFunc(w.text, func(l string) string { return strings.ReplaceAll(l, host+"}:", "192.0.2.81}:") })
				w = &whole{text: text, speakers: map[string]bool{}}
				w.read()
				return w
			}
		}
	}
	return w
}

// local rewrites one line.
func local(line string) string {
	line = interval.ReplaceAllString(line, "$1 1s")
	line = delays.ReplaceAllString(line, "${1}${2}300ms")
	line = checks.ReplaceAllString(line, "${1}2s")
	line = outputs.ReplaceAllString(line, "${1}"+logsTo)
	m := anywhere.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	addrs := strings.Split(m[2], ",")
	for i, a := range addrs {
		quoted := strings.HasPrefix(a, `"`)
		a = strings.TrimPrefix(a, `"`)
		for _, any := range []struct{ from, to string }{{"[::]:", "[" + front6 + "]:"}, {":::", "[" + front6 + "]:"}, {"*:", front + ":"}, {"0.0.0.0:", front + ":"}, {":", front + ":"}, {"ipv4@:", front + ":"}, {"ipv6@:", "[" + front6 + "]:"}} {
			if rest, ok := strings.CutPrefix(a, any.from); ok {
				a = any.to + rest
				break
			}
		}
		if quoted {
			a = `"` + a
		}
		addrs[i] = a
	}
	return m[1] + strings.Join(addrs, ",") + strings.ReplaceAll(strings.ReplaceAll(m[3], " v4v6", ""), " v6only", "")
}

// read finds out what the file has: sections, addresses.
func (w *whole) read() {
	env := map[string]string{}
	var at *section
	modes := map[string]string{}
	mode := "tcp"
	for line := range strings.Lines(w.text) {
		words := split(line, env)
		if len(words) == 0 {
			continue
		}
		if heading.MatchString(line) {
			at = &section{kind: words[0]}
			if len(words) > 1 {
				at.name = words[1]
			}
			if i := slices.Index(words, "from"); i > 0 && i+1 < len(words) {
				at.mode = modes[words[i+1]]
			} else if at.kind != "defaults" {
				at.mode = mode
			} else {
				at.mode, mode = "tcp", "tcp"
			}
			w.sections = append(w.sections, at)
			continue
		}
		if at == nil {
			continue
		}
		at.lines = append(at.lines, words)
		switch {
		case (words[0] == "setenv" || words[0] == "presetenv") && len(words) > 2:
			env[words[1]] = words[2]
		case words[0] == "mode" && len(words) > 1:
			at.mode = words[1]
			if at.kind == "defaults" {
				mode = at.mode
				modes[at.name] = mode
			}
		case words[0] == "log" && words[1] != "global":
			w.log(words[1])
		case words[0] == "bind" && len(words) > 1:
			w.bind(at, words)
		}
	}
	for _, s := range w.sections {
		for _, words := range s.lines {
			if i := slices.Index(words, "source"); i >= 0 && i+1 < len(words) {
				if ip, err := netip.ParseAddr(words[i+1]); err == nil {
					w.addLocal(ip)
				}
			}
			if slices.Contains([]string{"server", "server-template", "dispatch", "tcp-check", "http-check", "default-server"}, words[0]) {
				w.server(s, words)
			}
		}
	}
}

func (w *whole) log(addr string) {
	host, port, ok := strings.Cut(addr, ":")
	if !ok {
		port = "514"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		w.addLocal(ip)
		if to := host + ":" + port; !slices.Contains(w.logs, to) {
			w.logs = append(w.logs, to)
		}
	}
}

func (w *whole) addLocal(ip netip.Addr) {
	if !ip.IsUnspecified() && !slices.Contains(w.locals, ip) {
		w.locals = append(w.locals, ip)
	}
}

func (w *whole) bind(s *section, words []string) {
	for addr := range strings.SplitSeq(words[1], ",") {
		addr = regexp.MustCompile(`-\d+$`).ReplaceAllString(addr, "")
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			continue
		}
		w.addLocal(ap.Addr())
		b := bind{addr: addr, tls: slices.Contains(words, "ssl"), proxy: slices.Contains(words, "accept-proxy"), h2c: false}
		if i := slices.Index(words, "alpn"); i > 0 {
			b.h2 = b.tls && strings.Contains(words[i+1], "h2")
		}
		if i := slices.Index(words, "proto"); i > 0 {
			b.h2c = !b.tls && words[i+1] == "h2"
		}
		if s.name != "served-flush" {
			s.binds = append(s.binds, b)
		}
	}
}

// server notes the addresses of a server and its checks.
func (w *whole) server(s *section, words []string) {
	at := map[string]int{"server": 2, "server-template": 3, "dispatch": 1}[words[0]]
	var ports []int
	var hosts []string
	if at > 0 && at < len(words) {
		host, port, _ := strings.Cut(words[at], ":")
		host = strings.TrimPrefix(host, "ipv4@")
		hosts = append(hosts, host)
		n, err := strconv.Atoi(port)
		if err != nil || strings.HasPrefix(port, "+") || strings.HasPrefix(port, "-") || n == 0 {
			for _, other := range w.sections { // the client's port, and so much more
				for _, b := range other.binds {
					ports = append(ports, int(netip.MustParseAddrPort(b.addr).Port())+n)
				}
			}
		} else {
			ports = append(ports, n)
		}
	}
	for i := at + 1; i+1 < len(words); i++ {
		n, err := strconv.Atoi(words[i+1])
		switch {
		case (words[i] == "port" || words[i] == "agent-port") && err == nil:
			ports = append(ports, n)
		case words[i] == "addr":
			hosts = append(hosts, words[i+1])
		}
	}
	if at == 0 { // a check's own port: of all servers of the section
		for _, other := range s.lines {
			if other[0] == "server" && len(other) > 2 {
				host, _, _ := strings.Cut(other[2], ":")
				hosts = append(hosts, host)
			}
		}
	}
	for _, host := range hosts {
		ip, err := netip.ParseAddr(host)
		if err != nil || ip.IsUnspecified() {
			continue
		}
		w.addLocal(ip)
		for _, port := range ports {
			if port > 0 && port < 65536 {
				w.speakers[fmt.Sprintf("%s:%d", ip, port)] = true
			}
		}
	}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)(?:-([^}]*))?\}?`)

// split takes a line apart as the configuration's language does.
func split(line string, env map[string]string) (words []string) {
	var word strings.Builder
	var quote byte
	in := false
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	line = strings.TrimSpace(line)
	if !strings.Contains(line, "reg") {
		line = variable.ReplaceAllStringFunc(line, func(v string) string {
			m := variable.FindStringSubmatch(v)
			if value, ok := env[m[1]]; ok {
				return value
			}
			return m[2]
		})
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			in = true
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == '#':
			end()
			return words
		case c == ' ' || c == '\t':
			end()
		default:
			word.WriteByte(c)
			in = true
		}
	}
	end()
	return words
}
