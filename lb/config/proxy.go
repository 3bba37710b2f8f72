package config

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"lbsyslogd/lb/rule"
)

// onOff makes the function of an option that "no" turns off.
func onOff(field func(d *draft) *bool) func(*call, *draft) error {
	return func(c *call, d *draft) error {
		*field(d) = !c.no
		return nil
	}
}

// proxyTable holds the plain keywords of proxies.
func proxyTable() []row[*draft] {
	count := func(low, high int, set func(d *draft, n int)) func(*call, *draft) error {
		return func(c *call, d *draft) error {
			n, err := number(c.name, c.args[0], low, high)
			set(d, n)
			return err
		}
	}
	const big = 1<<31 - 1
	return []row[*draft]{
		{name: "backlog", loose: likeC, args: "<number>", min: 1, max: 1, in: front, apply: count(0, big, func(d *draft, n int) { d.Backlog = n })},
		{name: "bind", args: "<address>[,...] [<option> ...]", wants: "{<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments", min: 1, max: many, in: ownFront, apply: (*call).bind},
		{name: "capture cookie", args: "<name> len <length>", min: 3, max: 3, in: ownFront, apply: func(c *call, d *draft) error {
			one, err := c.captured()
			d.CookieCapture = one
			return err
		}},
		{name: "http-send-name-header", args: "<name>", min: 1, max: 1, in: back, apply: func(c *call, d *draft) error {
			if !rule.IsHeaderName(c.args[0]) {
				return fmt.Errorf("'%s' cannot be used as a name for http-send-name-header", c.args[0])
			}
			d.NameHeader = c.args[0]
			return nil
		}},
		{name: "capture request header", args: "<name> len <length>", min: 3, max: 3, in: ownFront, apply: (*call).capture},
		{name: "capture response header", args: "<name> len <length>", min: 3, max: 3, in: ownFront, apply: (*call).capture},
		{name: "declare capture", args: "request|response len <length>", min: 3, max: 3, in: ownFront, apply: func(c *call, d *draft) error {
			if c.args[1] != "len" {
				return fmt.Errorf("'declare capture' expects '%s len <length>'", c.args[0])
			}
			n, err := number("declare capture len", c.args[2], 1, 1<<16)
			switch {
			case err != nil:
				return err
			case c.args[0] == "request":
				d.ReqCaptures = append(d.ReqCaptures, Capture{Len: n})
			case c.args[0] == "response":
				d.ResCaptures = append(d.ResCaptures, Capture{Len: n})
			default:
				return oneOf(c.name, c.args[0], "request", "response")
			}
			return nil
		}},
		{name: "cookie", args: "<name> [rewrite|insert|prefix] [indirect] [nocache] [postonly] [preserve] [httponly] [secure] [domain <domain>] [maxidle <time>] [maxlife <time>] [dynamic] [attr <text>]", min: 1, max: many, in: back, apply: (*call).cookie},
		{name: "dynamic-cookie-key", args: "<text>", min: 1, max: 1, in: back, apply: func(c *call, d *draft) error {
			d.CookieKey = c.args[0]
			return nil
		}},
		{name: "dispatch", args: "<address>:<port>", min: 1, max: 1, in: ownBack, apply: (*call).dispatch},
		{name: "source", args: "<address>[:<port>] [usesrc <address>|client|clientip|hdr_ip(<field>[,<number>])] [interface <name>]", min: 1, max: many, in: back, apply: func(c *call, d *draft) error {
			return c.source(&d.Source, c.args)
		}},
		{name: "default-server", args: "[<option> ...]", max: many, in: back, hard: true, apply: (*call).defaultServer},
		{name: "default_backend", args: "<backend>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error {
			d.DefaultBackend, d.backPos = c.args[0], c.pos
			return nil
		}},
		{name: "description", args: "<text>", min: 1, max: many, in: ownAnywhere, status: Ignored, doc: "it is shown nowhere; a comment does the same"},
		{name: "disabled", in: anywhere, apply: func(_ *call, d *draft) error { d.Disabled = true; return nil }},
		{name: "enabled", in: anywhere, apply: func(_ *call, d *draft) error { d.Disabled = false; return nil }},
		{name: "errorfile", lax: true, args: "<code> <file>", min: 2, max: 2, in: anywhere, apply: (*call).errorFile},
		{name: "errorfiles", args: "<section> [<code> ...]", min: 1, max: many, in: anywhere, apply: (*call).errorFiles},
		{name: "http-error", args: "status <code> [content-type <type>] [errorfile|errorfiles|file|string <argument>] [hdr <name> <text>]...", min: 2, max: many, in: anywhere, apply: (*call).httpError},
		{name: "errorloc", lax: true, args: "<code> <url>", min: 2, max: 2, in: anywhere, apply: (*call).errorLocation},
		{name: "errorloc302", lax: true, args: "<code> <url>", min: 2, max: 2, in: anywhere, apply: (*call).errorLocation},
		{name: "errorloc303", lax: true, args: "<code> <url>", min: 2, max: 2, in: anywhere, apply: (*call).errorLocation},
		{name: "guid", args: "<text>", min: 1, max: 1, in: ownAnywhere, status: Ignored, doc: "names and ids keep counters apart already"},
		{name: "http-reuse", args: "never|safe|aggressive|always", min: 1, max: 1, in: back, apply: (*call).httpReuse},
		{name: "id", loose: cutsTail, args: "<number>", min: 1, max: 1, in: ownAnywhere, apply: count(1, big, func(d *draft, n int) { d.ID = n })},
		{name: "maxconn", loose: likeC, args: "<number>", min: 1, max: 1, in: front, apply: count(0, big, func(d *draft, n int) { d.MaxConn = n })},
		{name: "mode", args: "http|tcp", min: 1, max: 1, in: anywhere, apply: (*call).mode},
		{name: "monitor-uri", args: "<uri>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error { d.MonitorURI = c.args[0]; return nil }},
		{name: "rate-limit sessions", loose: wrapsAround, lax: true, args: "<number>", min: 1, max: 1, in: front, apply: count(0, big, func(d *draft, n int) { d.SessionRate = n })},
		{name: "retries", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, in: back, apply: count(0, big, func(d *draft, n int) { d.Retries = n })},
		{name: "retry-on", hard: true, args: "<condition> ...", doc: "none, conn-failure, empty-response, junk-response, response-timeout, 0rtt-rejected, a status, all-retryable-errors", min: 1, max: many, in: back, apply: (*call).retryOn},
		{name: "server", args: "<name> <address>[:<port>] [<option> ...]", wants: "<name> and <addr>[:<port>] as arguments", min: 2, max: many, in: ownBack, hard: true, apply: (*call).server},
		{name: "server-template", args: "<prefix> <number|range> <address>[:<port>] [<option> ...]", min: 3, max: many, in: ownBack, hard: true, apply: (*call).serverTemplate},
		{name: "load-server-state-from-file", lax: true, args: "global|local|none", min: 1, max: 1, in: back, apply: func(c *call, d *draft) error {
			d.states.from = c.args[0]
			return oneOf(c.name, c.args[0], "global", "local", "none")
		}},
		{name: "server-state-file-name", args: "[use-backend-name|<file>]", max: 1, in: back, apply: func(c *call, d *draft) error {
			d.states.file = ""
			if len(c.args) > 0 && c.args[0] != "use-backend-name" {
				d.states.file = c.args[0]
			}
			return nil
		}},
		{name: "fullconn", loose: likeC, args: "<number>", min: 1, max: 1, in: back, apply: count(0, big, func(d *draft, n int) { d.FullConn = n })},
	}
}

