package config

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/health"
)

// checkKind says which of a proxy's ways of checking applies.
type checkKind uint8

const (
	plainCheck checkKind = iota
	tcpCheck
	httpCheck
	protocolCheck // option redis-check and its like
	externalCheck
)

// checkDraft is how a proxy's servers are checked, while its lines are read.
type checkDraft struct {
	kind     checkKind
	protocol health.Script
	request  health.Request // option httpchk
	rules    [protocolCheck][]health.Step
	own      [protocolCheck]bool // rules are the proxy's, not its defaults'
	began    [protocolCheck]bool // the proxy has lines of its own on this kind

	command    cfgfile.Pos // of external-check command
	ownCommand bool        // it is the proxy's, not its defaults'
}

// set makes kind the way of checking, or ends it ("no option ...").
func (k *checkDraft) set(kind checkKind, on bool) {
	switch {
	case on:
		k.kind = kind
	case k.kind == kind:
		k.kind = plainCheck
	}
}

// inherit is what a proxy begins with: all that its defaults say of checks, or,
// from its first line on a kind of check on, nothing of that kind.
func (k *checkDraft) inherit() checkDraft {
	next := *k
	next.own, next.began = [protocolCheck]bool{}, [protocolCheck]bool{}
	next.ownCommand = false
	return next
}

// begin drops what the defaults say of a kind of check, at a proxy's first own
// line on it.
func (k *checkDraft) begin(kind checkKind) {
	if k.began[kind] {
		return
	}
	k.began[kind], k.rules[kind] = true, nil
	if kind == httpCheck {
		k.request = health.Request{}
	}
}

// firstRequest is the place of the rule that says more of option httpchk's
// request, -1 if there is none.
func firstRequest(rules []health.Step) int {
	for i := range rules {
		switch {
		case rules[i].Request != nil:
			return i
		case rules[i].Expect != nil:
			return -1
		}
	}
	return -1
}

// merge is option httpchk's request with what an http-check send says.
func merge(base health.Request, send *health.Request) health.Request {
	if send.Method != "" {
		base.Method = send.Method
	}
	if send.URI != "" {
		base.URI = send.URI
	}
	if send.Version != "" {
		base.Version = send.Version
	}
	if len(send.Headers) > 0 {
		base.Headers, base.Values = send.Headers, send.Values
	}
	if send.Body != "" {
		base.Body = send.Body
	}
	if send.URIFormat != nil {
		base.URIFormat = send.URIFormat
	}
	if send.BodyFormat != nil {
		base.BodyFormat = send.BodyFormat
	}
	return base
}

// script is what the checks do.
func (k *checkDraft) script() health.Script {
	switch k.kind {
	case protocolCheck:
		return k.protocol
	case tcpCheck:
		return health.Script{Kind: health.TCP, Steps: commented(k.rules[tcpCheck])}
	case httpCheck:
		steps := slices.Clone(k.rules[httpCheck])
		if i := firstRequest(steps); i >= 0 {
			q := merge(k.request, steps[i].Request)
			steps[i].Request = &q
		} else {
			at := slices.IndexFunc(steps, func(s health.Step) bool { return s.Expect != nil || s.Request != nil })
			if at < 0 {
				at = len(steps)
			}
			for at > 0 && !steps[at-1].Talks() && steps[at-1].Var == nil {
				at-- // a comment is on the rule after it, not on the request
			}
			q := k.request
			steps = slices.Insert(steps, at, health.Step{Request: &q})
		}
		steps = commented(steps)
		if last := lastTalk(steps); last == nil || last.Expect == nil {
			steps = append(steps, health.Step{Expect: &health.Expect{}})
		}
		return health.Script{Kind: health.HTTP, Steps: steps}
	}
	return health.Script{}
}

// lastTalk is the last step that talks with the server, nil if there is none.
func lastTalk(steps []health.Step) *health.Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Talks() {
			return &steps[i]
		}
	}
	return nil
}

// commented gives comments to the rules of one kind after them.
func commented(rules []health.Step) []health.Step {
	var steps []health.Step
	kind := func(s *health.Step) int {
		switch {
		case s.Connect != nil:
			return 1
		case s.Expect != nil:
			return 2
		}
		return 3
	}
	comment, before := "", 0
	for _, s := range rules {
		if s.Var != nil {
			steps = append(steps, s)
			continue
		}
		if !s.Talks() {
			comment, before = s.Comment, 0
			continue
		}
		if before != 0 && before != kind(&s) {
			comment = ""
		}
		before = kind(&s)
		if s.Comment == "" {
			s.Comment = comment
		}
		steps = append(steps, s)
	}
	return steps
}

