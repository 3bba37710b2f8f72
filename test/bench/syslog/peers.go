package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// subjects are ours first, an older one of ours if there is one, and then the others that are installed: with the best settings that a
// sweep has found, or in a sweep with all that it tries.
func subjects(ours, against string, sweep bool) []subject {
	all := []subject{syslogd("syslogd", ours)}
	if against != "" {
		all = append(all, syslogd("syslogd before", against))
	}
	if sweep {
		all = append(all, sweepOfRsyslog()...)
		all = append(all, sweepOfSyslogNG()...)
	} else {
		all = append(all, plainRsyslog(), bestRsyslog.subject("rsyslog tuned"), directRsyslog.subject("rsyslog direct"), plainSyslogNG(), bestSyslogNG.subject("syslog-ng tuned"))
	}
	var there []subject
	for _, s := range all {
		if s.there() {
			there = append(there, s)
		}
	}
	return there
}

func syslogd(name, binary string) subject {
	return subject{
		name: name, binary: binary,
		args: func(dir string) []string { return []string{"-f", filepath.Join(dir, "conf")} },
		files: func(dir string, port int) map[string]string {
			return map[string]string{"conf": fmt.Sprintf("listen: [udp://127.0.0.1:%d]\ncontrol: %s/ctl\noutputs: [{file: %s/out.log, rotate: never}]\n", port, dir, dir)}
		},
	}
}

// withReaders is ours with several readers of its port.
func withReaders(binary string, readers int) subject {
	s := syslogd("syslogd", binary)
	s.files = func(dir string, port int) map[string]string {
		return map[string]string{"conf": fmt.Sprintf("listen: [{address: \"udp://127.0.0.1:%d\", readers: %d}]\ncontrol: %s/ctl\noutputs: [{file: %s/out.log, rotate: never}]\n",
			port, readers, dir, dir)}
	}
	return s
}

// rsyslogWith is rsyslog's best with several threads, which read one socket: it has no order then.
func rsyslogWith(readers int) subject {
	r := bestRsyslog
	r.threads = readers
	return r.subject("rsyslog")
}

// syslogNGWith is syslog-ng's best with several sources at one port (so-reuseport), each with a thread.
func syslogNGWith(readers int) subject {
	s := bestSyslogNG
	source := fmt.Sprintf(`  network(ip("127.0.0.1") port(PORT) transport("udp") so-rcvbuf(67108864) so-reuseport(1) persist-name("%%d") log-fetch-limit(%d) log-iw-size(%d) flags(%s));
`, s.fetch, s.window, s.flags)
	conf := fmt.Sprintf("options { threaded(yes); flush-lines(%d); log-fifo-size(2000000); use-dns(no); keep-hostname(yes); stats-freq(0); };\nsource s {\n", s.flush)
	for i := range readers {
		conf += fmt.Sprintf(source, i)
	}
	return syslogng("syslog-ng", conf+"};\n")
}

// plainRsyslog is what a distribution's rsyslog does when imudp is switched on.
func plainRsyslog() subject {
	return rsyslogd("rsyslog", `module(load="imudp")
input(type="imudp" address="127.0.0.1" port="PORT")
*.* action(type="omfile" file="DIR/out.log")
`)
}

// A rsyslog is a choice of what rsyslog's documentation offers for speed. The template is the cheapest that gives the same line as ours:
// the default one formats the time of each message anew. A queue of type Direct is none: the input's thread writes.
type rsyslog struct {
	requery, batch, threads int    // of imudp: messages between looks at the clock, messages for one recvmmsg
	queue                   string // of the ruleset: Direct, FixedArray or LinkedList
	dequeue                 int    // messages that its worker takes at once
	async                   bool   // a thread of its own writes the file
	buffer                  string // bytes of lines for one write
	onEnd                   bool   // write at the end of each batch instead of once a second
}

// bestRsyslog is what came out first of bench-syslog -sweep among those that lose nothing of a burst; directRsyslog, without a queue and
// a second thread, costs a little less, and loses sooner.
var (
	bestRsyslog   = rsyslog{requery: 64, batch: 512, threads: 1, queue: "FixedArray", dequeue: 4096, async: true, buffer: "256k"}
	directRsyslog = rsyslog{requery: 64, batch: 512, threads: 1, queue: "Direct", async: true, buffer: "256k"}
)

func (r rsyslog) subject(name string) subject {
	onOff := func(b bool) string {
		if b {
			return "on"
		}
		return "off"
	}
	queue := fmt.Sprintf(`queue.type="%s" queue.size="1000000" queue.dequeueBatchSize="%d" queue.workerThreads="1"`, r.queue, r.dequeue)
	if r.queue == "Direct" {
		queue = `queue.type="Direct"`
	}
	return rsyslogd(name, fmt.Sprintf(`module(load="imudp" timeRequery="%d" batchSize="%d" threads="%d")
input(type="imudp" address="127.0.0.1" port="PORT" rcvbufSize="64m" ruleset="in")
template(name="line" type="string" string="%%timestamp%% %%hostname%% %%syslogtag%%%%msg:::drop-last-lf%%\n")
ruleset(name="in" parser="rsyslog.rfc3164" %s) {
  action(type="omfile" file="DIR/out.log" template="line" ioBufferSize="%s" flushOnTXEnd="%s" flushInterval="1" asyncWriting="%s")
}
`, r.requery, r.batch, r.threads, queue, r.buffer, onOff(r.onEnd), onOff(r.async)))
}

