package tables

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSticksAsHAProxy: clients stick to servers by what they send, or by what the servers give them; a server that is down loses them, and one that
// is drained keeps them.
func TestSticksAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
  option redispatch
frontend fe
  bind HTTP
  use_backend responses if { path_beg /headers }
  default_backend be
backend be
  stick-table type string len 20 size 1k expire 100s
  stick on hdr(user) if { hdr(user) -m found }
  stick match hdr(friend) if { hdr(friend) -m found }
  server s1 S1
  server s2 S2
  server s3 S3 non-stick
backend responses
  stick-table type string len 20 size 1k expire 100s
  stick match hdr(token)
  stick store-response res.hdr(x-backend)
  server s1 S1
  server s2 S2
`)
	drive := func(s *subject) (got []string) {
		command := func(c string) {
			if out, err := s.Command(c); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(s.name, c, out, err)
			}
		}
		first := map[string]string{}
		users := []string{"ann", "bob", "cyd", "dan", "eve", "fay"}
		c := s.client(host, false)
		for range 4 {
			for _, user := range users {
				_, server := c.get("/r/a/1", "User: "+user)
				if first[user] == "" || first[user] == "s3" { // s3 does not stick
					first[user] = server
				}
				got = append(got, fmt.Sprint(user, server == first[user]))
			}
		}
		for _, user := range users {
			_, server := c.get("/r/a/1", "Friend: "+user)
			got = append(got, fmt.Sprint(user, " friend ", server == first[user] || first[user] == "s3"))
		}
		// Only those of s1 move when it goes into maintenance; they stay where they went.
		command("set server be/s1 state maint")
		second := map[string]string{}
		for range 2 {
			for _, user := range users {
				_, server := c.get("/r/a/1", "User: "+user)
				got = append(got, fmt.Sprint(user, first[user] == "s2" && server != "s2", server == "s1"))
				second[user] = server
			}
		}
		command("set server be/s1 state ready")
		command("set server be/s2 state drain")
		for _, user := range users {
			_, server := c.get("/r/a/1", "User: "+user)
			got = append(got, fmt.Sprint(user, second[user] == "s2" && server != "s2"))
		}
		command("set server be/s2 state ready")
		// The server's word: a token names it.
		for range 4 {
			c.get("/headers")
		}
		for range 3 {
			for _, token := range []string{"s1", "s2"} {
				_, server := c.get("/headers", "Token: "+token)
				got = append(got, token+server)
			}
		}
		got = append(got, s.settled("responses"))
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("step %d: got %s, want %s", i, got[i], want[i])
		}
	}
}

// TestRedispatchAsHAProxy: a client whose server does not answer any more gets another one, and stays there.
func TestRedispatchAsHAProxy(t *testing.T) {
	behind := servers(t)
	const config = preface + `
frontend fe
  bind HTTP
  default_backend be
backend be
  stick-table type string len 20 size 1k expire 100s
  stick on hdr(user)
  retries 1
  option redispatch
  server s1 S1
  server s2 S2
`
	subjects := []*subject{start(t, built.LB, config, behind)}
	if theirs := startHAProxy(t, config, behind); theirs.tape.Live() {
		subjects = append(subjects, theirs)
	}
	for _, s := range subjects {
		for {
			if _, server := s.client(host, false).get("/r/a/1", "User: ann"); server == "s1" {
				break // else she is on s2, and who comes next is on s1
			}
			if out, err := s.Command("clear table be"); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(s.name, out, err)
			}
		}
	}
	behind[0].Close()
	for _, s := range subjects {
		for range 3 {
			if status, server := s.client(host, false).get("/r/a/1", "User: ann"); status != 200 || server != "s2" {
				t.Errorf("%s: %d by %s", s.name, status, server)
			}
			if got, want := s.settled("be"), "# table: be, type: string, size:1024, used:1\nkey=ann server_id=2 server_key=s2\n"; strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
				t.Errorf("%s: %s", s.name, got)
			}
		}
	}
}

// TestPersistAsHAProxy: with option persist a client tries its server although it is down, by its cookie and by its key; without another server's
// answer it is told so.
func TestPersistAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
  option persist
frontend fe
  bind HTTP
  use_backend cookies if { path_beg /r/cookie }
  default_backend be
backend be
  stick-table type string len 20 size 1k expire 100s
  stick on hdr(user)
  server s1 S1
  server s2 S2
backend cookies
  cookie SRV insert indirect nocache
  server s1 S1 cookie one
  server s2 S2 cookie two
`)
	drive := func(s *subject) (got []string) {
		c := s.client(host, false)
		command := func(command string) {
			if out, err := s.Command(command); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(s.name, out, err)
			}
		}
		command("set table be key ann data.server_id 1")
		for _, state := range []string{"maint", "ready", "drain", "ready"} {
			command("set server be/s1 state " + state)
			command("set server cookies/s1 state " + state)
			for range 2 {
				status, server := c.get("/r/a/1", "User: ann")
				got = append(got, fmt.Sprint(state, status, server))
				status, server = c.get("/r/cookie/1", "Cookie: SRV=one")
				got = append(got, fmt.Sprint(state, status, server))
			}
		}
		return append(got, s.settled("be"))
	}
	want, got := seen(theirs, drive), drive(ours)
	if !slices.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}
