package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// count is how many lines are sent.
const count = 3000

// httpLine is what option httplog logs, with a captured traceparent.
const httpLine = `10.0.0.1:1234 [21/Nov/2026:03:04:05.123] in be/s1 0/0/1/2/3 200 1234 - - ---- 1/1/0/0/0 0/0 {00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01} "GET /n=%d HTTP/1.1"`

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// build builds a command once for all tests.
func build(t *testing.T, once *sync.Once, name, directory, pkg string) string {
	t.Helper()
	path := filepath.Join(binaries, name)
	once.Do(func() {
		c := exec.Command("go", "build", "-C", directory, "-o", path, pkg)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	})
	return path
}

var (
	binaries                  string
	onceSyslogd, onceVictoria sync.Once
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "sinks-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	return m.Run()
}

// freePort is an address on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A daemon is a syslogd that forwards.
type daemon struct {
	t      *testing.T
	binary string
	dir    string
	cmd    *exec.Cmd
	said   *bytes.Buffer
}

func startSyslogd(t *testing.T, forward string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), binary: build(t, &onceSyslogd, "syslogd", "../..", "./cmd/syslogd")}
	config := fmt.Sprintf("control: %[1]s/ctl\nlisten: unix://%[1]s/in\noutputs:\n- {file: %[1]s/a.log, format: rfc5424, rotate: {size: 200kB, keep: 1000}, forward: %[2]s}\n", d.dir, forward)
	if err := os.WriteFile(d.at("syslogd.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run()
	t.Cleanup(func() {
		d.cmd.Process.Signal(syscall.SIGTERM)
		d.cmd.Wait()
		if t.Failed() {
			t.Logf("syslogd said:\n%s", d.said)
		}
	})
	return d
}

func (d *daemon) at(name string) string { return filepath.Join(d.dir, name) }

func (d *daemon) run() {
	d.t.Helper()
	d.said = new(bytes.Buffer)
	d.cmd = exec.Command(d.binary, "-f", d.at("syslogd.yaml"))
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	until(d.t, "syslogd to answer", func() bool { return exec.Command(d.binary, "status", "-s", d.at("ctl")).Run() == nil })
}

// forward is the state of the sink.
type forward struct {
	Sent, Confirmed, Again uint64
	Behind                 int64  `json:"behind_bytes"`
	Refused                uint64 `json:"refused_lines"`
	Error                  string
}

func (d *daemon) forward() forward {
	d.t.Helper()
	out, err := exec.Command(d.binary, "status", "--json", "-s", d.at("ctl")).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	var s struct{ Outputs []struct{ Forward forward } }
	if err := json.Unmarshal(out, &s); err != nil || len(s.Outputs) == 0 {
		d.t.Fatalf("%s: %v", out, err)
	}
	return s.Outputs[0].Forward
}

// send sends lines, of which each third is HAProxy's.
func (d *daemon) send(from, to int) {
	d.t.Helper()
	c, err := net.Dial("unixgram", d.at("in"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	now := time.Now().Format(time.RFC3339Nano)
	for n := from; n < to; n++ {
		text := fmt.Sprintf("n=%d", n)
		if n%3 == 0 {
			text = fmt.Sprintf(httpLine, n)
		}
		if _, err := fmt.Fprintf(c, "<%d>1 %s web1 haproxy 42 - - %s", 128+n%8, now, text); err != nil {
			d.t.Fatal(err)
		}
	}
}

// settled waits until everything was taken.
func (d *daemon) settled() forward {
	d.t.Helper()
	until(d.t, "everything to be taken", func() bool { f := d.forward(); return f.Behind == 0 && f.Error == "" })
	return d.forward()
}

// collector is the receiver of an OpenTelemetry collector, with a consumer that fails now and then.
type collector struct {
	mu      sync.Mutex
	refuse  func() error
	records []plog.LogRecord
	hosts   map[string]bool
}

func (c *collector) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *collector) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuse(); err != nil {
		return err
	}
	for _, of := range logs.ResourceLogs().All() {
		host, _ := of.Resource().Attributes().Get("host.name")
		c.hosts[host.Str()] = true
		for _, scope := range of.ScopeLogs().All() {
			for _, r := range scope.LogRecords().All() {
				kept := plog.NewLogRecord()
				r.CopyTo(kept)
				c.records = append(c.records, kept)
			}
		}
	}
	return nil
}

// TestOTLPReceiver sends to the receiver of the OpenTelemetry collector, in both encodings and compressions; its pipeline fails at times.
func TestOTLPReceiver(t *testing.T) {
	for _, row := range []struct{ encoding, compress string }{{"otlp", "none"}, {"otlp", "zstd"}, {"otlp-json", "gzip"}} {
		t.Run(row.encoding+" "+row.compress, func(t *testing.T) {
			calls := 0
			c := &collector{hosts: make(map[string]bool), refuse: func() error {
				if calls++; calls%5 == 2 {
					return fmt.Errorf("the pipeline is full")
				}
				if calls%5 == 4 {
					return consumererror.NewPermanent(fmt.Errorf("the pipeline is broken"))
				}
				return nil
			}}
			factory := otlpreceiver.NewFactory()
			config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
			address := freePort(t)
			protocols := &config.Protocols
			protocols.HTTP.GetOrInsertDefault().ServerConfig.NetAddr.Endpoint = address
			receiver, err := factory.CreateLogs(context.Background(), receivertest.NewNopSettings(factory.Type()), config, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Start(context.Background(), componenttest.NewNopHost()); err != nil {
				t.Fatal(err)
			}
			defer receiver.Shutdown(context.Background())
			d := startSyslogd(t, fmt.Sprintf("{to: http://%s, encoding: %s, compress: %s, backoff: 300ms, batch: {lines: 100, age: 50ms}}", address, row.encoding, row.compress))
			d.send(0, count)
			f := d.settled()
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.records) != count || f.Confirmed != count || f.Refused != 0 || !c.hosts["web1"] {
				t.Fatalf("%d records, %+v", len(c.records), f)
			}
			severities := []plog.SeverityNumber{21, 19, 18, 17, 13, 10, 9, 5}
			for n, r := range c.records {
				if !strings.Contains(r.Body().Str(), fmt.Sprintf("n=%d", n)) || r.SeverityNumber() != severities[n%8] || time.Since(r.Timestamp().AsTime()) > time.Hour {
					t.Fatalf("record %d is %q, %v, %v", n, r.Body().Str(), r.SeverityNumber(), r.Timestamp())
				}
				status, found := r.Attributes().Get("haproxy.status_code")
				if found != (n%3 == 0) || found && (status.Int() != 200 || r.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || r.SpanID().String() != "b7ad6b7169203331" || r.Flags() != 1) {
					t.Fatalf("record %d: %v, %v", n, r.Attributes().AsRaw(), r.TraceID())
				}
			}
		})
	}
}

// TestVictoriaLogs sends to VictoriaLogs, which is killed and started again meanwhile.
func TestVictoriaLogs(t *testing.T) {
	binary := build(t, &onceVictoria, "victoria-logs", ".", "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
	address, data := freePort(t), t.TempDir()
	var victoria *exec.Cmd
	start := func() {
		t.Helper()
		victoria = exec.Command(binary, "-storageDataPath="+data, "-httpListenAddr="+address, "-loggerLevel=ERROR")
		victoria.Stderr = os.Stderr
		if err := victoria.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "VictoriaLogs to answer", func() bool {
			r, err := http.Get("http://" + address + "/health")
			if err == nil {
				r.Body.Close()
			}
			return err == nil && r.StatusCode == http.StatusOK
		})
	}
	start()
	defer func() {
		victoria.Process.Kill()
		victoria.Wait()
	}()
	d := startSyslogd(t, fmt.Sprintf("{to: \"http://%s/insert/jsonline?_stream_fields=host,tag\", encoding: victorialogs, compress: zstd, backoff: 300ms, batch: {lines: 100, age: 50ms}}", address))
	d.send(0, count/2)
	d.settled()
	victoria.Process.Signal(syscall.SIGTERM) // it keeps seconds in memory, which a SIGKILL would take along
	victoria.Wait()
	d.send(count/2, count)
	until(t, "syslogd to notice", func() bool { return d.forward().Error != "" })
	d.cmd.Process.Kill()
	d.cmd.Wait()
	start()
	d.run()
	if f := d.settled(); f.Refused != 0 {
		t.Errorf("%+v", f)
	}
	query := func(text string) (lines []map[string]string) {
		t.Helper()
		r, err := http.PostForm("http://"+address+"/select/logsql/query", url.Values{"query": {text}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		for in := json.NewDecoder(r.Body); ; {
			line := make(map[string]string)
			if err := in.Decode(&line); err == io.EOF {
				return lines
			} else if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
	}
	different := make(map[string]bool)
	var all []map[string]string
	until(t, "the lines to be found", func() bool {
		all = query("*")
		clear(different)
		for _, line := range all {
			different[line["_msg"]] = true
		}
		return len(different) == count
	})
	t.Logf("%d lines, %d different", len(all), len(different))
	found := query(fmt.Sprintf(`{host="web1",tag="haproxy"} http_uri:"/n=%d"`, 300))
	if len(found) == 0 || found[0]["status_code"] != "200" || found[0]["backend_name"] != "be" || found[0]["severity"] != "warning" {
		t.Errorf("%v", found)
	}
	if found := query("backend_name:be | stats count() hits"); len(found) != 1 {
		t.Errorf("%v", found)
	}
}
