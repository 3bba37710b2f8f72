package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/test/syslog/flood"
)

// A sinkSubject is a daemon that sends what it writes to a receiver too. What its sink costs is the difference to the same daemon without one.
type sinkSubject struct {
	name    string
	without subject
	with    func(receiver string) subject
	beside  string // the name of the subject that does the same; empty: none
}

// sinkSubjects are our encodings, and rsyslog's module for Elasticsearch where it is installed: Debian has none for HTTP in general.
func sinkSubjects(ours string) (all []sinkSubject) {
	plain := forwarding(ours, "")
	for _, s := range []struct{ encoding, compress, beside string }{
		{"ndjson", "none", ""}, {"ndjson", "zstd", ""}, {"ndjson", "gzip", ""}, {"victorialogs", "none", ""}, {"loki", "none", ""}, {"otlp", "none", ""},
		{"otlp-json", "none", ""}, {"elasticsearch", "none", omelasticsearch},
	} {
		all = append(all, sinkSubject{s.encoding + " " + s.compress, plain, func(receiver string) subject {
			return forwarding(ours, fmt.Sprintf(", forward: {to: \"http://%s/\", encoding: %s, compress: %s}", receiver, s.encoding, s.compress))
		}, s.beside})
	}
	if there, _ := filepath.Glob("/usr/lib/*/rsyslog/omelasticsearch.so"); len(there) > 0 {
		for _, s := range []struct{ name, template, more string }{
			{omelasticsearch, flatDocument, ""}, {omelasticsearch + ", our documents", sameDocument, ` writeoperation="create" bulkid="id" dynbulkid="on"`},
		} {
			all = append(all, sinkSubject{s.name, rsyslogd("rsyslog", sinkInput+"}\n"), func(receiver string) subject {
				host, port, _ := net.SplitHostPort(receiver)
				return rsyslogd("rsyslog", `module(load="omelasticsearch")
`+s.template+sinkInput+`  action(type="omelasticsearch" server="`+host+`" serverport="`+port+`" template="doc" searchIndex="logs-syslog-default" bulkmode="on" maxbytes="4m"`+s.more+`
    queue.type="LinkedList" queue.size="2000000" queue.dequeueBatchSize="4096" action.resumeRetryCount="-1")
}
`)
			}, ""})
		}
	}
	return all
}

const omelasticsearch = "rsyslog omelasticsearch"

// sameDocument has rsyslog make the documents that ours are, with an id each.
const sameDocument = `template(name="id" type="string" string="%hostname%/%uuid%")
template(name="doc" type="list") {
  constant(value="{\"@timestamp\":\"") property(name="timereported" dateFormat="rfc3339")
  constant(value="\",\"host\":{\"name\":\"") property(name="hostname" format="json")
  constant(value="\"},\"process\":{\"name\":\"") property(name="programname" format="json")
  constant(value="\",\"pid\":") property(name="procid" format="json")
  constant(value="},\"log\":{\"level\":\"") property(name="syslogseverity-text")
  constant(value="\",\"syslog\":{\"facility\":{\"code\":") property(name="syslogfacility")
  constant(value=",\"name\":\"") property(name="syslogfacility-text")
  constant(value="\"},\"severity\":{\"code\":") property(name="syslogseverity")
  constant(value=",\"name\":\"") property(name="syslogseverity-text")
  constant(value="\"},\"procid\":\"") property(name="procid" format="json")
  constant(value="\"}},\"message\":\"") property(name="msg" format="json")
  constant(value="\"}")
}
`

// flatDocument is what its manual recommends: less than ours, and without ids. It is the cheaper one, and so the one that ours is compared to. A request
// has 4,096 documents; ours has a mebibyte of lines, about as many.
const flatDocument = `template(name="doc" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="tag" name="programname" format="jsonf")
  property(outname="pid" name="procid" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
`

// named are the subjects whose name contains one of the words; all of them if there is no word.
func named(all []sinkSubject, words string) []sinkSubject {
	return slices.DeleteFunc(all, func(s sinkSubject) bool {
		return !slices.ContainsFunc(strings.Split(words, ","), func(word string) bool { return strings.Contains(s.name, word) })
	})
}

// sinkInput begins the configuration of a rsyslog that sends what it writes to a receiver too: what follows is that action, and the end.
const sinkInput = `module(load="imudp" timeRequery="64" batchSize="512" threads="1")
input(type="imudp" address="127.0.0.1" port="PORT" rcvbufSize="64m" ruleset="in")
template(name="line" type="string" string="%timestamp% %hostname% %syslogtag%%msg:::drop-last-lf%\n")
ruleset(name="in" parser="rsyslog.rfc3164" queue.type="FixedArray" queue.size="1000000" queue.dequeueBatchSize="4096" queue.workerThreads="1") {
  action(type="omfile" file="DIR/out.log" template="line" ioBufferSize="256k" flushOnTXEnd="off" flushInterval="1" asyncWriting="on")
`

