package kafka

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lbsyslogd/syslogd/sink"
	"lbsyslogd/test/port"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// anyBroker is the Kafka at the addresses in SYSLOGD_TEST_KAFKA, or else one in this process.
func anyBroker(t *testing.T) Settings {
	t.Helper()
	if real := os.Getenv("SYSLOGD_TEST_KAFKA"); real != "" {
		topic := fmt.Sprintf("syslogd-test-%d-%s", time.Now().UnixNano(), t.Name())
		return Settings{Brokers: strings.Split(real, ","), Topic: topic, Key: "%host%", Host: "here", CreateTopics: true}
	}
	_, s := broker(t)
	return s
}

// broker is a Kafka in this process, which can be told to fail.
func broker(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, Settings) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(4, "logs")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, Settings{Brokers: c.ListenAddrs(), Topic: "logs", Key: "%host%", Host: "here", Patience: 50 * time.Millisecond, lookAgain: 10 * time.Millisecond}
}

func producer(t *testing.T, s Settings) *Producer {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// A log is a file that is written in the head.
type log struct {
	inode  uint64
	offset int64
	prev   sink.Place // end of the line before
	n      int
}

// lines are the next so many, of three hosts.
func (l *log) lines(n int) []sink.Record {
	list := make([]sink.Record, n)
	for i := range list {
		line := fmt.Appendf(nil, "<134>1 2026-11-30T00:00:00.%06dZ web%d haproxy 42 - - line %d", l.n%1e6, l.n%3, l.n)
		at := sink.Place{Inode: l.inode, Birth: 1, Offset: l.offset}
		list[i] = sink.Record{Line: line, Place: at, Prev: l.prev}
		if l.prev == (sink.Place{}) {
			list[i].Prev = at
		}
		l.prev = list[i].End()
		l.offset = l.prev.Offset
		l.n++
	}
	return list
}

// deliver has lines taken, however often they must be offered, and returns what was refused.
func deliver(t *testing.T, p *Producer, lines []sink.Record) []int {
	t.Helper()
	var a sink.Answer
	wait.Until(t, "the lines to be taken", func() bool {
		a = p.Deliver(t.Context(), lines)
		return a.Verdict == sink.Taken
	})
	if len(a.Again) > 0 || (a.Err == nil) != (len(a.Refused) == 0) {
		t.Fatalf("answer %+v", a)
	}
	return a.Refused
}

func verify(t *testing.T, s Settings) *Report {
	t.Helper()
	r, err := Verify(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whole fails the test unless all lines are there, once each, and in order.
func whole(t *testing.T, s Settings, lines, duplicates int) {
	t.Helper()
	r := verify(t, s)
	if !r.Whole() || r.Lines != uint64(lines) || r.Duplicates != uint64(duplicates) || r.Disordered != 0 || r.Foreign != 0 || len(r.Unseen) != 0 {
		var b bytes.Buffer
		r.Print(&b)
		t.Errorf("want %d lines and %d duplicates, have\n%s", lines, duplicates, &b)
	}
}

func TestDeliver(t *testing.T) {
	s := anyBroker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	for range 5 {
		deliver(t, p, l.lines(1000))
	}
	l.offset++ // an empty line, of which there is nothing to send
	deliver(t, p, l.lines(10))
	next := &log{inode: 8, n: l.n, prev: l.prev} // a rotation
	deliver(t, p, next.lines(10))
	whole(t, s, 5020, 0)
	r := verify(t, s)
	if r.Topics != 1 || r.Partitions == 0 || r.Hosts != 1 || r.Files != 2 {
		t.Errorf("%+v", r)
	}
}

// The records are what readers rely on.
func TestRecord(t *testing.T) {
	e, err := newEncoder(&Settings{Host: "here", Topic: "logs-%host%-%facility%", Key: "%host%/%tag%"})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte("<134>1 2026-11-30T00:00:00.5Z web1 haproxy 42 - - hello")
	var r kgo.Record
	e.begin(1, len(line))
	e.record(&r, &sink.Record{Line: line, Place: sink.Place{Inode: 7, Birth: 9, Offset: 100}, Prev: sink.Place{Inode: 6, Birth: 8, Offset: 44}}, time.Now())
	clear(line) // the record has its own
	if r.Topic != "logs-web1-local0" || string(r.Key) != "web1/haproxy" || string(r.Value) != "<134>1 2026-11-30T00:00:00.5Z web1 haproxy 42 - - hello" {
		t.Errorf("%s %s %s", r.Topic, r.Key, r.Value)
	}
	if want := time.Date(2026, 11, 30, 0, 0, 0, 5e8, time.UTC); !r.Timestamp.Equal(want) {
		t.Errorf("time %v, want %v", r.Timestamp, want)
	}
	if len(r.Headers) != 2 || r.Headers[0].Key != HeaderPlace || string(r.Headers[0].Value) != "here/7-9-64/56" ||
		r.Headers[1].Key != HeaderAfter || string(r.Headers[1].Value) != "6-8-2c" {
		t.Errorf("%s", r.Headers)
	}
	// A sender cannot choose a topic that Kafka has no name for, or another one's.
	line = []byte("<134>1 2026-11-30T00:00:00.5Z ../x haproxy 42 - - hello")
	e.begin(1, len(line))
	e.record(&r, &sink.Record{Line: line}, time.Now())
	if r.Topic != "logs-_other-local0" {
		t.Error(r.Topic)
	}
}

// What brokers refuse for a while is sent again, and is there once: also what they have stored and not acknowledged.
func TestTroubles(t *testing.T) {
	for _, c := range []struct {
		name string
		err  *kerr.Error
	}{
		{"no leader", kerr.NotLeaderForPartition},
		{"too few replicas", kerr.NotEnoughReplicas},
		{"stored by too few replicas", kerr.NotEnoughReplicasAfterAppend},
		{"acknowledgement late", kerr.RequestTimedOut},
		{"a leader is elected", kerr.LeaderNotAvailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster, s := broker(t)
			p := producer(t, s)
			l := &log{inode: 7}
			deliver(t, p, l.lines(100))
			h := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "logs", Err: c.err, Count: 4})
			for range 5 {
				deliver(t, p, l.lines(100))
			}
			if h.Hits() != 4 {
				t.Errorf("%d requests failed", h.Hits())
			}
			whole(t, s, 600, 0)
		})
	}
}

