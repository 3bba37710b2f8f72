package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestForwardOverHTTP(t *testing.T) {
	const head = "listen: udp://:514\noutputs:\n- file: a\n  format: rfc5424\n"
	row := func(text, want string) *Config {
		t.Helper()
		c, err := Parse("x.yaml", []byte(head+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
		return c
	}
	o := row("  forward: {to: [\"https://h/p?k=v\", https+srv://_l._tcp.h], encoding: ndjson, hold: 1GB, batch: {size: 2MB, lines: 5, age: 3s}, backoff: 7s,\n"+
		"    timeout: 9s, compress: zstd, headers: {x-scope-orgid: t}, header_files: {X-Api-Key: f}, basic: {user: u, password_file: p}, ca: c}\n", "").Outputs[0]
	h := o.Forward.HTTP
	if o.Forward.String() != "https://h/p" || !o.Forward.Sink() || o.Rotate.Hold != 1e9 || o.Forward.CA != "c" ||
		o.Forward.Batch != (Batch{2e6, 5, 3 * time.Second, 7 * time.Second}) || len(h.URLs) != 2 || h.URLs[0].RawQuery != "k=v" || h.Timeout != 9*time.Second ||
		h.Headers["X-Scope-Orgid"] != "t" || h.HeaderFiles["X-Api-Key"] != "f" || h.User != "u" || h.PasswordFile != "p" || h.Compress != "zstd" {
		t.Errorf("got %+v, %+v", o.Forward, h)
	}
	for text, want := range map[string]string{
		"https://h":                                                                             "x.yaml:5: forward to https://h has no encoding; want for example {to: https://h, encoding: ndjson}",
		"{to: https://h, encoding: nd}":                                                         `x.yaml:5: "nd" is not known; elasticsearch, loki, ndjson, otlp, otlp-json, victorialogs are`,
		"{to: https://u:pass@h, encoding: ndjson}":                                              "a password belongs in a file; want basic: {user: u, password_file: FILE}",
		"{to: https:///p, encoding: ndjson}":                                                    `x.yaml:5: forward "https:///p": want http[s]://HOST`,
		"{to: \"https://h:x\", encoding: ndjson}":                                               "want http[s]://HOST",
		"{to: \"https://h:99999\", encoding: ndjson}":                                           `"99999" is no port`,
		"{to: \"https+srv://h:5\", encoding: ndjson}":                                           "the port comes from the SRV records",
		"{to: \"https://h/#x\", encoding: ndjson}":                                              "a fragment (#...) is not sent",
		"{to: [https://h, tcp://h:1], encoding: ndjson}":                                        `forward "tcp://h:1": want http[s]`,
		"{to: https://h, encoding: ndjson, confirm: close}":                                     `"confirm" is not a key of forward`,
		"{to: tls://h:1, encoding: ndjson}":                                                     `"encoding" is not a key of forward`,
		"{to: http://h, encoding: ndjson, ca: x}":                                               "ca, name, cert and key mean nothing for http://h; want an address with https://",
		"{to: https://h, encoding: ndjson, key: x}":                                             "forward has a key and no cert",
		"{to: https://h, encoding: ndjson, hold: 0}":                                            "hold is 0",
		"{to: https://h, encoding: ndjson, batch: {lines: 0}}":                                  "0 is too few",
		"{to: https://h, encoding: ndjson, batch: {size: 10}}":                                  `"10" is not from 1024 to`,
		"{to: https://h, encoding: ndjson, basic: {user: u}}":                                   "basic wants a user and a password_file",
		"{to: https://h, encoding: ndjson, bearer_file: f, basic: {user: u, password_file: p}}": "a bearer_file and basic",
		"{to: https://h, encoding: ndjson, headers: {Authorization: x}}":                        "x.yaml:5: the value of Authorization looks like a secret, which belongs in a file; want header_files: {Authorization: FILE}",
		"{to: https://h, encoding: ndjson, headers: {X-API-Key: x}}":                            "looks like a secret",
		"{to: https://h, encoding: ndjson, headers: {Content-Type: x}}":                         "the header Content-Type is made by syslogd",
		"{to: https://h, encoding: ndjson, headers: {\"a b\": x}}":                              `"a b" is not the name of a header`,
		"{to: https://h, encoding: ndjson, headers: {a: \"x\\ny\"}}":                            "is not the value of a header",
		"{to: https://h, encoding: ndjson, headers: {a: x, A: y}}":                              `"A" is there twice`,
		"{to: https://h, encoding: ndjson, headers: {a: x}, header_files: {A: y}}":              "the header A is in headers and in header_files",
		"{to: https://h, encoding: ndjson, header_files: {Authorization: y}, bearer_file: x}":   "made of bearer_file or basic",
		"{to: [], encoding: ndjson}":                                                            "to is a list without an address",
	} {
		row("  forward: "+text+"\n", want)
	}
	o = row("  forward: {to: https://h, encoding: loki, labels: {a: \"%host%\"}, metadata: false, fields: message}\n", "").Outputs[0]
	if e := o.Forward.HTTP.Options; e.Labels["a"] != "%host%" || !e.NoMeta || !e.Plain {
		t.Errorf("got %+v", e)
	}
	for text, want := range map[string]string{
		"encoding: loki, labels: {a: \"%nosuch%\"}": `x.yaml:5: label a: "%nosuch%": there is no field %nosuch%`,
		"encoding: loki, labels: {a-b: x}":          "is not the name of a label",
		"encoding: loki, labels: [a]":               "want a mapping of names to values",
		"encoding: loki, labels: {a: x, a: y}":      `"a" is there twice`,
		"encoding: ndjson, labels: {a: x}":          "labels and metadata mean nothing for ndjson",
		"encoding: ndjson, index: x":                "index means nothing for ndjson",
		"encoding: elasticsearch, index: X":         "lower case",
		"encoding: elasticsearch, compress: zstd":   "receivers of elasticsearch take no zstd; want compress: gzip",
		"encoding: ndjson, fields: all":             `"all" is not known; haproxy, message are`,
		"encoding: loki, metadata: perhaps":         "neither true nor false",
	} {
		row("  forward: {to: https://h, "+text+"}\n", want)
	}
	if _, err := Parse("x.yaml", []byte(head+"  forward: {to: \"https://u:geheim@h/?key=geheim\", encoding: ndjson}\n")); strings.Contains(err.Error(), "geheim") {
		t.Errorf("the message has a password: %v", err)
	}
}

// TestExamplesOfSinks reads each example of docs/sinks.md as it stands there, with what an output needs besides.
func TestExamplesOfSinks(t *testing.T) {
	text, err := os.ReadFile("../../docs/sinks.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 8 {
		t.Fatalf("only %d examples were found", len(examples))
	}
	for _, e := range examples {
		example := e[1]
		switch {
		case strings.HasPrefix(example, "    forward:"):
			example = "  - match: \"*.*\"\n    file: /a\n    format: rfc5424\n" + example
			fallthrough
		case strings.HasPrefix(example, "  - "):
			example = "outputs:\n" + example
			fallthrough
		case strings.HasPrefix(example, "outputs:"):
			example = "listen: udp://:514\n" + example
		}
		if _, err := Parse("sinks.md", []byte(example)); err != nil {
			t.Errorf("%s:\n%v", example, err)
		}
	}
}
