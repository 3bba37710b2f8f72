package served

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ask is one thing that a client does.
type ask struct {
	bind
	section string
	mode    string
	from    string
	kind    string // "http", "h2", "raw", "tls" (through a tunnel), "twice" (two requests on a connection), "websocket"
	name    string // the name for TLS
	method  string
	target  string
	host    string
	fields  []string
	body    string
	raw     string
	old     bool // HTTP/1.0
}

// String names it in reports.
func (a *ask) String() string {
	text := fmt.Sprintf("%s %s %s", a.section, a.addr, a.kind)
	if a.from != client {
		text += " from " + a.from
	}
	if a.name != "" {
		text += " sni=" + a.name
	}
	if a.raw != "" {
		return text + fmt.Sprintf(" %q", a.raw)
	}
	return text + fmt.Sprintf(" %s http://%s%s %q %.20q", a.method, a.host, a.target, a.fields, a.body)
}

// hints are what a file's own words say of requests.
type hints struct {
	hosts, paths, methods, sources, names []string
	fields                                []string // "Name: value"
	users                                 []string
	params                                []string
}

func add(list *[]string, values ...string) {
	for _, v := range values {
		if v != "" && !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
}

var (
	fetchOf = regexp.MustCompile(`^!?\{?(?:req\.|capture\.req\.)?([a-z0-9_.]+)(?:\(([^)]*)\))?(,.*)?$`)
	plain   = regexp.MustCompile(`^[!-~]+$`)
)

// hintsIn reads sections' lines.
func hintsIn(sections []*section) (h hints) {
	for _, s := range sections {
		for _, words := range s.lines {
			for i, w := range words {
				if m := fetchOf.FindStringSubmatch(w); m != nil && i > 0 {
					h.of(m[1], m[2], m[3], patterns(words[i+1:]))
				}
				if file := mapFile.FindStringSubmatch(w); file != nil {
					if m := fetchOf.FindStringSubmatch(strings.TrimPrefix(w, "%[")); m != nil {
						h.of(m[1], m[2], "", keys(file[1]))
					}
				}
			}
			h.line(words)
		}
	}
	return h
}

var mapFile = regexp.MustCompile(`map[a-z_]*\(([^,)]+)`)

// keys are the first words of a file's lines.
func keys(path string) (out []string) {
	text, err := os.ReadFile(filepath.Join("testdata", strings.TrimPrefix(path, "/run/")))
	if err != nil {
		text, _ = os.ReadFile(path)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			out = append(out, f[0])
		}
	}
	return out
}

// patterns are the words after a fetch that it is compared with.
func patterns(words []string) (out []string) {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "}" || w == "if" || w == "unless" || w == "or" || w == "||" || w == "{":
			return out
		case w == "-m":
			i++
		case w == "-f" && i+1 < len(words):
			i++
			out = append(out, keys(words[i])...)
		case strings.HasPrefix(w, "-") || w == "eq" || w == "gt" || w == "ge" || w == "lt" || w == "le" || w == "!":
		default:
			out = append(out, w)
		}
	}
	return out
}

// sample makes a text of a simple regular expression.
func sample(re string) string {
	re = strings.NewReplacer("^", "", "$", "", `\.`, ".", ".*", "x", ".+", "x", "(?i)", "", "?", "", `[^/]+`, "x", `[0-9]+`, "7", `\d+`, "7", "[a-z]+", "x").Replace(re)
	re = regexp.MustCompile(`\(([^|()]*)[^()]*\)`).ReplaceAllString(re, "$1")
	re = regexp.MustCompile(`\[\^[^\]]*\][*+]?`).ReplaceAllString(re, "x")
	re = regexp.MustCompile(`\[([a-zA-Z0-9])[^\]]*\][*+]?`).ReplaceAllString(re, "$1")
	return re
}

