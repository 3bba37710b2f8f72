package config

import (
	"reflect"
	"strings"
	"testing"

	"lbsyslogd/syslogd/peers"
)

func TestForward(t *testing.T) {
	const head = "listen: udp://:514\noutputs:\n- file: a\n"
	row := func(text, want string) *Config {
		t.Helper()
		c, err := Parse("x.yaml", []byte(head+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
		return c
	}
	o := row("  format: rfc5424\n  forward: tcp://loghost:514\n", "").Outputs[0]
	if o.Forward.String() != "tcp://loghost:514" || o.Rotate.Hold != defaultHold {
		t.Errorf("got %+v", o)
	}
	o = row("  format: rfc5424\n  forward: {to: \"tls://[::1]:6514\", ca: ca.pem, name: loghost, cert: me.pem, hold: 1GB}\n", "").Outputs[0]
	want := Forward{
		Scheme: "tls", Address: "[::1]:6514", Peers: []peers.Entry{{Address: "[::1]:6514"}}, CA: "ca.pem", Name: "loghost", Cert: "me.pem", Key: "me.pem",
	}
	if !reflect.DeepEqual(*o.Forward, want) || o.Rotate.Hold != 1e9 {
		t.Errorf("got %+v", o)
	}
	row("  forward: tcp://loghost:514\n", "x.yaml:3: forward sends what the file holds, and that must be RFC 5424")
	row("  format: rfc5424\n  forward: udp://loghost:514\n", `x.yaml:5: forward "udp://loghost:514": want tcp://HOST:PORT`)
	row("  format: rfc5424\n  forward: tcp://loghost\n", "want tcp://HOST:PORT: address loghost: missing port")
	row("  format: rfc5424\n  forward: {hold: 1GB}\n", "x.yaml:5: forward has no peer")
	row("  format: rfc5424\n  forward: {to: tcp://h:1, hold: 0}\n", "x.yaml:5: hold is 0")
	row("  format: rfc5424\n  forward: {to: tcp://h:1, ca: x}\n", "x.yaml:5: ca, name, cert and key mean nothing for tcp://h:1; want tls://h:1")
	row("  format: rfc5424\n  forward: {to: tls://h:1, key: x}\n", "x.yaml:5: forward has a key and no cert")
	row("  format: rfc5424\n  forward: {too: tls://h:1}\n", `did you mean "to"?`)
	row("  format: rfc5424\n  rotate: never\n  forward: tcp://h:1\n", "x.yaml:3: forward with rotate: never")
	row("  format: rfc5424\n  forward: {to: tcp://h:1, confirm: close_notify}\n", "x.yaml:5: confirm: close_notify needs TLS")
	o = row("  format: rfc5424\n  forward: {to: [\"relp+tls://a:1\", \"relp+tls+srv://_relp._tcp.example.org\"], ca: x, batch: {lines: 10}}\n", "").Outputs[0]
	if f := o.Forward; f.String() != "relp+tls://a:1, relp+tls+srv://_relp._tcp.example.org" || !f.Sink() || f.Batch.Lines != 10 || f.Batch.Age != relpAge {
		t.Errorf("got %+v", f)
	}
	row("  format: rfc5424\n  forward: {to: [tcp://a:1, tls://b:1]}\n", `x.yaml:5: forward "tls://b:1": the other address is one of tcp; all of them must be of one kind`)
	row("  format: rfc5424\n  forward: tls+srv://example.org:514\n", "want the name of a service, as in tls+srv://_syslog._tcp.example.org")
	row("  format: rfc5424\n  forward: {to: relp://h:1, ca: x}\n", "mean nothing for relp://h:1; want relp+tls://h:1")
	row("  format: rfc5424\n  forward: {to: relp://h:1, confirm: close}\n", `"confirm" is not a key of forward`)
}

// TestForwardToNothing: what is wrong is the address, and not a key that the right one may have.
func TestForwardToNothing(t *testing.T) {
	for text, want := range map[string]string{
		"{to: \"htp://h/\", encoding: ndjson}":                          `x.yaml:5: forward "htp://h/": want tcp://HOST:PORT`,
		"{encoding: ndjson}":                                            "x.yaml:5: forward has no peer",
		"{to: \"\", topic: x}":                                          `x.yaml:5: forward "": want tcp://HOST:PORT`,
		"{to: \"htp://h/\", encodin: ndjson}":                           `did you mean "encoding"?`,
		"{to: [\"relp://a:1\", \"tcp://b:1\"]}":                         `x.yaml:5: forward "tcp://b:1": the other address is one of relp; all of them must be of one kind`,
		"\"relp://h:99999\"":                                            `x.yaml:5: forward "relp://h:99999": want relp://HOST:PORT: "99999" is no port`,
		"\"tls://h:\"":                                                  `x.yaml:5: forward "tls://h:": want tls://HOST:PORT`,
		"\"tcp://me@h:1\"":                                              `x.yaml:5: forward "tcp://h:1": tcp has no users and passwords`,
		"\"tls+srv://me@_x._tcp.example.org\"":                          "tls has no users and passwords",
		"{to: \"kafka://h:1/p?key=geheim\", topic: logs}":               `forward "kafka://h:1/p": want kafka://HOST`,
		"{to: \"http://h/?key=geheim\"}":                                "forward to http://h/ has no encoding",
		"{to: \"http://h/#geheim\", encoding: ndjson}":                  `forward "http://h/": a fragment`,
		"{to: \"http://u:a/geheim@h/\", encoding: ndjson}":              `forward "http://...": want http`,
		"{to: \"http://u:geheim/a@h/\", encoding: ndjson}":              `forward "http://...": want http`,
		"{to: \"http://u:geheim%PW@h/\", encoding: ndjson}":             `forward "http://h/": want http`,
		"{to: \"htp://u:geheim@h/?k=geheim\", topic: x}":                `forward "htp://h/": want tcp`,
		"\"u:geheim@h:514\"":                                            `forward "h:514": want tcp`,
		"\"tcp://u:geheim@h:514\"":                                      `forward "tcp://h:514": tcp has no users`,
		"{to: [\"tcp://h:514\", \"tls://u:geheim@h:514\"]}":             `forward "tls://h:514": the other address`,
		"{to: http://h, encoding: ndjson, headers: {A: \"geheim\\n\"}}": "this is not the value of a header",
	} {
		_, err := Parse("x.yaml", []byte("outputs:\n- match: '*.*'\n  file: x.log\n  format: rfc5424\n  forward: "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), `"encoding" is not`) {
			t.Errorf("%s: got %v; want %s", text, err, want)
		}
	}
}

// TestForwardToItself refuses a peer that is this daemon, by whatever address.
func TestForwardToItself(t *testing.T) {
	for _, row := range []struct {
		listen, to string
		same       bool
	}{
		{"tcp://127.0.0.1:24001", "tcp://127.0.0.1:24001", true},
		{"tcp://127.0.0.1:24001", "tcp://localhost:24001", true},
		{"tcp://[::1]:24001", "tcp://localhost:24001", true},
		{"tcp://127.0.0.1:24001", "tcp://0.0.0.0:24001", true},
		{"tcp://[::1]:24001", "tcp://[::]:24001", true},
		{"tcp://127.0.0.1:24001", "tcp://[::]:24001", false},
		{"tcp://:24001", "tcp://127.0.0.1:24001", true},
		{"tcp://0.0.0.0:24001", "tcp://[::1]:24001", true},
		{"tls://[::]:24001", "tls://127.0.0.5:24001", true},
		{"tcp://loghost:24001", "tcp://loghost:24001", true},
		{"relp://127.0.0.1:24001", "relp://127.0.0.1:24001", true},
		{"relp+tls://127.0.0.1:24001", "relp+tls://localhost:24001", true},
		{"relp://127.0.0.1:24001", "tcp://127.0.0.1:24001", false},
		{"tcp://127.0.0.1:24001", "tcp://127.0.0.1:24002", false},
		{"udp://127.0.0.1:24001", "tcp://127.0.0.1:24001", false},
		{"tcp://127.0.0.1:24001", "tcp://127.0.0.2:24001", false},
		{"tcp://:24001", "tcp://192.0.2.7:24001", false},
	} {
		text := "listen: \"" + row.listen + "\"\ntls: {cert: c, key: k}\noutputs: [{file: /a, format: rfc5424, forward: \"" + row.to + "\"}]\n"
		_, err := Parse("x.yaml", []byte(text))
		if row.same != (err != nil) || err != nil && !strings.Contains(err.Error(), "come back") {
			t.Errorf("%s at %s: %v", row.to, row.listen, err)
		}
	}
}
