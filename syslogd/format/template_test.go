package format

import (
	"strings"
	"testing"

	"lbsyslogd/syslogd/message"
)

func TestTemplate(t *testing.T) {
	row := func(template, in, want string) {
		t.Helper()
		if got := line(t, TemplatePrefix+template, in); got != want+"\n" {
			t.Errorf("%q makes %q; want %q", template, got, want)
		}
	}
	const in = `<134>1 2026-11-21T03:04:05.5Z web1 app 7 id [x@1 a="b"] te` + "\t" + `xt`
	row("%host% %tag%[%pid%]: %text%", in, "web1 app[7]: te#011xt")
	row("%facility%.%severity% %pri% %msgid% %data%", in, `local0.info 134 id [x@1 a="b"]`)
	row("%time%|%received%|%stamp%", in, "2026-11-21T03:04:05.500000Z|2026-11-21T09:08:07.000000Z|Nov 21 03:04:05")
	row("%Y-%m-%d %H %peer%", in, "2026-11-21 09 192.0.2.1")
	row("100%% %d%dd", in, "100% 2121d")
	row("no field", in, "no field")
	for _, wrong := range []string{"%", "%hosts%", "%x", "a %text", "50% of %tag%"} {
		if _, err := ParseTemplate(wrong); err == nil || !strings.Contains(err.Error(), "%host%") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func nameOf(t *testing.T, template, in, peer string) string {
	t.Helper()
	f, err := ParseTemplate(template)
	if err != nil {
		t.Fatal(err)
	}
	var m message.Message
	m.Parse([]byte(in))
	name, other := f.AppendName(nil, &m, &Envelope{Received: received, Host: peer, Raw: []byte(in)})
	if other != strings.Contains(string(name), Other) {
		t.Errorf("%q for %q: other is %v", name, in, other)
	}
	return string(name)
}

func TestNames(t *testing.T) {
	row := func(in, want string) {
		t.Helper()
		if got := nameOf(t, "%host%/%tag%-%Y.log", in, "2001:db8::1"); got != want {
			t.Errorf("%q goes to %q; want %q", in, got, want)
		}
	}
	row("<13>Nov 21 03:04:05 web1 app: x", "web1/app-2026.log")
	row("<13>Nov 21 03:04:05 app: x", "2001_db8__1/app-2026.log")
	row("<13>1 - .. /etc/passwd - - - x", "_other/_other-2026.log")
	row("<13>1 - ../../etc cron.d - - - x", "_other/cron.d-2026.log")
	row("<13>1 - .ssh a\x00b - - - x", "_other/_other-2026.log")
	row("<13>1 - "+strings.Repeat("a", 65)+" é - - - x", "_other/_other-2026.log")
	row("<13>Nov 21 03:04:05 web1 postfix/smtpd[3]: x", "web1/_other-2026.log") // a value with a slash
	row("<13>no tag", "2001_db8__1/_other-2026.log")
	f, err := ParseTemplate("%host%/%tag%-%Y.log")
	if err != nil || f.OtherName() != "_other/_other-_other.log" {
		t.Errorf("the other name is %q: %v", f.OtherName(), err)
	}
}

func TestNamesAllocateNothing(t *testing.T) {
	f, err := ParseTemplate("%host%/%tag%-%Y-%m-%d.log")
	if err != nil {
		t.Fatal(err)
	}
	in := []byte("<13>Nov 21 03:04:05 web1 app: x")
	var m message.Message
	m.Parse(in)
	e := Envelope{Received: received, Raw: in, Size: len(in)}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf, _ = f.AppendName(buf[:0], &m, &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzNames holds that no message leaves the base directory or makes a hidden file, whatever the fields are.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"<13>1 - .. .. .. .. - x", "<13>Nov 21 03:04:05 ../x ..[.]: y", "<13>1 - / / - - - ", "<13>1 - a:b ... - - - "} {
		f.Add([]byte(seed), "192.0.2.1")
	}
	f.Fuzz(func(t *testing.T, in []byte, peer string) {
		name := nameOf(t, "%host%%pid%/x%tag%.%msgid%%data%/%peer%.log", string(in), peer)
		parts := strings.Split(name, "/")
		for _, p := range parts {
			if p == "" || p[0] == '.' || strings.Trim(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
				t.Errorf("%q goes to %q", in, name)
			}
		}
		if len(parts) != 3 {
			t.Errorf("%q goes to %q", in, name)
		}
	})
}
