package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/message"
)

func TestParse(t *testing.T) {
	c, err := Parse("x.yaml", []byte(`
listen: [udp://127.0.0.1:514, "unix:///run/syslogd/log", systemd:lb]
control: /run/x.sock
control_mode: 0600
host: web1
metrics: 127.0.0.1:9516
time_zone: utc
connections: {most: 10, most_each: 5, idle: 30s}
tls: {cert: a.pem, client_ca: ca.pem, client_names: "web*"}
max_message: 4KiB
oversized: refuse
receive_buffer: 32MiB
memory: 100MB
allow: [10.0.0.0/8, "::1"]
outputs:
  - name: balancer
    match: "local0.*;local1.notice"
    file: /var/log/lb/lb.log
    mode: 0644
    group: adm
    format: json
    queue: 1MiB
    ring: 2MiB
    sync: interval
    tag: haproxy
    host: [web*, "10.*"]
    from: 10.1.0.0/16
    text: "50[234]"
    msgid: [A*, B]
    data: 'user="root"'
    final: true
    rotate: {size: 100MB, every: day 03:30, naming: numbered, keep: 90, max_age: 4w, max_total: 10GB, min_free: 1G, compress: zstd, compress_after: 30s}
  - file: other.log
    rotate: never
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Listen); got != "[udp://127.0.0.1:514 unix:///run/syslogd/log systemd:lb]" {
		t.Errorf("listens on %s", got)
	}
	if c.Control != (Control{"/run/x.sock", 0o600}) || c.Host != "web1" || c.MaxMessage != 4096 || !c.Refuse || c.Buffer != 32<<20 || len(c.Allow) != 2 {
		t.Errorf("got %+v", c)
	}
	if c.Zone != time.UTC || c.Outputs[0].Zone != "UTC" || len(c.Outputs[0].Rule.MsgIDs) != 2 || !c.Outputs[0].Rule.Data.MatchString(`[x user="root"]`) {
		t.Errorf("got %+v", c)
	}
	if c.Metrics != "127.0.0.1:9516" || c.Connections != 10 || c.ConnectionsEach != 5 || c.Idle != 30*time.Second ||
		c.TLS.Cert != "a.pem" || c.TLS.Key != "a.pem" || c.TLS.ClientCA != "ca.pem" || len(c.TLS.Names) != 1 {
		t.Errorf("got %+v", c)
	}
	o, r := c.Outputs[0], c.Outputs[0].Rotate
	if o.Name != "balancer" || o.Path != "/var/log/lb/lb.log" || o.Group != "adm" || o.Queue != 1<<20 || o.Rule.Format != "json" ||
		len(o.Rule.Tags) != 1 || len(o.Rule.Hosts) != 2 || len(o.Rule.From) != 1 || !o.Rule.Final || !o.Rule.Text.MatchString("502") {
		t.Errorf("got %+v", o)
	}
	if r.Size != 100e6 || r.Schedule == nil || r.Naming != rotate.Numbered || r.Keep != 90 || r.MaxAge != 4*7*24*time.Hour || r.MaxTotal != 10e9 || r.MinFree != 1<<30 ||
		r.Compress != rotate.Zstd || r.CompressAfter != 30*time.Second || r.Mode != 0o644 || r.Ring != 2<<20 || r.Sync != rotate.SyncInterval {
		t.Errorf("got %+v", r)
	}
	o = c.Outputs[1]
	if o.Name != "other.log" || o.Rotate.Size != 0 || o.Rotate.Schedule != nil || o.Rotate.Compress != rotate.None || o.Rule.Select.Has(message.Priority(message.Syslog, 0)) {
		t.Errorf("got %+v", o)
	}
}

func TestEveryMistakeIsToldWithItsLine(t *testing.T) {
	_, err := Parse("x.yaml", []byte(`listn: [udp://127.0.0.1:514]
listen: [udp://127.0.0.1, http://x, unix://relative, "udp://:514", "udp://:514"]
max_message: 3
oversized: maybe
receive_buffer: lots
allow: [300.1.1.1]
host:
outputs:
  - match: "lcal0.*"
    file: /a
    rotate: {size: 1x, evry: day, every: noon, compress: bzip2, keep: -1}
    text: "("
    mode: 0999
    format: xml
    tag: "["
  - file: /a
  - match: "*.*"
  - name: [x]
    final: perhaps
    final: true
  - just a word
`))
	want := []string{
		`x.yaml:1: "listn" is not a key of the configuration; did you mean "listen"?`,
		`x.yaml:2: listen "udp://127.0.0.1"`, `x.yaml:2: listen "http://x": "http" is not known`, `x.yaml:2: listen "unix://relative"`,
		`x.yaml:2: listens on udp://:514 twice`,
		`x.yaml:3: "3" is not from 480 to 65536`,
		`x.yaml:4: "maybe" is not known; cut, refuse are`,
		`x.yaml:5: "lots" is not a size`,
		`x.yaml:6: "300.1.1.1" is neither`,
		`x.yaml:7: want a single value`,
		`x.yaml:9: selector "lcal0.*": there is no facility "lcal0"`,
		`x.yaml:11: "1x" is not a size`, `x.yaml:11: "evry" is not a key of rotate; did you mean "every"?`, `x.yaml:11: schedule "noon"`,
		`x.yaml:11: "bzip2" is not known`, `x.yaml:11: "-1" is not a number`,
		`x.yaml:12: error parsing regexp`, `x.yaml:13: "0999" is not a file mode`, `x.yaml:14: format "xml" is not known`,
		`x.yaml:15: "[" is not a shell pattern`,
		`x.yaml:16: two outputs write to /a`, `x.yaml:17: the output has no file`,
		`x.yaml:18: want a single value; this is a list`, `x.yaml:19: "perhaps" is neither true nor false`, `x.yaml:20: "final" is there twice`,
		`x.yaml:21: the output must be keys with values`,
	}
	lines, ok := err.(Errors)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for i, w := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], w) {
			t.Fatalf("error %d is\n%s\nwant\n%s", i, lines[min(i, len(lines)-1):], w)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("more errors than mistakes: %s", lines[len(want):])
	}
}

func TestNothingToDo(t *testing.T) {
	row := func(text, want string) {
		t.Helper()
		if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	row("", "x.yaml:1: the file is empty")
	row("outputs: [{file: a}]", "x.yaml:1: nothing to listen on")
	row("listen: udp://:514", "x.yaml:1: no outputs")
	row("listen: tls://:6514\noutputs: [{file: a}]", "without a certificate")
	row("listen: tls://:6514\ntls: {cert: a, client_names: b}\noutputs: [{file: a}]", "x.yaml:2: client_names mean nothing")
	row("listen: udp://:514\nmetrics: here\noutputs: [{file: a}]", "x.yaml:2: \"here\" is not an address")
	row("listen: udp://:514\noutputs: [{file: a, rotate: {size: 1MB, naming: numbered}}]", "x.yaml:2: numbered files are all renamed at each rotation")
	row("listen: udp://:514\noutputs: [{file: a, rotate: {naming: roman}}]", "x.yaml:2: \"roman\" is not known; dated, numbered are")
	row("listen: udp://:514\noutputs: [{file: a, rotate: {naming: numbered, keep: 1}}, {file: a.1}]", "x.yaml:2: a.1 reads as a rotated file of a,")
	row("listen: udp://:514\noutputs: [{file: a.1}, {file: a, rotate: {naming: numbered, keep: 1}}]", "x.yaml:2: a.1 reads as a rotated file of a,")
	row("listen: udp://:514\ntime_zone: Mars/Olympus\noutputs: [{file: a}]", "x.yaml:2: \"Mars/Olympus\" is not a time zone")
	row("a: [", "x.yaml:")
	row("\tlisten: x", "x.yaml:")
	row("a word", "x.yaml:1: the configuration must be keys")
	row("listen: udp://:514\noutputs: [{file: a}]\n---\nx: y", "x.yaml:3: there is more than one document")
	row("a: b: c", "x.yaml:1: mapping values")
	row("listen: udp://:514\nhost: &a x\ncontrol: *b", "x.yaml:3: unknown anchor")
	row("listen: [tcp://:601,\n tls://:601]\noutputs: [{file: a}]", "x.yaml:2: tcp://:601 and tls://:601 are one place")
	row("listen: udp://:99999\noutputs: [{file: a}]", `x.yaml:1: listen "udp://:99999": "99999" is no port`)
	row("listen: udp://:514\nmetrics: :x\noutputs: [{file: a}]", `x.yaml:2: ":x" is not an address`)
	row("listen: udp://:514\noutputs: [{file: a, format: rfc5424, forward: tcp://x:0}]", `x.yaml:2: forward "tcp://x:0"`)
	row("listen: unix:///"+strings.Repeat("x", 107)+"\noutputs: [{file: a}]", "x.yaml:1: listen: the path")
	row("listen: udp://:514\ncontrol: /"+strings.Repeat("x", 107)+"\noutputs: [{file: a}]", "x.yaml:2: the path")
	row("listen: udp://:514\nhost: a b\noutputs: [{file: a}]", `x.yaml:2: "a b" has a blank`)
	row("listen: udp://:514\noutputs: [{file: \"a\\0b\"}]", "has a NUL in it")
	row("listen: udp://:514\nconnections: {most: 0}\noutputs: [{file: a}]", "x.yaml:2: 0 is too few")
}

// TestWhatThisMachineLacks is refused with its line by Load, and is no mistake of the text.
func TestWhatThisMachineLacks(t *testing.T) {
	row := func(text, want string) {
		t.Helper()
		if _, err := Parse("x.yaml", []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	row("listen: udp://:514\noutputs:\n- file: /a\n  owner: nobody-of-that-name", ":4: user: unknown user")
	row("listen: udp://:514\noutputs:\n- file: /a\n  group: nobody-of-that-name", ":4: group: unknown group")
	row("listen: tls://:514\ntls: {cert: /nowhere/a.pem}\noutputs: [{file: a}]", ":2: certificate /nowhere/a.pem with key /nowhere/a.pem: open")
}

// TestRelativePaths begin where the configuration is: a service manager starts a daemon elsewhere than whoever checks.
func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.yaml")
	text := "listen: udp://:514\ncontrol: ctl\noutputs:\n- file: logs/a.log\n- file: hosts/%host%.log\n" +
		"- {file: /b, format: rfc5424, forward: {to: \"tls://h:1\", ca: peer.pem}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{path, "x.yaml"} {
		c, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]string{
			"ctl": c.Control.Path, "logs/a.log": c.Outputs[0].Path, "hosts": c.Outputs[1].Files.Base, "peer.pem": c.Outputs[2].Forward.CA,
		} {
			if got != filepath.Join(dir, what) {
				t.Errorf("%s of %s is %s", what, name, got)
			}
		}
	}
	if err := Check(path); err == nil || !strings.Contains(err.Error(), "open "+dir+"/peer.pem") {
		t.Errorf("a check says %v", err)
	}
}

// TestWhatOnlyACheckRefuses may be there by the time it is needed, so that a daemon starts without it.
func TestWhatOnlyACheckRefuses(t *testing.T) {
	dir := t.TempDir()
	path, empty := filepath.Join(dir, "x.yaml"), filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	row := func(listen, forward, want string) {
		t.Helper()
		text := "listen: " + listen + "\noutputs:\n- {file: /b, format: rfc5424, forward: {" + forward + "}}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err != nil {
			t.Errorf("%s: a daemon does not start: %v", text, err)
		}
		if err := Check(path); err == nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	const peer = `to: "tls://192.0.2.1:1"`
	row(`"udp://no-such-host.invalid:514"`, peer, ":1: udp://no-such-host.invalid:514: lookup no-such-host.invalid")
	row("udp://127.0.0.1:514", peer+", ca: /nowhere/ca.pem", ":3: open /nowhere/ca.pem: no such file")
	row("udp://127.0.0.1:514", peer+", ca: "+empty, ":3: ca: "+empty+" has no certificate")
	row("udp://127.0.0.1:514", peer+", cert: "+empty, ":3: certificate "+empty+" with key "+empty)
	row("udp://127.0.0.1:514", `to: "https://h/x", encoding: ndjson, bearer_file: /nowhere/token`, ":3: open /nowhere/token: no such file")
	text := "listen: udp://127.0.0.1:514\noutputs: [{file: /b}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Errorf("nothing is wrong with %s: %v", text, err)
	}
}

func TestLoadAndDefault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := Load(path); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, largestFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "no configuration") {
		t.Errorf("a file of a megabyte: %v", err)
	}
	if d := Default(); d.Outputs[0].Path != DefaultFile || d.Listen[0].String() != DefaultListen || d.Control.Path != DefaultControl {
		t.Errorf("the default is %+v", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"listen: [udp://127.0.0.1:514]\noutputs: [{file: a, match: \"*.*\", rotate: {size: 1MB, every: day}}]", "a: &x [*x]", "? {a: b}\n: c",
		"<<: {a: b}", "outputs: {file: [}", "listen: *nope", "outputs: [{rotate: {max_age: 99999999999999999999d}}]", "max_message: 9223372036854775807TB",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("x.yaml", text)
		if (c == nil) == (err == nil) {
			t.Errorf("Parse(%q) = %v, %v", text, c, err)
		}
	})
}