// sweepOfRsyslog changes one thing after the other in the best that is known.
func sweepOfRsyslog() []subject {
	all := []subject{plainRsyslog(), bestRsyslog.subject("rsyslog best")}
	change := func(name string, f func(*rsyslog)) {
		r := bestRsyslog
		f(&r)
		all = append(all, r.subject("rsyslog "+name))
	}
	change("timeRequery 2", func(r *rsyslog) { r.requery = 2 })
	change("timeRequery 1024", func(r *rsyslog) { r.requery = 1024 })
	change("batchSize 32", func(r *rsyslog) { r.batch = 32 })
	change("batchSize 128", func(r *rsyslog) { r.batch = 128 })
	change("batchSize 2048", func(r *rsyslog) { r.batch = 2048 })
	change("threads 2", func(r *rsyslog) { r.threads = 2 })
	change("queue Direct", func(r *rsyslog) { r.queue = "Direct" })
	change("queue Direct, not async", func(r *rsyslog) { r.queue, r.async = "Direct", false })
	change("queue LinkedList", func(r *rsyslog) { r.queue = "LinkedList" })
	change("dequeueBatchSize 512", func(r *rsyslog) { r.dequeue = 512 })
	change("dequeueBatchSize 16384", func(r *rsyslog) { r.dequeue = 16384 })
	change("not async", func(r *rsyslog) { r.async = false })
	change("ioBufferSize 64k", func(r *rsyslog) { r.buffer = "64k" })
	change("ioBufferSize 1m", func(r *rsyslog) { r.buffer = "1m" })
	change("flushOnTXEnd on", func(r *rsyslog) { r.onEnd = true })
	return all
}

func rsyslogd(name, conf string) subject {
	return subject{
		name: name, binary: "rsyslogd",
		args: func(dir string) []string { return []string{"-n", "-f", dir + "/conf", "-i", dir + "/pid"} },
		files: func(dir string, port int) map[string]string {
			return map[string]string{"conf": `global(workDirectory="DIR")` + "\n" + strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(port)).Replace(conf)}
		},
	}
}

// A syslogNG is the same for syslog-ng. Its fetch limit counts for connections only: for datagrams it is the number of messages that one
// turn of the source takes.
type syslogNG struct {
	fetch, flush, window int
	threaded             bool
	flags                string // of the source: no-parse leaves the header in the text
}

// bestSyslogNG is what came out first. One thread for all is half of the cost at a steady rate, and loses most of a burst.
var bestSyslogNG = syslogNG{fetch: 1000, flush: 1000, window: 100000, flags: "no-parse"}

func (s syslogNG) subject(name string) subject {
	threaded := "no"
	if s.threaded {
		threaded = "yes"
	}
	return syslogng(name, fmt.Sprintf(`options { threaded(%s); flush-lines(%d); log-fifo-size(2000000); use-dns(no); keep-hostname(yes); stats-freq(0); };
source s { network(ip("127.0.0.1") port(PORT) transport("udp") so-rcvbuf(67108864) log-fetch-limit(%d) log-iw-size(%d) flags(%s)); };
`, threaded, s.flush, s.fetch, s.window, s.flags))
}

// plainSyslogNG leaves everything as it is by default, threads among it, but for names, which it would look up.
func plainSyslogNG() subject {
	return syslogng("syslog-ng", `options { use-dns(no); };
source s { network(ip("127.0.0.1") port(PORT) transport("udp")); };
`)
}

func syslogng(name, conf string) subject {
	return subject{
		name: name, binary: "syslog-ng",
		args: func(dir string) []string {
			return []string{"-F", "-f", dir + "/conf", "-R", dir + "/persist", "-p", dir + "/pid", "-c", dir + "/ctl", "--no-caps"}
		},
		files: func(dir string, port int) map[string]string {
			return map[string]string{"conf": "@version: 3.38\n" + strings.ReplaceAll(conf, "PORT", strconv.Itoa(port)) +
				fmt.Sprintf("destination d { file(\"%s/out.log\"); };\nlog { source(s); destination(d); };\n", dir)}
		},
	}
}

func sweepOfSyslogNG() []subject {
	all := []subject{plainSyslogNG(), bestSyslogNG.subject("syslog-ng best")}
	change := func(name string, f func(*syslogNG)) {
		s := bestSyslogNG
		f(&s)
		all = append(all, s.subject("syslog-ng "+name))
	}
	change("log-fetch-limit 100", func(s *syslogNG) { s.fetch = 100 })
	change("log-fetch-limit 10000", func(s *syslogNG) { s.fetch = 10000 })
	change("flush-lines 100", func(s *syslogNG) { s.flush = 100 })
	change("flush-lines 10000", func(s *syslogNG) { s.flush = 10000 })
	change("threaded", func(s *syslogNG) { s.threaded = true })
	change("parsing", func(s *syslogNG) { s.flags = "" })
	return all
}