// Leaders that change in the middle.
func TestLeadersMove(t *testing.T) {
	cluster, s := broker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	for range 10 {
		cluster.ShufflePartitionLeaders()
		deliver(t, p, l.lines(100))
	}
	whole(t, s, 1000, 0)
}

// Brokers that do not answer: what is in flight stays there, so that it is stored once, however often it is asked for.
func TestStall(t *testing.T) {
	cluster, s := broker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	deliver(t, p, l.lines(10))
	release := make(chan struct{})
	var asked atomic.Int32 // lines in requests, also in those that come again
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked.Add(recordsIn(t, r))
		cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	lines := l.lines(100)
	for range 3 {
		if a := p.Deliver(t.Context(), lines); a.Verdict != sink.Later || a.Err == nil {
			t.Fatalf("answer %+v", a)
		}
	}
	close(release)
	deliver(t, p, lines)
	if n := asked.Load(); n != 100 {
		t.Errorf("%d lines were in requests", n)
	}
	whole(t, s, 110, 0)
}

// recordsIn is how many records a produce request has.
func recordsIn(t *testing.T, r kmsg.Request) (n int32) {
	for _, topic := range r.(*kmsg.ProduceRequest).Topics {
		for _, partition := range topic.Partitions {
			var batch kmsg.RecordBatch
			if err := batch.ReadFrom(partition.Records); err != nil {
				t.Error(err)
			}
			n += batch.NumRecords
		}
	}
	return n
}

// Nothing keeps a stop from ending: neither brokers that do not answer nor other lines than those in flight.
func TestCloseWhileBrokersStall(t *testing.T) {
	cluster, s := broker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	deliver(t, p, l.lines(10))
	release := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	defer close(release)
	for range 2 { // the second time with others: the first are given up
		if a := p.Deliver(t.Context(), l.lines(100)); a.Verdict != sink.Later {
			t.Fatalf("answer %+v", a)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A cluster that is gone: the reason is named, and the lines go out when it is back.
func TestBrokersGone(t *testing.T) {
	dir := t.TempDir()
	at, err := netip.ParseAddrPort(port.Reserve(t))
	if err != nil {
		t.Fatal(err)
	}
	options := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(dir), kfake.Ports(int(at.Port()))}
	cluster, s := broker(t, options...)
	p := producer(t, s)
	l := &log{inode: 7}
	deliver(t, p, l.lines(100))
	cluster.Close()
	lines := l.lines(100)
	var a sink.Answer
	wait.Until(t, "the reason", func() bool {
		a = p.Deliver(t.Context(), lines)
		return a.Err != nil && strings.Contains(a.Err.Error(), "refused")
	})
	if a.Verdict != sink.Later || !strings.Contains(a.Err.Error(), s.Brokers[0]) {
		t.Errorf("answer %+v", a)
	}
	again, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	deliver(t, p, lines)
	whole(t, s, 200, 0)
}

// A record that is too large is refused alone; the others keep their order.
func TestTooLarge(t *testing.T) {
	_, s := broker(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "4096"}))
	s.Compression = "none"
	p := producer(t, s)
	l := &log{inode: 7}
	lines := l.lines(300)
	for _, i := range []int{5, 100, 299} {
		lines[i].Line = append(lines[i].Line, bytes.Repeat([]byte("x"), 5000)...)
	}
	offset := int64(0)
	for i := range lines {
		lines[i].Place.Offset = offset
		lines[i].Prev = lines[i].Place
		offset = lines[i].End().Offset
	}
	if refused := deliver(t, p, lines); !slices.Equal(refused, []int{5, 100, 299}) {
		t.Errorf("refused %v", refused)
	}
	l.offset, l.prev = offset, lines[299].End()
	deliver(t, p, l.lines(10))
	r := verify(t, s)
	if r.Lines != 307 || r.Duplicates != 0 || r.Disordered != 0 || len(r.Gaps) != 3 || r.Gaps[0].From != lines[5].Place.Offset || r.Gaps[0].To != lines[6].Place.Offset {
		t.Errorf("%+v", r)
	}
}

