package route

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/write"
)

func TestSelector(t *testing.T) {
	row := func(text string, in, out string) {
		t.Helper()
		s, err := ParseSelector(text)
		if err != nil {
			t.Errorf("ParseSelector(%q): %v", text, err)
			return
		}
		for want, list := range map[bool]string{true: in, false: out} {
			for _, p := range strings.Fields(list) {
				name, level, _ := strings.Cut(p, ".")
				f, ok1 := message.ParseFacility(name)
				sev, ok2 := message.ParseSeverity(level)
				if !ok1 || !ok2 {
					t.Fatalf("the test says %q", p)
				}
				if s.Has(message.Priority(f, sev)) != want {
					t.Errorf("%q has %s: %v", text, p, !want)
				}
			}
		}
	}
	row("local0.*", "local0.emerg local0.debug", "local1.emerg kern.debug")
	row("*.err", "kern.err local7.emerg", "kern.warning local7.debug")
	row("*.*", "kern.emerg local7.debug", "")
	row("mail,news.err", "mail.err news.crit", "mail.warning uucp.err")
	row("*.info;mail.none", "kern.info", "mail.emerg kern.debug")
	row("kern.=debug", "kern.debug", "kern.info")
	row("local0.*;local0.!=info", "local0.notice local0.debug", "local0.info")
	row("local0.*;local0.!err", "local0.warning local0.debug", "local0.err local0.emerg")
	row("*.*;local0.!*", "kern.debug", "local0.emerg")
	row(" local0.* ; local1.warn ", "local0.debug local1.error", "local1.notice")
	row("authpriv,auth.panic", "auth2.emerg auth.emerg", "auth.alert")
}

func TestSelectorRefuses(t *testing.T) {
	for _, text := range []string{"", "local0", "local0.", ".info", "lcal0.*", "local0.infos", "local0.*;", "local0.* local1.*", "*.==info", "LOCAL0.INFO"} {
		if s, err := ParseSelector(text); err == nil {
			t.Errorf("ParseSelector(%q) = %v", text, s)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("ParseSelector(%q) does not say what it read: %v", text, err)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, seed := range []string{"local0.*", "*.info;mail.none", "mail,news.=err;local0.!=info", "*.!*", "a.b", ";", "..", "*.none"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			return
		}
		if again, err := ParseSelector(s.String()); err != nil || again != s {
			t.Errorf("%q is %q, which is %q: %v", text, s, again, err)
		}
	})
}

// bench is two outputs and a stage on rules for them.
type bench struct {
	t     *testing.T
	dir   string
	outs  []*write.Output
	stage *Stage
	table atomic.Pointer[Table]
	count Counts
}

func newBench(t *testing.T, settings Settings, rules ...Rule) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	for i := range rules {
		w, err := rotate.Open(filepath.Join(b.dir, fmt.Sprint(i)), rotate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out := write.New(fmt.Sprint(i), w, 1<<20, nil)
		t.Cleanup(func() { out.Close() })
		rules[i].Output = out
		b.outs = append(b.outs, out)
	}
	settings.Host = "here"
	table, err := Compile(rules, settings)
	if err != nil {
		t.Fatal(err)
	}
	b.table.Store(table)
	b.stage = NewStage(&b.table, &b.count)
	return b
}

var received = time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)

func (b *bench) send(from string, messages ...string) {
	who := &receive.Sender{Local: true}
	if from != "" {
		who = receive.NewSender(netip.MustParseAddr(from))
	}
	b.stage.Begin(received)
	for _, m := range messages {
		b.stage.Message(who, []byte(m), len(m))
	}
	b.stage.End()
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	for i, out := range b.outs {
		if err := out.Drain(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(b.dir, fmt.Sprint(i)))
		if err != nil || string(text) != lines[i] {
			b.t.Errorf("output %d holds %q, %v; want %q", i, text, err, lines[i])
		}
	}
	c := &b.count
	if sum := c.Routed.Load() + c.Unmatched.Load() + c.Oversized.Load() + c.Denied.Load() + c.Empty.Load(); sum != c.Received.Load() {
		b.t.Errorf("%d received, but %d accounted for", c.Received.Load(), sum)
	}
}