// resolveCheck publishes how the servers are checked.
func (p *parser) resolveCheck(d *draft) {
	if !d.Backend {
		return
	}
	for _, one := range [...]struct {
		kind          checkKind
		rules, option string
	}{{tcpCheck, "tcp-check", "tcp-check"}, {httpCheck, "http-check", "httpchk"}} {
		if d.check.own[one.kind] && d.check.kind != one.kind {
			p.report.Warnf(d.Pos, "%s '%s' uses %s rules without 'option %s', so the rules are ignored", d.section, d.Name, one.rules, one.option)
		}
	}
	d.Check.Script = d.check.script()
	d.Check.External = d.check.kind == externalCheck
	p.checkProgram(d)
}

// checkStep makes the function of a rule that apply reads into a step.
func checkStep(kind checkKind, apply func(c *call, d *draft, s *health.Step) error) func(*call, *draft) error {
	return func(c *call, d *draft) error {
		k := &d.check
		var s health.Step
		if err := apply(c, d, &s); err != nil {
			return fmt.Errorf("'%s' : %w", c.name, err)
		}
		k.begin(kind)
		k.own[kind] = true
		rules := k.rules[kind]
		s.Number = len(rules) + 1
		if s.Connect != nil {
			for i := range rules {
				if rules[i].Connect != nil {
					break
				}
				if rules[i].Talks() {
					return fmt.Errorf("'%s' : the first step must be a connect too, when there is one", c.name)
				}
			}
		}
		if s.Request != nil {
			for i := len(rules) - 1; i >= 0 && rules[i].Connect == nil; i-- {
				if rules[i].Request != nil {
					return fmt.Errorf("'%s' : a connection carries one request, and another line describes it already: put all on one line, or an http-check connect between", c.name)
				}
			}
		}
		if kind == httpCheck {
			if err := follows(rules, &s); err != nil {
				return fmt.Errorf("'%s' : %w", c.name, err)
			}
		}
		k.rules[kind] = append(rules, s)
		return nil
	}
}

// follows reports that a step of an HTTP check cannot come after those before
// it: a connect, a send and its expects make one exchange.
func follows(rules []health.Step, s *health.Step) error {
	i := len(rules) - 1
	for i >= 0 && !rules[i].Talks() {
		i--
	}
	switch {
	case i < 0 || !s.Talks():
	case rules[i].Connect != nil && !s.Sends():
		return errors.New("an http-check send must come first: after the http-check connect before, nothing was sent")
	case rules[i].Sends() && s.Expect == nil:
		return errors.New("an http-check expect must come first: after the http-check send before, nothing was expected")
	case rules[i].Expect != nil && s.Sends():
		return errors.New("an http-check connect must come first: the connection before has had its answer")
	}
	return nil
}

func (c *call) checkComment(_ *draft, s *health.Step) error {
	s.Comment = c.args[0]
	return nil
}

const checkConnectArgs = "[default] [port <port>|<expression>] [addr <address>] [send-proxy] [via-socks4] [ssl] [sni <name>] [alpn <protocols>] [proto h1|h2] [linger] [comment <text>]"

func (c *call) checkConnect(d *draft, s *health.Step) error {
	s.Connect = &health.Connect{}
	for words := c.args; len(words) > 0; {
		n := 1
		switch words[0] {
		case "port", "addr", "sni", "alpn", "comment", "proto":
			n = 2
		}
		if len(words) < n {
			return fmt.Errorf("'%s' expects a value", words[0])
		}
		if err := c.checkConnectWord(d, s, words[:n]); err != nil {
			return err
		}
		words = words[n:]
	}
	return nil
}

func (c *call) checkConnectWord(d *draft, s *health.Step, words []string) (err error) {
	switch how := s.Connect; words[0] {
	case "default":
		how.Default = true
	case "send-proxy":
		how.ProxyHeader = true
	case "ssl":
		how.Secure = true
	case "linger":
		how.Linger = true
	case "port":
		if strings.Trim(words[1], "0123456789") != "" {
			how.PortExpr, err = checkNumber(d, "port", words[1])
			return err
		}
		how.Port, err = portNumber("port", words[1])
	case "addr":
		var port int
		how.Address, port, err = c.p.probeAddress("addr", words[1])
		how.Port = cmp.Or(how.Port, port)
	case "sni":
		how.SNI = words[1]
	case "alpn":
		how.ALPN = strings.Split(words[1], ",")
	case "comment":
		s.Comment = words[1]
	case "proto":
		how.HTTP2 = words[1] == "h2"
		return oneOf("proto", words[1], "h1", "h2")
	case "via-socks4":
		how.ViaSOCKS4 = true
	default:
		return oneOf("connect", words[0], "default", "port", "addr", "send-proxy", "via-socks4", "ssl", "sni", "alpn", "proto", "linger", "comment")
	}
	return err
}

