package assemble

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/wait"
)

// script makes a program of a shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "check")
	syscall.ForkLock.Lock() // no child that is being started may hold it open for writing
	defer syscall.ForkLock.Unlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExternalChecksAsHAProxy compares what both make of programs' ends.
func TestExternalChecksAsHAProxy(t *testing.T) {
	c := comparison{but: map[string]string{"missing": "last_chk"}} // HAProxy does not say why
	c.text.WriteString("global\n  external-check\n  insecure-fork-wanted\n")
	add := func(name, command string, lines ...string) {
		c.add(name, "check", "192.0.2.1:80", append(lines, "option external-check", "external-check command "+command)...)
	}
	add("good", script(t, "exit 0"))
	add("bad", script(t, "exit 3"))
	add("signal", script(t, "kill -9 $$"))
	add("late", script(t, "exec sleep 100000"), "external-check path /usr/bin:/bin")
	add("name", "true", "external-check path /usr/bin:/bin")
	add("missing", "/nowhere/at/all")
	c.run(t, nil)
}

// Arguments and variables are those that HAProxy 2.6.12 was seen to give.
func TestExternalCheckArguments(t *testing.T) {
	dir, front := t.TempDir(), freeAddr(t)
	told := script(t, `{ echo "args $*"; tr '\0' '\n' </proc/$$/environ; echo end; } >`+dir+`/$HAPROXY_PROXY_NAME-$HAPROXY_SERVER_NAME.new
mv `+dir+`/$HAPROXY_PROXY_NAME-$HAPROXY_SERVER_NAME.new `+dir+`/$HAPROXY_PROXY_NAME-$HAPROXY_SERVER_NAME`)
	begin(t, `global
  external-check
  insecure-fork-wanted
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  option external-check
  external-check path /usr/bin:/bin
  external-check command `+told+`
  default-server inter 1s
listen l
  bind `+front+`
  server six [::1]:86 check maxconn 20
  server elsewhere 127.0.0.1:85 check port 8500 addr 127.0.0.9
listen u
  id 33
  bind `+dir+`/front
  server path unix@`+dir+`/back check id 44
backend b
  mode http
  server s 127.0.0.1:92 check ssl verify none
`, nil)
	for name, wants := range map[string][]string{
		"l-six": {"args 127.0.0.1 " + portOf(front) + " ::1 86", "HAPROXY_PROXY_ADDR=127.0.0.1", "HAPROXY_PROXY_PORT=" + portOf(front), "HAPROXY_SERVER_ADDR=::1", "HAPROXY_SERVER_PORT=86", "HAPROXY_SERVER_MAXCONN=20",
			"HAPROXY_SERVER_CURCONN=0", "HAPROXY_SERVER_ID=1", "HAPROXY_SERVER_SSL=0", "HAPROXY_SERVER_PROTO=tcp", "PATH=/usr/bin:/bin"},
		"l-elsewhere": {"args 127.0.0.1 " + portOf(front) + " 127.0.0.1 85", "HAPROXY_SERVER_ID=2", "HAPROXY_SERVER_MAXCONN=0"},
		"u-path": {"args " + dir + "/front NOT_USED " + dir + "/back NOT_USED", "HAPROXY_PROXY_ADDR=" + dir + "/front", "HAPROXY_PROXY_PORT=", "HAPROXY_PROXY_ID=33",
			"HAPROXY_SERVER_ID=44", "HAPROXY_SERVER_ADDR=" + dir + "/back", "HAPROXY_SERVER_PORT="},
		"b-s": {"args NOT_USED NOT_USED 127.0.0.1 92", "HAPROXY_PROXY_ADDR=", "HAPROXY_PROXY_PORT=", "HAPROXY_SERVER_SSL=1", "HAPROXY_SERVER_PROTO=h1"},
	} {
		var text []byte
		wait.Until(t, "the program's run for "+name, func() (ok bool) {
			var err error
			text, err = os.ReadFile(filepath.Join(dir, name))
			return err == nil
		})
		lines := strings.Split(string(text), "\n")
		for _, want := range wants {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", name, want, text)
			}
		}
		if strings.Contains(string(text), "HOME=") {
			t.Errorf("%s: the program has lb's environment:\n%s", name, text)
		}
	}
}
