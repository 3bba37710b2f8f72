package config

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/certs"
)

// What is ignored has no effect, but a line that HAProxy would refuse is
// refused here as well: it is a slip of its author in either.

// argument checks what a keyword without effect says, in HAProxy's manner.
type argument func(c *call, args []string) error

// ignoredArguments are the checks of keywords of the global section that are
// ignored; what is not here takes anything.
func ignoredArguments() map[string]argument {
	none := func(c *call, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("'%s' cannot handle unexpected argument '%s'", c.name, args[0])
		}
		return nil
	}
	// one is a single argument.
	one := func(check func(c *call, word string) error) argument {
		return func(c *call, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("'%s' expects an argument", c.name)
			}
			if len(args) > 1 {
				return fmt.Errorf("'%s' cannot handle unexpected argument '%s'", c.name, args[1])
			}
			return check(c, args[0])
		}
	}
	// within is a number as C reads it.
	within := func(low, high int) argument {
		return one(func(c *call, word string) error {
			_, err := number(c.name, c.numeral(c.name, word, cutsTail|wordIsZero), low, high)
			return err
		})
	}
	among := func(possible ...string) argument {
		return one(func(c *call, word string) error { return oneOf(c.name, word, possible...) })
	}
	whole := one(func(c *call, word string) error {
		if n, err := strconv.ParseInt(word, 10, 64); err != nil || n < -1 {
			return fmt.Errorf("'%s' expects a number, not '%s'", c.name, word)
		}
		return nil
	})
	span := one(func(c *call, word string) error {
		_, err := duration(c.name, c.timed(c.name, word), time.Millisecond)
		return err
	})
	dhParams := one(func(c *call, word string) error {
		text, err := os.ReadFile(c.p.under("", word))
		if err != nil {
			return fmt.Errorf("'%s' : unable to load '%s': %w", c.name, word, plainError(err))
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "DH PARAMETERS" { // not those of X9.42, as HAProxy
				return nil
			}
		}
		return fmt.Errorf("'%s' : unable to load DH parameters from file '%s': it has no PEM block of that name ('openssl dhparam -out %s 2048' makes one)", c.name, word, word)
	})
	experimental := func(check argument) argument {
		return func(c *call, args []string) error {
			if !c.p.experimental {
				return fmt.Errorf("'%s' is experimental in HAProxy, and must be allowed by a line 'expose-experimental-directives' in the global section before", c.name)
			}
			return check(c, args)
		}
	}
	const big = 1<<31 - 1
	integer := within(-big, big)
	checks := map[string]argument{
		"cpu-map":                cpuMap,
		"ssl-dh-param-file":      dhParams,
		"tune.fd.edge-triggered": experimental(among("on", "off")),
		"stats maxconn":          within(1, big),
		"thread-groups": one(func(c *call, word string) error {
			_, err := number(c.name, word, 1, 16) // 2.6 has one
			return err
		}),
		"profiling.tasks":                among("on", "auto", "off"),
		"tune.comp.maxlevel":             within(1, 9),
		"tune.h2.header-table-size":      within(4096, 65536),
		"tune.h2.max-frame-size":         within(16384, 16777215),
		"tune.peers.max-updates-at-once": within(1, big),
		"tune.ssl.default-dh-param": one(func(c *call, word string) error {
			n, err := number(c.name, c.numeral(c.name, word, cutsTail|wordIsZero), -big, big)
			if err == nil && n >= 0 && n < 1024 {
				return fmt.Errorf("'%s' expects a value >= 1024, not '%s'", c.name, word)
			}
			return err
		}),
	}
	for _, group := range []struct {
		check argument
		names string
	}{
		{none, "strict-limits busy-polling no-memory-trimming noepoll nopoll nokqueue noevports nogetaddrinfo noreuseport quiet tune.ssl.force-private-cache"},
		{integer, "fd-hard-limit ulimit-n maxzlibmem maxpipes tune.pipesize tune.buffers.limit tune.buffers.reserve tune.http.cookielen tune.http.logurilen tune.maxpollevents tune.maxaccept tune.recv_enough tune.runqueue-depth tune.rcvbuf.client tune.rcvbuf.server tune.sndbuf.client tune.sndbuf.server"},
		{within(0, big), "tune.maxrewrite tune.pattern.cache-size tune.h2.initial-window-size tune.h2.max-concurrent-streams tune.ssl.cachesize tune.ssl.hard-maxrecord tune.ssl.maxrecord"},
		{within(0, 100), "tune.pool-high-fd-ratio tune.pool-low-fd-ratio"},
		{among("on", "off"), "tune.listener.multi-queue tune.sched.low-latency tune.idle-pool.shared tune.ssl.keylog"},
		{span, "grace tune.idletimer tune.ssl.lifetime tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout"},
		{whole, "tune.lua.forced-yield tune.lua.maxmem tune.vars.check-max-size tune.vars.global-max-size tune.vars.proc-max-size tune.vars.reqres-max-size tune.vars.sess-max-size tune.vars.txn-max-size"},
		{one(func(*call, string) error { return nil }), "ssl-default-server-ciphersuites"},
	} {
		for name := range strings.FieldsSeq(group.names) {
			checks[name] = group.check
		}
	}
	return checks
}