// of notes what a fetch is compared with.
func (h *hints) of(fetch, arg, convs string, values []string) {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !plain.MatchString(v) })
	values = values[:min(len(values), 8)]
	arg, _, _ = strings.Cut(arg, ",")
	name, _, _ := strings.Cut(strings.TrimPrefix(fetch, "res."), "_")
	kind := fetch[strings.LastIndex(fetch, "_")+1:]
	for _, v := range values {
		if kind == "reg" || strings.ContainsAny(v, `^$\`) {
			v = sample(v)
		}
		switch {
		case name == "hdr" || name == "fhdr":
			h.field(arg, v, kind)
		case name == "path" || name == "url" || name == "pathq" || name == "uri" || name == "base":
			h.path(v, kind, name)
		case name == "method":
			add(&h.methods, v)
		case name == "src":
			h.source(v)
		case name == "cook" || name == "cookie":
			add(&h.fields, "Cookie: "+arg+"="+v)
		case name == "urlp" || fetch == "url_param":
			add(&h.params, arg+"="+v)
		case name == "ssl" && strings.Contains(fetch, "sni") || fetch == "ssl_fc_sni" || fetch == "ssl_sni":
			add(&h.names, strings.TrimPrefix(sni(v), "."))
		}
	}
	if len(values) == 0 {
		switch {
		case (name == "hdr" || name == "fhdr") && arg != "" && !strings.EqualFold(arg, "host"):
			h.field(arg, "some-value", "")
		case name == "cook":
			add(&h.fields, "Cookie: "+arg+"=value")
		case name == "urlp" || fetch == "url_param":
			add(&h.params, arg+"=7")
		}
	}
}

func sni(v string) string {
	if strings.HasPrefix(v, ".") {
		return "any" + v
	}
	return v
}

func (h *hints) field(name, v, kind string) {
	if strings.EqualFold(name, "host") {
		switch {
		case kind == "beg" || strings.HasSuffix(v, "."):
			v += "site.example"
		case kind == "end" && !strings.HasPrefix(v, "."), kind == "dom":
			v = "any." + strings.TrimPrefix(v, ".")
		case strings.HasPrefix(v, "."):
			v = "any" + v
		}
		add(&h.hosts, v)
		return
	}
	if name != "" && !strings.EqualFold(name, "Upgrade") && !strings.EqualFold(name, "Connection") { // WebSockets have an ask of their own
		if kind == "sub" || kind == "beg" {
			v += "/5.0"
		}
		add(&h.fields, name+": "+v)
	}
}

func (h *hints) path(v, kind, name string) {
	host, rest, ok := strings.Cut(v, "/")
	if name == "base" && host != "" {
		add(&h.hosts, host)
		if ok {
			add(&h.paths, "/"+rest)
		}
		return
	}
	switch kind {
	case "beg":
		add(&h.paths, v, v+"more/x.html")
	case "end", "sub", "dir":
		if !strings.HasPrefix(v, "/") {
			v = "/dir/" + v
		}
		if kind == "end" && strings.HasPrefix(v, "/dir/.") {
			v = "/dir/file" + strings.TrimPrefix(v, "/dir/")
		}
		if kind == "dir" {
			v += "/in"
		}
		add(&h.paths, v)
	default:
		if !strings.HasPrefix(v, "/") {
			v = "/" + v
		}
		add(&h.paths, v)
	}
}

func (h *hints) source(v string) {
	if p, err := netip.ParsePrefix(v); err == nil && p.Addr().Is4() {
		ip := p.Masked().Addr()
		if p.Bits() < 32 {
			ip = ip.Next()
		}
		add(&h.sources, ip.String())
	} else if ip, err := netip.ParseAddr(v); err == nil && ip.Is4() {
		add(&h.sources, v)
	}
}

// line notes what is in a line besides fetches.
func (h *hints) line(words []string) {
	for i, w := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case w == "user" && (slices.Contains(words, "password") || slices.Contains(words, "insecure-password")):
			add(&h.users, next+":"+words[len(words)-1])
		case w == "auth" && words[0] == "stats":
			add(&h.users, next)
		case (w == "uri" && words[0] == "stats") || w == "monitor-uri":
			add(&h.paths, next)
		case w == "TRUE", w == "METH_POST":
			add(&h.methods, "POST")
		case w == "METH_OPTIONS":
			add(&h.methods, "OPTIONS")
		case w == "header" && words[0] == "capture" && words[1] == "request" && !strings.EqualFold(next, "host"):
			add(&h.fields, next+": captured")
		case w == "cookie" && words[0] == "server":
			add(&h.fields, "Cookie: %COOKIE%="+next)
		}
	}
	if words[0] == "cookie" && len(words) > 1 {
		for i, f := range h.fields {
			h.fields[i] = strings.Replace(f, "%COOKIE%", words[1], 1)
		}
	}
	if words[0] == "server" {
		return
	}
	if words[0] == "appsession" || words[0] == "capture" && words[1] == "cookie" {
		add(&h.fields, "Cookie: "+strings.TrimSuffix(cmp.Or(words[min(2, len(words)-1)], "c"), "=")+"=captured")
	}
}

// most is how many asks a file has at most, and how many of them one address.
const most, mostHere = 220, 70

// asksOf makes what clients ask of a file.
func asksOf(w *whole) (asks []*ask) {
	var rest []*section
	for _, s := range w.sections {
		if len(s.binds) == 0 || s.kind == "userlist" {
			rest = append(rest, s)
		}
	}
	drops := strings.Contains(w.text, "silent-drop")
	total := 0
	for _, s := range w.sections {
		total += min(len(s.binds), 3)
	}
	for _, s := range w.sections {
		own := hintsIn(append([]*section{s}, rest...))
		for i, b := range s.binds[:min(len(s.binds), 3)] {
			var here []*ask
			if s.mode == "http" {
				here = requests(own)
			} else {
				here = append(bytesAsks(own), requests(own)[:5]...)
				for _, a := range here {
					if a.kind == "http" {
						a.kind = "tunnel"
					}
				}
			}
			if i > 0 && len(here) > 8 {
				here = here[:8]
			}
			here = here[:min(len(here), mostHere, max(12, most/total))]
			for _, a := range here {
				if b.h2c && a.kind != "http" { // HAProxy speaks nothing else there
					continue
				}
				a.bind, a.section, a.mode = b, s.name, s.mode
				a.name = cmp.Or(a.name, hostOnly(a.host))
				if b.tls && b.h2 && a.kind == "http" && len(asks)%3 == 1 || b.h2c && a.kind == "http" {
					a.kind = "h2"
				}
				a.from = cmp.Or(a.from, client)
				if drops && a.from == client && len(asks)%8 > 0 { // whoever was dropped once would be so for ever
					a.from = fmt.Sprintf("198.51.100.%d", 10+len(asks))
				}
				if s.has("dispatch") && a.kind == "websocket" { // which ends HAProxy 2.6.12's process
					continue
				}
				if strings.HasPrefix(a.addr, "[") {
					a.from = "2001:db8::7"
				}
				asks = append(asks, a)
			}
		}
	}
	return asks
}

func hostOnly(host string) string {
	host, _, _ = strings.Cut(host, ":")
	return host
}

// requests are those of HTTP.
func requests(h hints) (asks []*ask) {
	const nobody = "nobody.test"
	put := func(a ask) {
		a.kind = cmp.Or(a.kind, "http")
		a.method, a.target, a.host = cmp.Or(a.method, "GET"), cmp.Or(a.target, "/"), cmp.Or(a.host, nobody)
		asks = append(asks, &a)
	}
	host := nobody
	if len(h.hosts) > 0 {
		host = h.hosts[0]
	}
	put(ask{})
	put(ask{host: host, target: "/some/page.html?a=1&b=2"})
	put(ask{host: host, method: "POST", target: "/form", body: "name=value&x=1", fields: []string{"Content-Type: application/x-www-form-urlencoded"}})
	put(ask{host: host, kind: "twice"})
	put(ask{host: host, method: "HEAD"})
	for _, v := range h.hosts {
		put(ask{host: v})
		put(ask{host: hostOnly(strings.ToUpper(v)) + ":80", target: "/x"})
	}
	for _, v := range h.paths {
		put(ask{host: host, target: v})
		if host != nobody {
			put(ask{target: v})
		}
	}
	for _, v := range h.users {
		target := "/"
		if len(h.paths) > 0 {
			target = h.paths[0]
		}
		put(ask{host: host, target: target, fields: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(v))}})
		put(ask{host: host, target: target, fields: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(v+"wrong"))}})
	}
	for _, v := range h.fields {
		put(ask{host: host, fields: []string{v}, target: "/f"})
		if len(h.paths) > 1 {
			put(ask{host: host, fields: []string{v}, target: h.paths[1]})
		}
	}
	for _, v := range h.methods {
		put(ask{host: host, method: v, target: "/m", fields: []string{"Content-Length: 0"}})
	}
	for _, v := range h.params {
		put(ask{host: host, target: "/p?" + v})
	}
	for _, v := range h.sources {
		put(ask{host: host, from: v})
		if len(h.paths) > 0 {
			put(ask{host: host, from: v, target: h.paths[0]})
		}
	}
	for _, v := range []string{"404", "500", "302", "cookie", "cacheable", "private", "json", "304", "close", "chunked"} {
		put(ask{host: host, target: "/answer/" + v, fields: []string{"X-Answer: " + v}})
	}
	put(ask{host: host, target: "/answer/cacheable", fields: []string{"X-Answer: cacheable"}})
	put(ask{host: host, target: "/app.css", fields: []string{"Accept-Encoding: gzip, deflate", "X-Answer: chunked"}})
	put(ask{host: host, kind: "websocket", target: "/socket.io/", fields: []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==", "Sec-WebSocket-Version: 13", "Origin: http://" + host}})
	put(ask{host: host, old: true})
	put(ask{host: host, fields: []string{"X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https", "Referer: http://other.example/", "User-Agent: Mozilla/5.0"}, target: "/fwd"})
	put(ask{host: host, method: "OPTIONS", fields: []string{"Origin: https://app.example.com", "Access-Control-Request-Method: PUT"}, target: "/api/v1/things"})
	put(ask{host: host, method: "PUT", fields: []string{"Transfer-Encoding: chunked"}, body: "5\r\nhello\r\n0\r\n\r\n", target: "/upload"})
	put(ask{host: host, raw: "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n"})
	return asks
}

// bytesAsks are what clients of other protocols begin with.
func bytesAsks(h hints) (asks []*ask) {
	for _, v := range h.names {
		asks = append(asks, &ask{kind: "tls", name: v})
	}
	asks = append(asks, &ask{kind: "tls", name: "nobody.test"})
	for _, text := range []string{
		"PING served-#\r\n", "SSH-2.0-client served-#\r\n",
		"\x03\x00\x00\x2c\x27\xe0\x00\x00\x00\x00\x00Cookie: mstshash=served-#\r\n\x01\x00\x08\x00\x00\x00\x00\x00",
		"\x10\x16\x00\x04MQTT\x04\x02\x00\x3c\x00\x0aserved-###",
		"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00served-#",
		"\x00\x00\x00\x25\x00\x03\x00\x00user\x00served-#\x00\x00",
	} {
		asks = append(asks, &ask{kind: "raw", raw: text})
	}
	for _, v := range h.sources {
		asks = append(asks, &ask{kind: "raw", raw: "PING served-# again\r\n", from: v})
	}
	return asks
}