func selector(t *testing.T, text string) Selector {
	t.Helper()
	s, err := ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMessageGoesToEveryOutputThatWantsIt(t *testing.T) {
	b := newBench(t, Settings{}, Rule{Select: selector(t, "local0.*")}, Rule{Select: selector(t, "*.err")})
	b.send("", "<134>Nov 21 03:04:05 a: info", "<131>Nov 21 03:04:05 a: err", "<14>Nov 21 03:04:05 a: user", "<134>", "")
	b.want("Nov 21 03:04:05 here a: info\nNov 21 03:04:05 here a: err\n", "Nov 21 03:04:05 here a: err\n")
	if b.count.Unmatched.Load() != 1 || b.count.Empty.Load() != 2 {
		t.Errorf("%d unmatched, %d empty", b.count.Unmatched.Load(), b.count.Empty.Load())
	}
}

func TestFinalEndsTheSearch(t *testing.T) {
	b := newBench(t, Settings{}, Rule{Select: selector(t, "local0.*"), Final: true}, Rule{Select: selector(t, "*.*")})
	b.send("", "<134>a: one", "<14>a: two")
	b.want("Nov 21 03:04:05 here a: one\n", "Nov 21 03:04:05 here a: two\n")
}

func TestConditions(t *testing.T) {
	all := selector(t, "*.*")
	b := newBench(t, Settings{},
		Rule{Select: all, Tags: []string{"hap*"}},
		Rule{Select: all, Hosts: []string{"web1", "10.*"}},
		Rule{Select: all, From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
		Rule{Select: all, Text: regexp.MustCompile("50[234]")})
	b.send("10.1.2.3", "<13>Nov 21 03:04:05 haproxy[1]: 503")
	b.send("192.0.2.1", "<13>Nov 21 03:04:05 web1 other: 200")
	const first, second = "Nov 21 03:04:05 10.1.2.3 haproxy[1]: 503\n", "Nov 21 03:04:05 web1 other: 200\n"
	b.want(first, first+second, first, first)
}

// TestPatternsAndSlashes: docs/syslogd.md says that "*" matches no slash.
func TestPatternsAndSlashes(t *testing.T) {
	all := selector(t, "*.*")
	b := newBench(t, Settings{},
		Rule{Select: all, Tags: []string{"postfix", "postfix*"}},
		Rule{Select: all, Tags: []string{"postfix/*"}},
		Rule{Select: all, Tags: []string{"postfix/*", "postfix/*/*"}})
	b.send("10.1.2.3", "<13>Nov 21 03:04:05 h postfix/smtpd[3]: x", "<13>Nov 21 03:04:05 h postfix/submission/smtpd[3]: y")
	const first, second = "Nov 21 03:04:05 h postfix/smtpd[3]: x\n", "Nov 21 03:04:05 h postfix/submission/smtpd[3]: y\n"
	b.want("", first, first+second)
}

func TestConditionsOnRFC5424(t *testing.T) {
	all := selector(t, "*.*")
	b := newBench(t, Settings{},
		Rule{Select: all, MsgIDs: []string{"AUTH*", "LOGIN"}},
		Rule{Select: all, Data: regexp.MustCompile(`\[auth@1 [^]]*user="root"`)})
	b.send("10.1.2.3", `<13>1 2026-11-21T03:04:05Z h app - AUTH7 - one`)
	b.send("10.1.2.3", `<13>1 2026-11-21T03:04:05Z h app - - [auth@1 try="2" user="root"] two`)
	b.send("10.1.2.3", `<13>1 2026-11-21T03:04:05Z h app - - [auth@1 try="2"][x@1 user="root"] three`)
	b.send("10.1.2.3", "<13>Nov 21 03:04:05 h app: LOGIN") // has neither
	b.want("Nov 21 03:04:05 h app: one\n", "Nov 21 03:04:05 h app: two\n")
}

// TestZone gives the times that are ours, and those that say what they mean, in another zone; a time without one stays as it was sent.
func TestZone(t *testing.T) {
	b := newBench(t, Settings{Zone: time.FixedZone("x", 2*3600)}, Rule{Select: selector(t, "*.*")}, Rule{Select: selector(t, "*.*"), Format: "rfc5424"})
	b.send("10.1.2.3", "<13>1 2026-11-21T03:04:05Z h app - - - told")
	b.send("10.1.2.3", "<13>Nov 21 03:04:05 h app: not told")
	b.want("Nov 21 05:04:05 h app: told\nNov 21 03:04:05 h app: not told\n",
		"<13>1 2026-11-21T05:04:05.000000+02:00 h app - - - told\n<13>1 2026-11-21T03:04:05.000000+02:00 h app - - - not told\n")
}

func TestDeniedAndOversized(t *testing.T) {
	b := newBench(t, Settings{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, RefuseOversized: true}, Rule{Select: selector(t, "*.*")})
	b.send("192.0.2.1", "<13>no")
	b.send("10.0.0.1", "<13>yes")
	b.send("", "<13>local")
	b.stage.Begin(received)
	b.stage.Message(receive.NewSender(netip.Addr{}), []byte("<13>beginning"), 9000)
	b.stage.End()
	b.want("Nov 21 03:04:05 10.0.0.1 yes\nNov 21 03:04:05 here local\n")
	if b.count.Denied.Load() != 1 || b.count.Oversized.Load() != 1 {
		t.Errorf("%d denied, %d oversized", b.count.Denied.Load(), b.count.Oversized.Load())
	}
}

func TestCutMessageSaysSo(t *testing.T) {
	b := newBench(t, Settings{}, Rule{Select: selector(t, "*.*")})
	b.stage.Begin(received)
	b.stage.Message(receive.NewSender(netip.Addr{}), []byte("<13>beginning"), 9000)
	b.stage.Message(receive.NewSender(netip.Addr{}), []byte("<13>broken"), -500)
	b.stage.End()
	b.want("Nov 21 03:04:05 here beginning [cut: 13 of 9000 bytes]\nNov 21 03:04:05 here broken [cut: 10 of 500 bytes]\n")
	// What was announced and never came is nothing that was dropped.
	if cut, bytes := b.count.Cut.Load(), b.count.CutBytes.Load(); cut != 2 || bytes != 9000-13 {
		t.Errorf("%d cut, by %d bytes", cut, bytes)
	}
}

func TestMessageOnTheWayToAFileAllocatesNothing(t *testing.T) {
	b := newBench(t, Settings{}, Rule{Select: selector(t, "local0.*")}, Rule{Select: selector(t, "mail.*")})
	who := receive.NewSender(netip.Addr{})
	line := []byte("<134>Nov 21 03:04:05 haproxy[42]: 127.0.0.1:4242 [x] f b/s 0/0/0/1/1 200 1024")
	one := func() {
		b.stage.Begin(received)
		for range 50 {
			b.stage.Message(who, line, len(line))
		}
		b.stage.End()
	}
	for range 100 { // the buffers grow to what they need
		one()
	}
	if err := b.outs[0].Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The output's goroutine runs beside and may grow a buffer of its own: less than one in a hundred messages is none.
	if n := testing.AllocsPerRun(200, one); n > 0.5 {
		t.Errorf("fifty messages cost %v allocations; want 0", n)
	}
}

func TestRetireWaitsForTheBatch(t *testing.T) {
	b := newBench(t, Settings{}, Rule{Select: selector(t, "*.*")})
	old := b.table.Load()
	b.stage.Begin(received)
	next, err := Compile(nil, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	b.table.Store(next)
	retired := make(chan struct{})
	go func() { old.Retire(); close(retired) }()
	b.stage.Message(receive.NewSender(netip.Addr{}), []byte("<13>in the old batch"), 20)
	select {
	case <-retired:
		t.Error("the old table is retired in the middle of a batch")
	default:
	}
	b.stage.End()
	<-retired
	b.send("", "<13>in the new one")
	b.want("Nov 21 03:04:05 here in the old batch\n")
	if b.count.Unmatched.Load() != 1 {
		t.Errorf("%d unmatched", b.count.Unmatched.Load())
	}
}