// checkSend applies http-check send.
func (c *call) checkSend(d *draft, s *health.Step) error {
	q := &health.Request{}
	s.Request = q
	for words := c.args; len(words) > 0; {
		need := 2
		if words[0] == "hdr" {
			need = 3
		}
		if len(words) < need {
			return fmt.Errorf("'%s' expects a value", words[0])
		}
		if strings.ContainsAny(strings.Join(words[1:need], ""), "\r\n") && words[0] != "body" && words[0] != "body-lf" {
			return fmt.Errorf("'%s' contains a line end", words[0])
		}
		switch words[0] {
		case "meth":
			q.Method = words[1]
		case "uri":
			q.URI, q.URIFormat = words[1], nil
		case "ver":
			q.Version = c.checkVersion(words[1])
		case "hdr":
			if err := checkHeader(d, q, words[1], words[2]); err != nil {
				return err
			}
		case "body":
			q.Body, q.BodyFormat = words[1], nil
		case "comment":
			s.Comment = words[1]
		case "uri-lf":
			var err error
			if q.URIFormat, err = checkField(d, words[0], words[1]); err != nil {
				return err
			}
		case "body-lf":
			var err error
			if q.BodyFormat, err = checkFormat(d, words[0], words[1]); err != nil {
				return err
			}
		default:
			return oneOf("http-check send", words[0], "meth", "uri", "uri-lf", "ver", "hdr", "body", "body-lf", "comment")
		}
		words = words[need:]
	}
	return nil
}

// checkExpect applies tcp-check expect and http-check expect.
func (c *call) checkExpect(d *draft, s *health.Step) error {
	e := &health.Expect{}
	s.Expect = e
	pattern := false
	for words := c.args; len(words) > 0; {
		n := 2
		var err error
		switch word := words[0]; {
		case word == "!" && !pattern:
			e.Not, n = true, 1
		case pattern && !expectOption(word):
			return fmt.Errorf("'%s' after the pattern is not understood; put quotes around a pattern with blanks", word)
		case word == "custom":
			return fmt.Errorf("'custom' is what HAProxy's own protocol checks are made of: write the protocol's option, such as 'option redis-check', or a string or regular expression to look for")
		case len(words) < 2:
			return fmt.Errorf("'%s' expects a value", word)
		case word == "comment":
			s.Comment = words[1]
		case word == "min-recv":
			// -1 is the default: as many as it takes.
			e.MinRecv, err = number("min-recv", c.numeral("min-recv", words[1], cutsTail), -1, 1<<31-1)
			e.MinRecv = max(e.MinRecv, 0)
		case word == "ok-status", word == "error-status", word == "tout-status":
			err = expectStatus(e, word, words[1])
		case word == "on-success", word == "on-error":
			err = expectNote(d, e, word, words[1])
		case word == "status-code":
			e.CodeExpr, err = checkNumber(d, word, words[1])
		default:
			if strings.HasPrefix(word, "!") {
				e.Not, word = true, word[1:]
			}
			n, err = c.expectPattern(d, e, word, words)
			pattern = true
		}
		if err != nil {
			return err
		}
		words = words[n:]
	}
	if !pattern {
		return fmt.Errorf("expects a pattern")
	}
	return nil
}

// expectOption reports whether a word of an expect rule stands besides the
// pattern.
func expectOption(word string) bool {
	switch word {
	case "comment", "min-recv", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code":
		return true
	}
	return false
}

func expectStatus(e *health.Expect, word, value string) error {
	status, known := health.ParseStatus(value, word == "ok-status")
	if word == "error-status" && value == health.L7OKC.String() { // a conditional success is one that is not expected
		status, known = health.L7OKC, true
	}
	if !known {
		return fmt.Errorf("'%s %s' : unknown status; L4OK, L6OK, L7OK and L7OKC are good, L4TOUT, L4CON, L6TOUT, L6RSP, L7TOUT, L7RSP and L7STS are not", word, value)
	}
	switch word {
	case "ok-status":
		e.OK = status
	case "error-status":
		e.Bad = status
	default:
		e.Late = status
	}
	return nil
}

func expectNote(d *draft, e *health.Expect, word, text string) error {
	f, err := checkFormat(d, word, text)
	if word == "on-success" {
		e.NoteOK = f
	} else {
		e.NoteBad = f
	}
	return err
}

