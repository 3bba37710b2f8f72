package rule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
)

// TestChoiceIsTheFirstThatHolds: a look-up in the place of many conditions gives what
// trying one after the other gives.
func TestChoiceIsTheFirstThatHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	acls := acl.NewACLs()
	for _, line := range []string{"named hdr(host) -i h1 h2", "two hdr(host) h3", "two hdr(host) -i H4", "post method POST"} {
		if err := acls.Define(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 {
		var conds []*acl.Cond
		var text []string
		for range 5 + r.IntN(25) {
			h := func() string { return pick("h", "H") + fmt.Sprint(r.IntN(12)) }
			c := pick("{ hdr(host) -i "+h()+" }", "{ hdr(host) -i "+h()+" "+h()+" }", "{ hdr(host) -i "+h()+" }", "{ hdr(host) "+h()+" }", "{ hdr(host) -i "+h()+" }", "{ hdr(host) -i "+h()+" }")
			if r.IntN(8) == 0 {
				c = pick("named", "two", "!named", "post", "{ hdr(host) -i -m beg "+h()+" }", "{ req.hdr(host),lower "+h()+" }", "{ hdr(host) -i "+h()+" } post", "{ hdr(host) "+h()+" } or { path /x }", "!{ hdr(host) -i "+h()+" }", "{ rand(2) eq 2 }")
			}
			cond, err := acl.ParseCond(strings.Fields(c), acls)
			if err != nil {
				t.Fatal(err)
			}
			conds, text = append(conds, cond), append(text, c)
		}
		choice := acl.NewChoice(conds)
		for n := range 14 {
			hosts := pick("h", "H") + fmt.Sprint(n)
			if r.IntN(3) == 0 {
				hosts += "," + pick("h", "H") + fmt.Sprint(r.IntN(14))
			}
			x := request(t, "GET / HTTP/1.1\nHost: "+hosts)
			want, holds := 0, false
			for i, c := range conds {
				if c.Eval(x) {
					want, holds = i, true
					break
				}
			}
			if got, ok := choice.First(x); got != want || ok != holds {
				t.Errorf("Host: %s finds %d (%v), and one after the other %d (%v) of\n%s", hosts, got, ok, want, holds, strings.Join(text, "\n"))
			}
			if allocs := testing.AllocsPerRun(10, func() { choice.First(x) }); allocs > 0 {
				t.Errorf("%v allocations", allocs)
			}
		}
	}
}

func BenchmarkChoice(b *testing.B) {
	acls := acl.NewACLs()
	var conds []*acl.Cond
	for i := range 10_000 {
		cond, err := acl.ParseCond(strings.Fields(fmt.Sprintf("{ hdr(host) -i host%d.example }", i)), acls)
		if err != nil {
			b.Fatal(err)
		}
		conds = append(conds, cond)
	}
	choice := acl.NewChoice(conds)
	x := request(b, "GET / HTTP/1.1\nHost: HOST9999.example")
	b.ReportAllocs()
	for b.Loop() {
		if n, ok := choice.First(x); !ok || n != 9999 {
			b.Fatal(n, ok)
		}
	}
}
