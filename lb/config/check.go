package config

import (
	"fmt"
	"regexp"
	"strings"
)

// checkTable holds how servers are checked.
func checkTable() []row[*draft] {
	const (
		connectOnly = "plain checks connect, option httpchk asks over HTTP"
		oneStep     = "a check is one request (http-check send) and one expectation"
		scripted    = "TCP checks connect only; use option httpchk for more"
	)
	return []row[*draft]{
		{name: "option httpchk", args: "[[<method>] <uri> [<version>]]", max: many, in: back, negate: true, apply: (*call).httpCheck},
		{name: "http-check send", args: "[meth <method>] [uri <uri>] [ver <version>] [hdr <name> <value>]... [body <text>]", min: 1, max: many, in: back, apply: (*call).checkSend},
		{name: "http-check expect", args: "[!] status|string|rstring <value>", min: 2, max: many, in: back, apply: (*call).checkExpect},
		{name: "option tcp-check", in: back, negate: true, status: Ignored, doc: "without tcp-check rules it is the plain connection check, which is the default", apply: func(_ *call, d *draft) error { d.Check = Check{}; return nil }},

		{name: "http-check comment", args: "<text>", min: 1, max: many, in: back, status: Refused, doc: oneStep},
		{name: "http-check connect", args: "...", max: many, in: back, status: Refused, doc: oneStep},
		{name: "http-check disable-on-404", in: back, status: Refused, doc: "use 'set server state drain' on the stats socket"},
		{name: "http-check send-state", in: back, status: Refused, doc: "servers are not told their state; remove it"},
		{name: "http-check set-var", args: "...", max: many, in: back, status: Refused, doc: oneStep},
		{name: "http-check set-var-fmt", args: "...", max: many, in: back, status: Refused, doc: oneStep},
		{name: "http-check unset-var", args: "...", max: many, in: back, status: Refused, doc: oneStep},
		{name: "tcp-check comment", args: "<text>", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check connect", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check expect", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check send", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check send-binary", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check send-binary-lf", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check send-lf", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check set-var", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check set-var-fmt", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "tcp-check unset-var", args: "...", max: many, in: back, status: Refused, doc: scripted},
		{name: "external-check command", args: "<command>", max: many, in: back, status: Refused, doc: connectOnly},
		{name: "external-check path", args: "<path>", max: many, in: back, status: Refused, doc: connectOnly},
		{name: "option external-check", in: back, status: Refused, doc: connectOnly},
		{name: "option ldap-check", in: back, status: Refused, doc: connectOnly},
		{name: "option mysql-check", args: "...", max: many, in: back, status: Refused, doc: connectOnly},
		{name: "option pgsql-check", args: "...", max: many, in: back, status: Refused, doc: connectOnly},
		{name: "option redis-check", in: back, status: Refused, doc: connectOnly},
		{name: "option smtpchk", args: "...", max: many, in: back, status: Refused, doc: connectOnly},
		{name: "option spop-check", in: back, status: Refused, doc: connectOnly},
		{name: "option ssl-hello-chk", in: back, status: Refused, doc: connectOnly},
	}
}

// httpCheck applies option httpchk [URI | METHOD URI [VERSION]].
func (c *call) httpCheck(d *draft) error {
	if c.no {
		d.Check = Check{}
		return nil
	}
	k := &d.Check
	k.HTTP = true
	if len(c.args) == 0 && d.send != noSend {
		return nil // http-check send says more
	}
	k.Method, k.URI, k.Version = "OPTIONS", "/", "HTTP/1.0"
	if d.send == noSend {
		k.Headers, k.Body = nil, "" // those of another option httpchk
	}
	switch {
	case len(c.args) == 1:
		k.URI = c.args[0]
	case len(c.args) > 1:
		k.Method, k.URI = c.args[0], c.args[1]
	}
	if len(c.args) > 2 {
		// Before http-check send, headers were hidden behind the version.
		text := strings.ReplaceAll(strings.Join(c.args[2:], " "), "\r\n", "\n")
		head, body, _ := strings.Cut(text, "\n\n")
		lines := strings.Split(head, "\n")
		k.Version = lines[0]
		for _, line := range lines[1:] {
			name, value, ok := strings.Cut(line, ":")
			if line == "" {
				continue
			}
			if !ok || strings.ContainsAny(name, " \t") {
				return fmt.Errorf("'option httpchk' : '%s' behind the version is no header line", line)
			}
			k.Headers = append(k.Headers, name+": "+strings.TrimSpace(value))
		}
		k.Body = body
		if len(lines) > 1 {
			c.p.report.Notef(c.pos, "'option httpchk' : hiding headers or body at the end of the version string is deprecated; 'http-check send hdr <name> <value>' is meant for them")
		}
	}
	return checkVersion(k.Version)
}