func (c *call) mode(d *draft) error {
	switch c.args[0] {
	case "http":
		d.Mode = HTTP
	case "tcp":
		d.Mode = TCP
	case "health":
		return fmt.Errorf("'mode health' is gone since HAProxy 2.1: write 'http-request return status 200'")
	default:
		return fmt.Errorf("unknown proxy mode '%s': 'http' or 'tcp'", c.args[0])
	}
	return nil
}

func (c *call) httpReuse(d *draft) error {
	switch c.args[0] {
	case "safe":
		d.HTTPReuse = ReuseSafe
	case "never":
		d.HTTPReuse = ReuseNever
	case "aggressive":
		d.HTTPReuse = ReuseAggressive
	case "always":
		d.HTTPReuse = ReuseAlways
	}
	return oneOf(c.name, c.args[0], "never", "safe", "aggressive", "always")
}

// capture applies capture request|response header NAME len N.
func (c *call) capture(d *draft) error {
	one, err := c.captured()
	if err != nil {
		return err
	}
	if strings.Contains(c.name, "request") {
		d.ReqCaptures = append(d.ReqCaptures, one)
	} else {
		d.ResCaptures = append(d.ResCaptures, one)
	}
	return nil
}

// captured reads NAME len N.
func (c *call) captured() (Capture, error) {
	if c.args[1] != "len" {
		return Capture{}, fmt.Errorf("'%s' expects <name> len <length>, not '%s'", c.name, c.args[1])
	}
	n, err := number(c.name+" len", c.numeral(c.name+" len", c.args[2], cutsTail|wordIsZero), 0, 65536)
	return Capture{Header: c.args[0], Len: n}, err
}