// A record that the broker does not take for what is in it, its time perhaps, is refused alone; those of its batch are not.
func TestOneRecordIsToBlame(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.InvalidTimestamp, kerr.InvalidRecord, kerr.RecordListTooLarge} {
		t.Run(refusal.Message, func(t *testing.T) {
			cluster, s := broker(t, kfake.SeedTopics(1, "one"))
			s.Topic = "one"
			limit := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "one", Err: refusal, Count: -1, When: func(r kmsg.Request) bool {
				for _, topic := range r.(*kmsg.ProduceRequest).Topics {
					for _, p := range topic.Partitions {
						var b kmsg.RecordBatch
						if b.ReadFrom(p.Records) == nil && b.MaxTimestamp > limit.UnixMilli() {
							return true
						}
					}
				}
				return false
			}})
			l := &log{inode: 7}
			lines := l.lines(1000)
			bad := []int{0, 41, 42, 43, 500, 999}
			for _, i := range bad {
				copy(lines[i].Line[len("<134>1 "):], "2036")
			}
			p := producer(t, s)
			if refused := deliver(t, p, lines); !slices.Equal(refused, bad) {
				t.Errorf("refused %v", refused)
			}
			deliver(t, p, l.lines(10))
			if r := verify(t, s); r.Lines != 1004 || r.Duplicates != 0 || r.Disordered != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A topic that is deleted and made anew gets what comes from then on.
func TestTopicIsMadeAnew(t *testing.T) {
	cluster, s := broker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	deliver(t, p, l.lines(100))
	for range 3 {
		if err := cluster.DeleteTopic("logs"); err != nil {
			t.Fatal(err)
		}
		lines := l.lines(100)
		if a := p.Deliver(t.Context(), lines); a.Verdict != sink.Later || a.Err == nil {
			t.Fatalf("answer %+v", a)
		}
		if err := cluster.CreateTopic("logs", 4, nil); err != nil {
			t.Fatal(err)
		}
		deliver(t, p, lines)
		deliver(t, p, l.lines(100))
		if r := verify(t, s); r.Lines != 200 || r.Duplicates != 0 || r.Disordered != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A process that dies before the acknowledgement: what the brokers had is there twice, no more, and nothing is missing.
func TestKilled(t *testing.T) {
	cluster, s := broker(t, kfake.SeedTopics(1, "one")) // one partition: nothing is under way to others when the producer ends
	s.Topic = "one"
	l := &log{inode: 7}
	deliver(t, producer(t, s), l.lines(100))
	// The brokers store, and nobody hears of it.
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "one", Err: kerr.NotEnoughReplicasAfterAppend, Count: -1})
	killed := producer(t, s)
	lines := l.lines(100)
	wait.Until(t, "a request", func() bool { killed.Deliver(t.Context(), lines); return fault.Hits() > 0 })
	killed.Close()
	fault.Remove()
	stored := verify(t, s).Lines
	if stored <= 100 {
		t.Fatalf("%d lines are stored", stored)
	}
	p := producer(t, s)
	deliver(t, p, lines)
	deliver(t, p, l.lines(100))
	whole(t, s, 300, int(stored)-100)
}

func TestStop(t *testing.T) {
	cluster, s := broker(t)
	cluster.Close()
	s.Patience = time.Hour
	p := producer(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if a := p.Deliver(ctx, (&log{}).lines(1)); a.Verdict != sink.Later {
		t.Errorf("answer %+v", a)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestCompressions(t *testing.T) {
	s := anyBroker(t)
	l := &log{inode: 7}
	for name := range codecs {
		s.Compression = name
		deliver(t, producer(t, s), l.lines(100))
	}
	whole(t, s, 100*len(codecs), 0)
	if _, err := New(Settings{Compression: "rar"}); err == nil {
		t.Error("rar is a compression")
	}
}

// Passwords are read for each connection, and are in no message.
func TestSASL(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			cluster, s := broker(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "syslogd", "right-horse"))
			var asked atomic.Int32
			secret := atomic.Pointer[string]{}
			wrong, right := "wrong-horse", "right-horse"
			secret.Store(&wrong)
			s.Mechanism, s.User = mechanism, "syslogd"
			s.Password = func() (string, error) { asked.Add(1); return *secret.Load(), nil }
			p := producer(t, s)
			lines := (&log{inode: 7}).lines(10)
			refused := func(reason string) {
				t.Helper()
				wait.Until(t, "the reason", func() bool {
					a := p.Deliver(t.Context(), lines)
					if a.Verdict != sink.Later || strings.Contains(a.Err.Error(), wrong) {
						t.Fatalf("answer %+v", a)
					}
					return strings.Contains(a.Err.Error(), reason)
				})
			}
			refused("user syslogd") // the connection is closed, as old brokers do
			cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
				if secret.Load() == &wrong {
					cluster.KeepControl()
				}
				a := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
				a.ErrorCode = kerr.SaslAuthenticationFailed.Code
				return a, nil, secret.Load() == &wrong
			})
			p.Close()
			p = producer(t, s)
			refused("SASL_AUTHENTICATION_FAILED")
			secret.Store(&right)
			deliver(t, p, lines)
			whole(t, s, 10, 0)
			if asked.Load() < 2 {
				t.Errorf("the password was asked for %d times", asked.Load())
			}
		})
	}
	if _, err := New(Settings{Mechanism: "GSSAPI"}); err == nil {
		t.Error("GSSAPI is a mechanism")
	}
}

