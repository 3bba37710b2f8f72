package certs

import "testing"

func TestKnows(t *testing.T) {
	b := newBench(t)
	l := b.listener(Options{Sources: files(b.self("a.pem", "ec", "www.example.org", "*.example.com"), b.self("b.pem", "ec", "Other.example.org"))})
	for name, want := range map[string]bool{
		"www.example.org": true, "WWW.example.org": true, "x.example.com": true, "other.example.org": true,
		"": false, "example.com": false, "x.y.example.com": false, "example.org": false,
	} {
		if got := l.Knows(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