// retryStatuses are the statuses that retry-on can name.
var retryStatuses = []string{"401", "403", "404", "408", "425", "429", "500", "501", "502", "503", "504"}

// retryOn applies retry-on.
func (c *call) retryOn(d *draft) error {
	on := RetryOn{NoConnFailure: true}
	for _, word := range c.args {
		switch word {
		case "none":
			if len(c.args) > 1 {
				return fmt.Errorf("'retry-on none' stands alone")
			}
		case "conn-failure":
			on.NoConnFailure = false
		case "empty-response":
			on.Empty = true
		case "junk-response":
			on.Junk = true
		case "response-timeout":
			on.Timeout = true
		case "0rtt-rejected": // requests are never sent as early data
		case "all-retryable-errors":
			on.NoConnFailure, on.Empty, on.Junk, on.Timeout = false, true, true, true
			on.Statuses = append(on.Statuses, 500, 502, 503, 504)
		default:
			if !slices.Contains(retryStatuses, word) {
				return oneOf("retry-on", word, append([]string{"none", "conn-failure", "empty-response", "junk-response", "response-timeout", "0rtt-rejected", "all-retryable-errors"}, retryStatuses...)...)
			}
			n, _ := strconv.Atoi(word)
			on.Statuses = append(on.Statuses, n)
		}
	}
	d.RetryOn = on
	return nil
}

// cookie applies cookie NAME ...
func (c *call) cookie(d *draft) error {
	k := &Cookie{Name: c.args[0]}
	flags := map[string]*bool{
		"insert": &k.Insert, "rewrite": &k.Rewrite, "prefix": &k.Prefix, "indirect": &k.Indirect, "nocache": &k.NoCache, "preserve": &k.Preserve,
		"httponly": &k.HTTPOnly, "secure": &k.Secure, "postonly": &k.PostOnly, "dynamic": &k.Dynamic,
	}
	words := c.args[1:]
	for len(words) > 0 {
		n := 1
		switch flag := flags[words[0]]; {
		case flag != nil:
			*flag = true
		case slices.Contains([]string{"domain", "attr", "maxidle", "maxlife"}, words[0]):
			if len(words) < 2 {
				return fmt.Errorf("'cookie' : '%s' expects a value", words[0])
			}
			if err := k.value(c, words[0], words[1]); err != nil {
				return err
			}
			n = 2
		default:
			return oneOf("cookie", words[0], "rewrite", "insert", "prefix", "indirect", "nocache", "postonly", "preserve", "httponly", "secure", "domain", "maxidle", "maxlife", "dynamic", "attr")
		}
		words = words[n:]
	}
	switch {
	case k.Rewrite && k.Indirect:
		return fmt.Errorf("'cookie' : 'rewrite' and 'indirect' exclude each other")
	case k.Rewrite && k.Insert || k.Rewrite && k.Prefix || k.Insert && k.Prefix:
		return fmt.Errorf("'cookie' : 'rewrite', 'insert' and 'prefix' exclude each other")
	case k.Preserve && !k.Insert && !k.Indirect:
		return fmt.Errorf("'cookie' : 'preserve' needs 'insert' or 'indirect'")
	}
	d.Cookie, d.cookiePos = k, c.pos
	return nil
}