func TestTopicIsMissing(t *testing.T) {
	_, s := broker(t)
	s.Topic = "nothing"
	p := producer(t, s)
	lines := (&log{inode: 7}).lines(10)
	var a sink.Answer
	wait.Until(t, "the reason", func() bool {
		a = p.Deliver(t.Context(), lines)
		return errors.Is(a.Err, kerr.UnknownTopicOrPartition)
	})
	if _, err := Verify(t.Context(), s); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("verify: %v", err)
	}
}

// Verify says exactly what is missing, also over a rotation.
func TestVerify(t *testing.T) {
	s := anyBroker(t)
	p := producer(t, s)
	l := &log{inode: 7}
	lines := l.lines(100)
	deliver(t, p, lines[:50])
	deliver(t, p, lines[51:90]) // 50 is missing, and 90 to 99
	next := &log{inode: 8, n: 100, prev: l.prev}
	first := next.lines(3)
	first[1].Prev = l.prev
	deliver(t, p, first[1:]) // so is the first one
	deliver(t, producer(t, s), lines[:10])
	r := verify(t, s)
	want := []Gap{
		{"here", "7-1", lines[50].Place.Offset, lines[51].Place.Offset},
		{"here", "7-1", lines[90].Place.Offset, l.offset},
		{"here", "8-1", 0, first[1].Place.Offset},
	}
	if !slices.Equal(r.Gaps, want) || r.Duplicates != 10 || r.Lines != 91 || r.Whole() {
		t.Errorf("%+v, want %v", r, want)
	}
	var b bytes.Buffer
	r.Print(&b)
	if !strings.Contains(b.String(), fmt.Sprintf("gap: host here, file 8-1: bytes 0 to %d\n", first[1].Place.Offset)) {
		t.Error(b.String())
	}
}

func TestTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	pool, err := rig.WriteCertificate(file, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	_, s := broker(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	lines := (&log{inode: 7}).lines(10)
	for _, c := range []struct {
		name     string
		settings *tls.Config
		reason   string
	}{
		{"no TLS", nil, "TLS"},
		{"unknown authority", &tls.Config{RootCAs: x509.NewCertPool()}, "certificate"},
		{"another name", &tls.Config{RootCAs: pool, ServerName: "kafka.example.org"}, "kafka.example.org"},
		{"right", &tls.Config{RootCAs: pool}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.TLS = nil
			if c.settings != nil {
				s.TLS = func(host string) *tls.Config {
					settings := c.settings.Clone()
					settings.ServerName = cmp.Or(settings.ServerName, host)
					return settings
				}
			}
			p := producer(t, s)
			if c.reason == "" {
				deliver(t, p, lines)
				whole(t, s, 10, 0)
				return
			}
			wait.Until(t, "the reason", func() bool {
				a := p.Deliver(t.Context(), lines)
				return a.Verdict == sink.Later && strings.Contains(a.Err.Error(), c.reason)
			})
		})
	}
}
