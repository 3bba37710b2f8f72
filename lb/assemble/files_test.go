package assemble

import (
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/config"
)

// TestClientsThatCanBeServed takes no more of them than there are descriptors for.
func TestClientsThatCanBeServed(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	for _, c := range []struct {
		files     uint64
		maxconn   int
		mode      config.Mode
		wantConns int
	}{
		{1000, 0, config.TCP, 450},
		{1000, 0, config.HTTP, 450},
		{1000, 200, config.HTTP, 200},
		{1000, 5000, config.TCP, 450},
		{1000, 5000, config.HTTP, 675},
		{256, 5000, config.HTTP, 117},
		{90, 5000, config.HTTP, 1},
	} {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.files, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		cfg := &config.Config{Proxies: []*config.Proxy{{Frontend: true, Mode: c.mode}}}
		cfg.Global.MaxConn = c.maxconn
		if got := maxConn(cfg); got != c.wantConns {
			t.Errorf("maxconn %d, %d files: %d clients at once, want %d", c.maxconn, c.files, got, c.wantConns)
		}
	}
}
