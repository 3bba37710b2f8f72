package assemble

import (
	"fmt"
	"strings"
	"testing"
)

// manyBackends is a configuration of n backends of two checked servers each.
func manyBackends(n int, front string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\nfrontend f\n  bind %s\n  default_backend b0\n", front)
	for i := range n {
		fmt.Fprintf(&b, "backend b%d\n  server s1 127.0.0.1:1 check inter 1h\n  server s2 127.0.0.1:1 check inter 1h\n", i)
	}
	return b.String()
}

// BenchmarkReload is what a reload of 5,000 backends costs apart from the process's start.
func BenchmarkReload(b *testing.B) {

	text := manyBackends(5000, freeAddr(b))
	g := begin(b, text, nil)
	b.ResetTimer()
	for b.Loop() {
		next := g.follow(b, text)
		next.told(b)
		g.left(b)
		g = next
	}
}
