package backend

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

// newBackend has servers s1, s2, ... of the given weights, all up and without
// a limit.
func newBackend(o Options, weights ...int) *Backend {
	var servers []*Server
	for i, w := range weights {
		s := &Server{Name: fmt.Sprint("s", i+1), ID: i + 1, Index: i, MaxConn: Unlimited}
		s.SetInitial(w, 0, true)
		servers = append(servers, s)
	}
	return New(o, servers)
}

// pick is the ID of the server that a hash is given, whose place is released
// at once.
func pick(t *testing.T, b *Backend, hash uint32, avoid *Server) int {
	t.Helper()
	s, got := b.Pick(hash, avoid)
	if got != Picked {
		t.Fatalf("no server: outcome %d", got)
	}
	b.Release(s)
	return s.ID
}

// TestHAProxyHash compares with what HAProxy chose, so that a cache or a
// client stays with its server when lb takes HAProxy's place.
func TestHAProxyHash(t *testing.T) {
	text, err := os.ReadFile("testdata/haproxy-hash.txt")
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string][]uint32{}
	cases := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch f[0] {
		case "uri":
			path, _, _ := strings.Cut(f[1], "?")
			hashes["uri"] = append(hashes["uri"], HashBytes([]byte(path)))
		case "addr":
			hashes["source"] = append(hashes["source"], HashAddr(netip.MustParseAddr(f[1])))
		case "case":
			cases++
			checkHash(t, f[1:], hashes[f[1]])
		}
	}
	if cases != 32 {
		t.Errorf("%d cases read, want 32", cases)
	}
}

// checkHash checks one row: balance, hash-type, weights, answers.
func checkHash(t *testing.T, row []string, hashes []uint32) {
	t.Helper()
	o := Options{Algo: Source, Consistent: row[1] == "consistent"}
	if row[0] == "uri" {
		o.Algo = URI
	}
	b := newBackend(o, ints(t, row[2])...)
	want := ints(t, row[3])
	if len(want) != len(hashes) || len(want) == 0 {
		t.Fatalf("%d answers to %d questions", len(want), len(hashes))
	}
	for i, h := range hashes {
		if o.Consistent {
			h = FullHash(h) // which it has unless the line names a function
		}
		if got := pick(t, b, h, nil); got != want[i] {
			t.Errorf("%s %s weights %s, question %d: server %d, HAProxy chose %d", row[0], row[1], row[2], i, got, want[i])
			return
		}
	}
}

func ints(t *testing.T, s string) (out []int) {
	t.Helper()
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// TestHashStability: who stays up keeps its share when another leaves
// (consistent), and everything is as before when it returns (both).
func TestHashStability(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		b := newBackend(Options{Algo: URI, Consistent: consistent}, 10, 20, 30, 40)
		const n = 4000
		where := func() (ids [n]int) {
			for i := range ids {
				ids[i] = pick(t, b, HashBytes(fmt.Appendf(nil, "/page/%d", i)), nil)
			}
			return ids
		}
		before := where()
		b.Servers[1].SetHealth(false)
		during := where()
		b.Servers[1].SetHealth(true)
		if after := where(); after != before {
			t.Errorf("consistent %v: a server's return does not restore the placement", consistent)
		}
		moved := 0
		for i := range before {
			if during[i] == 2 {
				t.Fatalf("consistent %v: a server that is down was chosen", consistent)
			}
			if before[i] != 2 && during[i] != before[i] {
				moved++
			}
		}
		if consistent && moved > 0 {
			t.Errorf("%d of %d moved though their server stayed", moved, n)
		}
	}
}

func TestHashAvoid(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		b := newBackend(Options{Algo: URI, Consistent: consistent}, 1, 1, 1)
		for h := range uint32(1000) {
			h *= 2654435761
			s := b.Servers[pick(t, b, h, nil)-1]
			if pick(t, b, h, s) == s.ID {
				t.Fatalf("consistent %v, hash %d: the server to be avoided was chosen", consistent, h)
			}
		}
		one := newBackend(Options{Algo: URI, Consistent: consistent}, 1)
		if pick(t, one, 7, one.Servers[0]) != 1 {
			t.Error("the only server must be taken even if it is to be avoided")
		}
	}
}

// TestHashFull: a hash names its server even when that is full, so that the
// request can wait for it instead of losing its cache.
func TestHashFull(t *testing.T) {
	b := newBackend(Options{Algo: URI}, 1, 1)
	for _, s := range b.Servers {
		s.MaxConn = 1
	}
	s, got := b.Pick(0, nil)
	if got != Picked {
		t.Fatal("no place on an idle server")
	}
	if again, got := b.Pick(0, nil); got != Full || again != s {
		t.Errorf("the second request got %v, %d; want the same server, full", again, got)
	}
	if other, got := b.Pick(1, nil); got != Picked || other == s {
		t.Errorf("another hash got %v, %d; want the other server", other, got)
	}
}

func TestWeightOfOneUnit(t *testing.T) {
	// A weight that is set at run time need not be a multiple of the unit.
	b := newBackend(Options{Algo: Source}, 100, 50)
	b.Servers[1].SetWeight(1)
	if n := len(b.hashes.slots); n != 3 {
		t.Errorf("%d slots, want 2 and, rounded up, 1", n)
	}
	b.Servers[0].SetWeight(0)
	for h := range uint32(10) {
		if pick(t, b, h, nil) != 2 {
			t.Error("a server of weight 0 was chosen")
		}
	}
}

// TestBoundedLoad: no server carries more than its part by the factor, though all requests hash to it.
func TestBoundedLoad(t *testing.T) {
	b := newBackend(Options{Algo: Key, Consistent: true, BalanceFactor: 150}, 10, 10, 20)
	n := map[int]int{}
	for range 40 {
		s, got := b.Pick(FullHash(7), nil)
		if got != Picked {
			t.Fatalf("outcome %d", got)
		}
		n[s.ID]++
	}
	for id, most := range map[int]int{1: 16, 2: 16, 3: 31} { // half more than a quarter, and than a half, of 40
		if n[id] > most {
			t.Errorf("server %d has %d of 40 requests, at most %d are its part", id, n[id], most)
		}
	}
}

// TestHashFuncs has values of HAProxy's functions.
func TestHashFuncs(t *testing.T) {
	for name, want := range map[string]uint32{"djb2": 193485963, "crc32": 0x352441c2, "sdbm": 807794786} {
		if got := HashFuncs[name]([]byte("abc")); got != want {
			t.Errorf("%s(abc) = %d, want %d", name, got, want)
		}
	}
}

func BenchmarkHashRing(b *testing.B) {
	be := newBackend(Options{Algo: URI, Consistent: true}, 100, 100, 100, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s, _ := be.Pick(uint32(i)*2654435761, nil)
		be.Release(s)
	}
}
