package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
)

// TestBackendsCostLittle: thousands of backends are read at each reload, and
// what was read of them is kept as long as the worker lives.
func TestBackendsCostLittle(t *testing.T) {
	read := func(backends int) (bytes, objects uint64, c *Config) {
		var text strings.Builder
		text.WriteString("defaults\n  mode http\n" + timeouts + "listen f\n  bind :80\n")
		for i := range backends {
			fmt.Fprintf(&text, "backend b%d\n  server s1 127.0.0.1:80 check inter 2s\n  server s2 127.0.0.1:81 check inter 2s\n", i)
		}
		sources := []cfgfile.Source{{Name: "large.cfg", Data: []byte(text.String())}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := LoadSources(sources, Options{Environ: []string{}})
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, c
	}
	const few, many = 200, 1200
	read(few) // what is made once
	fewBytes, fewObjects, _ := read(few)
	manyBytes, manyObjects, c := read(many)
	bytes, objects := (manyBytes-fewBytes)/(many-few), (manyObjects-fewObjects)/(many-few)
	t.Logf("a backend of two servers: %d bytes, %d objects", bytes, objects)
	if bytes > 6000 || objects > 28 {
		t.Errorf("a backend of two servers costs %d bytes in %d objects while it is read, want at most 6000 in 28", bytes, objects)
	}

	// What is kept: the proxy and its servers, no more of them than there are.
	runtime.GC()
	runtime.GC() // what finalizers and pools had held
	var kept, freed runtime.MemStats
	runtime.ReadMemStats(&kept)
	runtime.KeepAlive(c)
	c = nil
	runtime.GC()
	runtime.ReadMemStats(&freed)
	if bytes := (kept.HeapAlloc - freed.HeapAlloc) / many; bytes > 3800 {
		t.Errorf("a backend of two servers keeps %d bytes, want at most 3800", bytes)
	} else {
		t.Logf("and keeps %d", bytes)
	}
}