// expectPattern reads what is expected, and gives how many words that took.
func (c *call) expectPattern(d *draft, e *health.Expect, word string, words []string) (n int, err error) {
	value := words[1]
	http := strings.HasPrefix(c.name, "http")
	switch {
	case word == "string":
		e.Text = []byte(value)
	case word == "rstring", word == "rbinary" && !http, word == "rstatus" && http:
		var re *regexp.Regexp
		if re, err = regexp.Compile(value); err != nil {
			return 0, fmt.Errorf("'%s' is no regular expression: %w", value, err)
		}
		if word == "rstatus" {
			e.Status = re
		} else {
			e.Regexp, e.Hex = re, word == "rbinary"
		}
	case word == "binary" && !http:
		e.Hex = true
		if e.Text, err = hex.DecodeString(value); err != nil {
			return 0, fmt.Errorf("'%s' is no row of pairs of hexadecimal digits", value)
		}
	case word == "status" && http:
		if err := statusSet(value); err != nil {
			return 0, err
		}
		e.Statuses, err = health.ParseStatuses(value)
	case (word == "hdr" || word == "fhdr") && http:
		return headerMatch(d, e, word, words)
	case word == "string-lf", word == "binary-lf" && !http:
		e.Hex = word == "binary-lf"
		e.Format, err = checkFormat(d, word, value)
	case http:
		return 0, oneOf(c.name, word, "status", "rstatus", "hdr", "fhdr", "string", "rstring", "string-lf")
	default:
		return 0, oneOf(c.name, word, "string", "rstring", "binary", "rbinary", "string-lf", "binary-lf")
	}
	return 2, err
}

// headerMatch reads hdr|fhdr name[-lf] [-m METHOD] NAME [value[-lf] [-m METHOD] VALUE].
func headerMatch(d *draft, e *health.Expect, word string, words []string) (n int, err error) {
	e.Header = &health.HeaderMatch{Whole: word == "fhdr"}
	// part reads [-m METHOD] PATTERN after the word at.
	part := func(at int, fold bool) (f func(string) bool, made *health.HeaderFormat, next int, err error) {
		method, format := "str", strings.HasSuffix(words[at], "-lf")
		at++
		if at+1 < len(words) && words[at] == "-m" {
			method, at = words[at+1], at+2
		}
		if at >= len(words) {
			return nil, nil, 0, fmt.Errorf("'%s' expects name [-m <method>] <name> [value [-m <method>] <value>]", word)
		}
		if format {
			made, err = formatMatch(d, word, method, words[at], fold)
			return nil, made, at + 1, err
		}
		pattern := words[at]
		if fold && method != "reg" { // names are compared in lower case
			pattern = strings.ToLower(pattern)
		}
		f, err = textMatch(method, pattern)
		return f, nil, at + 1, err
	}
	if words[1] != "name" && words[1] != "name-lf" {
		return 0, fmt.Errorf("'%s' expects 'name <name>', not '%s'", word, words[1])
	}
	e.Header.Name, e.Header.NameFormat, n, err = part(1, true)
	if err == nil && n < len(words) && (words[n] == "value" || words[n] == "value-lf") {
		e.Header.Value, e.Header.ValueFormat, n, err = part(n, false)
	}
	return n, err
}

// formatMatch is a way to compare with what a format gives, by its name after -m.
// fold: names are compared in lower case.
func formatMatch(d *draft, word, method, text string, fold bool) (*health.HeaderFormat, error) {
	compare, ok := map[string]func(got, want string) bool{
		"str": func(got, want string) bool { return got == want }, "beg": strings.HasPrefix, "end": strings.HasSuffix, "sub": strings.Contains,
	}[method]
	if !ok {
		return nil, oneOf("-m", method, "str", "beg", "end", "sub")
	}
	f, err := checkFormat(d, word, text)
	if err != nil {
		return nil, err
	}
	if fold {
		return &health.HeaderFormat{Text: f, Compare: func(got, want string) bool { return compare(got, strings.ToLower(want)) }}, nil
	}
	return &health.HeaderFormat{Text: f, Compare: compare}, nil
}

// textMatch is a way to compare, by its name after -m.
func textMatch(method, pattern string) (func(string) bool, error) {
	switch method {
	case "str":
		return func(s string) bool { return s == pattern }, nil
	case "beg":
		return func(s string) bool { return strings.HasPrefix(s, pattern) }, nil
	case "end":
		return func(s string) bool { return strings.HasSuffix(s, pattern) }, nil
	case "sub":
		return func(s string) bool { return strings.Contains(s, pattern) }, nil
	case "reg":
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("'%s' is no regular expression: %w", pattern, err)
		}
		return re.MatchString, nil
	}
	return nil, oneOf("-m", method, "str", "beg", "end", "sub", "reg")
}

// statusSet checks a list such as 200,204 or 200-399.
func statusSet(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		low, high, isRange := strings.Cut(item, "-")
		first, err := number("status", low, 100, 999)
		if err != nil {
			return err
		}
		if isRange {
			if _, err := number("status", high, first, 999); err != nil {
				return err
			}
		}
	}
	return nil
}