// value applies the words of a cookie line that have one.
func (k *Cookie) value(c *call, word, value string) (err error) {
	switch word {
	case "domain":
		if strings.ContainsAny(value, ";\r\n") {
			return fmt.Errorf("'cookie domain' cannot contain a semicolon or a line end: '%s'", value)
		}
		if !strings.Contains(value, ".") {
			c.p.report.Warnf(c.pos, "'cookie' : the domain '%s' contains no dots: some browsers ignore it (RFC 2109)", value)
		}
		// Several domains are possible; the browser sees each as an attribute.
		if k.Domain != "" {
			value = k.Domain + "; domain=" + value
		}
		k.Domain = value
	case "attr":
		if strings.ContainsAny(value, ";\r\n") {
			return fmt.Errorf("'cookie attr' cannot contain a semicolon or a line end: '%s'", value)
		}
		k.Attrs = append(k.Attrs, value)
	case "maxidle":
		k.MaxIdle, err = seconds("cookie maxidle", c.timed("cookie maxidle", value))
	case "maxlife":
		k.MaxLife, err = seconds("cookie maxlife", c.timed("cookie maxlife", value))
	}
	return err
}

// errorCodes are the statuses whose answers can be replaced.
func errorCodes() []int {
	return []int{200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504}
}

func (c *call) errorCode(word string) (int, error) {
	for _, code := range errorCodes() {
		if fmt.Sprint(code) == word {
			return code, nil
		}
	}
	return 0, fmt.Errorf("%s : status code '%s' not handled: %s are", c.name, word, strings.Trim(fmt.Sprint(errorCodes()), "[]"))
}

// errorFile reads the answer that replaces lb's own. It is a whole response,
// as it goes over the wire.
func (c *call) errorFile(d *draft) error {
	code, err := c.errorCode(c.args[0])
	if err != nil {
		return err
	}
	page, err := c.readErrorFile(c.args[1])
	d.setPage(code, page)
	return err
}

func (c *call) readErrorFile(path string) (ErrorFile, error) {
	data, err := os.ReadFile(c.p.path(c.pos.File, path))
	if err != nil {
		return ErrorFile{}, fmt.Errorf("errorfile : error opening file '%s': %w", path, plainError(err))
	}
	if len(data) > 0 {
		if data, err = wireResponse(data, c.p.cfg.Global.Buffer()); err != nil {
			return ErrorFile{}, fmt.Errorf("errorfile : unusable response in '%s': %w", path, err)
		}
	}
	c.p.digest.Write(data)
	return ErrorFile{Path: path, Data: data}, nil
}

// wireResponse checks that data is a whole HTTP/1 response and ends its head's
// lines in CRLF, which files written by hand often lack; of at most that many
// bytes.
func wireResponse(data []byte, most int) ([]byte, error) {
	var lines []string
	body := string(data)
	for {
		line, rest, ended := strings.Cut(body, "\n")
		if !ended {
			return nil, fmt.Errorf("no empty line ends the head")
		}
		line, body = strings.TrimSuffix(line, "\r"), rest
		if line == "" {
			break
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("it begins with an empty line, not with a status line such as 'HTTP/1.0 503 Service Unavailable'")
	}
	version, rest, _ := strings.Cut(lines[0], " ")
	if version != "HTTP/1.0" && version != "HTTP/1.1" || len(rest) < 3 {
		return nil, fmt.Errorf("it begins with '%s', not with a status line such as 'HTTP/1.0 503 Service Unavailable'", lines[0])
	}
	for _, line := range lines[1:] {
		if name, _, ok := strings.Cut(line, ":"); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("'%s' is no header line", line)
		}
	}
	whole := strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	if len(whole) > most {
		return nil, fmt.Errorf("it has %d bytes, at most %d are possible", len(whole), most)
	}
	return []byte(whole), nil
}

// errorLocation makes the answer for a status a redirect.
func (c *call) errorLocation(d *draft) error {
	code, err := c.errorCode(c.args[0])
	if err != nil {
		return err
	}
	url := c.args[1]
	if strings.ContainsAny(url, "\r\n") {
		return fmt.Errorf("%s : the URL contains a line end", c.name)
	}
	status := "302 Found"
	if c.name == "errorloc303" {
		status = "303 See Other"
	}
	d.setPage(code, ErrorFile{
		Path: url,
		Data: []byte("HTTP/1.1 " + status + "\r\nCache-Control: no-cache\r\nContent-Length: 0\r\nLocation: " + url + "\r\n\r\n"),
	})
	return nil
}