// threadSet checks all, odd, even, N or N-M, up to a highest number.
func threadSet(word string, high int) error {
	if slices.Contains([]string{"all", "odd", "even"}, word) {
		return nil
	}
	first, last, _ := strings.Cut(word, "-")
	for i, one := range []string{first, last} {
		if i == 1 && one == "" { // no range, or one without an end
			continue
		}
		if n, err := strconv.Atoi(one); err != nil || n < 1 || n > high {
			return fmt.Errorf("'%s' is not a valid number/range. It supports numbers from 1 to %d", word, high)
		}
	}
	return nil
}

// cpuMap checks [auto:]<process>[/<thread>] <cpu>[-<cpu>][,...] ...
func cpuMap(_ *call, args []string) error {
	if len(args) < 2 {
		return errors.New("cpu-map expects a process number ('all', 'odd', 'even', a number from 1 to 64 or a range), followed by a list of CPU ranges")
	}
	const most = 64
	set, _ := strings.CutPrefix(args[0], "auto:")
	process, thread, both := strings.Cut(set, "/")
	err := threadSet(process, most)
	if err == nil && both {
		err = threadSet(thread, most)
	}
	if err != nil {
		return fmt.Errorf("cpu-map : %w", err)
	}
	for _, list := range args[1:] {
		for cpus := range strings.SplitSeq(list, ",") {
			first, last, _ := strings.Cut(strings.TrimRight(cpus, ";"), "-")
			for i, one := range []string{first, last} {
				if n, err := strconv.Atoi(one); (i == 0 || one != "") && (err != nil || n < 0 || n > 1023) {
					return fmt.Errorf("cpu-map : '%s' is not a CPU range; CPU numbers go from 0 to 1023", cpus)
				}
			}
		}
	}
	return nil
}

// checkIgnored gives the rows of ignored keywords the checks of their
// arguments.
func checkIgnored(table []row[*Global]) []row[*Global] {
	checks := ignoredArguments()
	for i := range table {
		r := &table[i]
		if check := checks[r.name]; check != nil && r.status == Ignored && r.apply == nil {
			r.apply = func(c *call, _ *Global) error { return check(c, c.args) }
		}
	}
	return table
}

// onBindThreads checks process and thread: <set>, or <group>/<set>.
func onBindThreads(c *call, _ *bindDraft) error {
	const most, groups = 64, 16 // groups: of newer versions; 2.6 has one
	group, set, both := strings.Cut(c.args[0], "/")
	high := most
	if c.name == "process" { // of which there is one
		high = 1
	}
	if !both {
		return threadError(c, threadSet(group, high))
	}
	if err := threadSet(group, groups); err != nil {
		return threadError(c, err)
	}
	return threadError(c, threadSet(set, most))
}

func threadError(c *call, err error) error {
	if err != nil {
		return fmt.Errorf("'%s' : %w", c.name, err)
	}
	return nil
}

// preferClient says where the order of a client's ciphers counts.
const preferClient = "of `ciphersuites`, the client's first is taken; of TLS 1.2's, and without that word, the best by the hardware of both"

// parseSuites reads ciphersuites, in their order.
func parseSuites(what, list string) (ids []uint16, err error) {
	if err := checkSuites(what, list); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(list, ":") {
		if id, ok := certs.Suites13[name]; ok {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil, fmt.Errorf("'%s' : none of '%s' is available here: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256 are", what, list)
	}
	return ids, nil
}

// suites13 checks ciphersuites: one of TLS 1.3's has to be among them.
func suites13(c *call) error { return checkSuites(c.name, c.args[0]) }

func checkSuites(what, list string) error {
	known := []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"}
	for name := range strings.SplitSeq(list, ":") {
		if slices.Contains(known, name) {
			return nil
		}
	}
	return fmt.Errorf("'%s' : unable to set TLS 1.3 cipher suites to '%s': none of '%s' is among them", what, list, strings.Join(known, "', '"))
}