// forwarding is ours as a sink needs it, with more settings of the output.
func forwarding(binary, more string) subject {
	s := syslogd("syslogd", binary)
	s.files = func(dir string, port int) map[string]string {
		return map[string]string{"conf": fmt.Sprintf("listen: [udp://127.0.0.1:%d]\ncontrol: %s/ctl\noutputs: [{file: %s/out.log, format: rfc5424, rotate: {size: 10GB}%s}]\n",
			port, dir, dir, more)}
	}
	return s
}

// A counter is a receiver that takes everything and counts lines of flood: each has " end" in it once.
type counter struct {
	lines  atomic.Int64
	frames atomic.Int64 // bytes of RELP's frames around them
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		z, err := zstd.NewReader(nil)
		if encoding == "gzip" {
			body, err = gzip.NewReader(body)
		} else if err == nil {
			err = z.Reset(body)
			body = z
		}
		defer z.Close()
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return // and so the same comes again
	}
	c.lines.Add(int64(bytes.Count(text, []byte(" end"))))
	switch {
	case strings.Contains(r.URL.Path, "bulk") || bytes.HasPrefix(text, []byte(`{"create"`)):
		io.WriteString(w, `{"took":1,"errors":false,"items":[]}`)
	case r.Header.Get("Content-Type") != "application/x-protobuf":
		io.WriteString(w, "{}")
	}
}

// measureSinks prints what each sink costs.
func measureSinks(all []sinkSubject, rounds, burst int, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c := new(counter)
	server := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	go server.Serve(l) // until Close
	defer server.Close()
	costs := make([]sinkCosts, len(all))
	for round := range rounds {
		for i, s := range all {
			without, err := s.without.sinkCost(nil, burst, messageSize)
			if err != nil {
				return err
			}
			with, err := s.with(l.Addr().String()).sinkCost(c, burst, messageSize)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			costs[i].add(without, with)
			fmt.Fprintf(os.Stderr, "round %d of %d: %s done\n", round+1, rounds, s.name)
		}
	}
	fmt.Fprintf(out, "\nsinks: %d-byte messages, a burst of %d, %d rounds; what a line costs more than without the sink\n\n", messageSize, burst, rounds)
	return printSinks(all, costs, "sink", out)
}

// sinkCosts are what a line costs without a sink and with it, in each round, in microseconds.
type sinkCosts struct{ without, with []float64 }

func (c *sinkCosts) add(without, with float64) {
	c.without, c.with = append(c.without, without), append(c.with, with)
}

// median is that of what the sink costs in a round.
func (c *sinkCosts) median() float64 {
	all := make([]float64, len(c.with))
	for i := range all {
		all[i] = c.with[i] - c.without[i]
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// least is the difference of the rounds in which other programs disturbed least.
func (c *sinkCosts) least() float64 { return slices.Min(c.with) - slices.Min(c.without) }

// printSinks prints a line for each subject, and what it costs next to the one that does the same.
func printSinks(all []sinkSubject, costs []sinkCosts, title string, out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\tus/line, median\tratio\tleast\tratio\t\n", title)
	for i, s := range all {
		median, least := "-", "-"
		if k := slices.IndexFunc(all, func(other sinkSubject) bool { return s.beside != "" && other.name == s.beside }); k >= 0 {
			median, least = fmt.Sprintf("%.2f", costs[i].median()/costs[k].median()), fmt.Sprintf("%.2f", costs[i].least()/costs[k].least())
		}
		fmt.Fprintf(t, "%s\t%.2f\t%s\t%.2f\t%s\t\n", s.name, costs[i].median(), median, costs[i].least(), least)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\nratio: ours divided by rsyslog's; least: in the rounds that other programs disturbed least")
	return err
}

// sinkCost is the processor time of a subject for each line of a burst of messages of a size, in microseconds. A nil counter: it has no sink.
func (s subject) sinkCost(c *counter, burst, size int) (each float64, err error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	d, err := s.start(port)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if c != nil {
		c.lines.Store(0)
	}
	before, err := d.cpu()
	if err != nil {
		return 0, err
	}
	if err := sendPinned(flood.Flood{To: "127.0.0.1:" + strconv.Itoa(port), Count: burst, Size: size}); err != nil {
		return 0, err
	}
	lines, err := d.settle()
	if err == nil && lines == 0 {
		err = errors.New("no line was written")
	}
	if err != nil {
		return 0, err
	}
	if c != nil {
		if err := wait(func() bool { return c.lines.Load() >= int64(lines) }); err != nil {
			return 0, fmt.Errorf("%d of %d lines came to the receiver: %w", c.lines.Load(), lines, err)
		}
	}
	after, err := d.cpu()
	return float64((after - before).Microseconds()) / float64(lines), err
}