func checkVersion(version string) error {
	return oneOf("http-check ver", version, "HTTP/1.0", "HTTP/1.1")
}

// checkSend applies http-check send.
func (c *call) checkSend(d *draft) error {
	k := &d.Check
	if k.Method == "" {
		k.Method, k.URI, k.Version = "OPTIONS", "/", "HTTP/1.0"
	}
	switch d.send {
	case inheritedSend:
		k.Headers, k.Body = nil, ""
	case ownSend:
		return fmt.Errorf("'http-check send' : a check is one request, and another line describes it already: put all on one line")
	}
	d.send = ownSend
	words := c.args
	for len(words) > 0 {
		need := 2
		if words[0] == "hdr" {
			need = 3
		}
		if len(words) < need {
			return fmt.Errorf("'http-check send' : '%s' expects a value", words[0])
		}
		if strings.ContainsAny(strings.Join(words[1:need], ""), "\r\n") && words[0] != "body" {
			return fmt.Errorf("'http-check send' : '%s' contains a line end", words[0])
		}
		switch words[0] {
		case "meth":
			k.Method = words[1]
		case "uri":
			k.URI = words[1]
		case "ver":
			k.Version = words[1]
			if err := checkVersion(k.Version); err != nil {
				return err
			}
		case "hdr":
			if strings.Contains(words[2], "%[") {
				return fmt.Errorf("'http-check send hdr %s' : variables are not supported by lb yet in '%s'", words[1], words[2])
			}
			k.Headers = append(k.Headers, words[1]+": "+words[2])
		case "body":
			k.Body = words[1]
		case "comment":
		case "uri-lf", "body-lf":
			return fmt.Errorf("'http-check send %s' is known to HAProxy, but not supported by lb yet: write a fixed text with '%s'", words[0], strings.TrimSuffix(words[0], "-lf"))
		default:
			return oneOf("http-check send", words[0], "meth", "uri", "ver", "hdr", "body", "comment")
		}
		words = words[need:]
	}
	return nil
}

// checkExpect applies http-check expect [!] KIND VALUE. A proxy's own line
// takes the place of its defaults' one.
func (c *call) checkExpect(d *draft) error {
	k := &d.Check
	if d.expects {
		return fmt.Errorf("'http-check expect' : a check has one expectation, and another line gives it already")
	}
	d.expects = true
	words := c.args
	not := false
	if words[0] == "!" {
		not, words = true, words[1:]
	} else if strings.HasPrefix(words[0], "!") {
		not, words = true, append([]string{words[0][1:]}, words[1:]...)
	}
	if len(words) < 2 {
		return fmt.Errorf("'http-check expect %s' expects a value", words[0])
	}
	// An unquoted pattern may be several words.
	value := strings.Join(words[1:], " ")
	k.ExpectStatus, k.ExpectString, k.ExpectRegex, k.ExpectNot = "", "", "", not
	switch words[0] {
	case "status":
		k.ExpectStatus = value
		return statusSet(value)
	case "string":
		k.ExpectString = value
	case "rstring":
		k.ExpectRegex = value
		if _, err := regexp.Compile(value); err != nil {
			return fmt.Errorf("'http-check expect rstring' : '%s' is no regular expression: %w", value, err)
		}
	case "rstatus", "string-lf", "hdr", "fhdr", "min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code":
		return fmt.Errorf("'http-check expect %s' is known to HAProxy, but not supported by lb yet: use 'status', 'string' or 'rstring'", words[0])
	default:
		return oneOf("http-check expect", words[0], "status", "string", "rstring")
	}
	return nil
}

// statusSet checks a list such as 200,204 or 200-399.
func statusSet(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		low, high, isRange := strings.Cut(item, "-")
		first, err := number("http-check expect status", low, 100, 999)
		if err != nil {
			return err
		}
		if isRange {
			if _, err := number("http-check expect status", high, first, 999); err != nil {
				return err
			}
		}
	}
	return nil
}
