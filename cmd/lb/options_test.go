package main

import (
	"errors"
	"reflect"
	"testing"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/lb/event"
)

func TestOptionsAreHAProxys(t *testing.T) {
	for _, c := range []struct {
		args []string
		want options
	}{
		{[]string{"-f", "a.cfg", "-f", "b", "-W", "-p", "/run/p", "-S", "/run/m,mode,600"},
			options{files: []string{"a.cfg", "b"}, master: true, pidfile: "/run/p", cli: "/run/m,mode,600"}},
		{[]string{"-Ws", "-f", "a", "-q"}, options{files: []string{"a"}, master: true, systemd: true, quiet: true}},
		{[]string{"-D", "-f", "a", "-sf", "12", "13", "-x", "/s"}, options{files: []string{"a"}, daemon: true, finish: []int{12, 13}, takeFrom: "/s"}},
		{[]string{"-f", "a", "-st", "12 13"}, options{files: []string{"a"}, end: []int{12, 13}}},
		{[]string{"-f", "a", "-sf"}, options{files: []string{"a"}}},
		{[]string{"-f", "a", "-sf", "", "-c"}, options{files: []string{"a"}, check: true}},
		{[]string{"-c", "-q", "-V", "-n", "100", "-C", "/x", "--", "a", "b"},
			options{check: true, maxConn: 100, dir: "/x", files: []string{"a", "b"}}},
		{[]string{"-f", "a", "-L", "me", "-m", "512", "-N", "9", "-dM", "-dMno-merge", "-dr", "-dS", "-dV", "-dKall,cfg", "-db"},
			options{files: []string{"a"}, foreground: true, localPeer: "me", noSplice: true}},
		{[]string{"-f", "a", "-dW", "-C", "/x"}, options{files: []string{"a"}, strict: true, dir: "/x"}},
		{[]string{"-f", "a", "-q", "-d"}, options{files: []string{"a"}, foreground: true}},
		{[]string{"-f", "a", "-vv", "-v"}, options{files: []string{"a"}, version: 2}},
		{[]string{"--help", "-f", "a"}, options{files: []string{"a"}, help: true}},
	} {
		got, err := parse(c.args)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.args, *got, c.want)
		}
	}
}

func TestWrongOptionsAreMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"-Q"}, {"a.cfg"}, {"-f"}, {"-f", "a", "-n", "many"}, {"-f", "a", "-sf", "init"}, {"-f", "a", "-st", "-1", "-2"}, {"-p"}, {"relaod"},
	} {
		_, err := parse(args)
		var wrong usageError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v, want a usage error", args, err)
		}
	}
}

func TestCommandAddress(t *testing.T) {
	for _, c := range []struct{ text, network, address string }{
		{"/run/m.sock,mode,660,uid,0,gid,0", "unix", "/run/m.sock"},
		{"unix@/run/m.sock", "unix", "/run/m.sock"},
		{"fd@5", "fd", "5"},
		{"abns@m", "abns", "m"},
		{"ipv4@127.0.0.1:99", "tcp", "127.0.0.1:99"},
	} {
		w, err := commandAddress(c.text)
		if err != nil || w.Network != c.network || w.Address != c.address {
			t.Errorf("%s: %s %s, %v", c.text, w.Network, w.Address, err)
		}
	}
	if w, err := commandAddress("/m,mode,660"); err != nil || w.Mode != 0o660 {
		t.Errorf("mode %o, %v", w.Mode, err)
	}
	for _, bad := range []string{"/m,mode", "/m,mode,abc", "/m,colour,red", "/m,user,no-such-user-here"} {
		if _, err := commandAddress(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-f\na\n-W\n-S\n/run/m,mode,600")
	f.Add("-sf\n1\n2\n-x")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := parse(splitLines(line))
		if err == nil && o.cli != "" {
			_, _ = commandAddress(o.cli)
		}
	})
}

// What the balancer says as HAProxy does must be what the console takes for it.
func TestAsHAProxyIsOneLevel(t *testing.T) {
	if console.AsHAProxy != event.AsHAProxy {
		t.Errorf("%v and %v", console.AsHAProxy, event.AsHAProxy)
	}
}
