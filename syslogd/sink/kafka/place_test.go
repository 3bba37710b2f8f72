package kafka

import (
	"math/rand/v2"
	"testing"

	"lbsyslogd/syslogd/sink"
)

func TestKey(t *testing.T) {
	k := key{"web-1", sink.Place{Inode: 42, Birth: 1764547200000000001, Offset: 4096}, 212}
	text := string(k.append(nil))
	if want := "web-1/2a-187cee5455690001-1000/212"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if got, ok := parseKey([]byte(text)); !ok || got != k {
		t.Errorf("%q reads as %v %t", text, got, ok)
	}
	for _, bad := range []string{"", "/", "h/1-2-3", "h/1-2-3/0", "h/1-2-3/-4", "h/1-3/4", "h/x-2-3/4", "h/1-x-3/4", "h/1-2-x/4", "h/1-2-3/x", "1-2-3/4", "h/1--2-3/4", "h/1-2--3/4"} {
		if got, ok := parseKey([]byte(bad)); ok {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add([]byte("web-1/2a-187cee5455690001-1000/212"))
	f.Add([]byte("/1-2-3/4"))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, ok := parseKey(in)
		if !ok {
			return
		}
		if again, ok := parseKey(k.append(nil)); !ok || again != k {
			t.Fatalf("%q reads as %v, then %v %t", in, k, again, ok)
		}
	})
}

// Lines in any order, some twice, are one span when all are there, and the gaps are exact when one is not.
func TestSpans(t *testing.T) {
	const lines = 200
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		missing := random.IntN(lines-2) + 1
		var s spans
		again := 0
		for _, i := range append(random.Perm(lines), random.Perm(lines)...) {
			if i == missing {
				continue
			}
			if s.add(int64(i*10), int64(i*10+10)) {
				again++
			}
		}
		if len(s) != 2 || again != lines-1 || s[0] != (span{0, int64(missing * 10)}) || s[1] != (span{int64(missing*10 + 10), lines * 10}) {
			t.Fatalf("without %d: %v, %d again", missing, s, again)
		}
		if s.add(int64(missing*10), int64(missing*10+10)) || len(s) != 1 || s.end() != lines*10 {
			t.Fatalf("with all: %v", s)
		}
	}
}
