package health

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// What is asked first over a connection of each kind is what HAProxy 2.6 sends.
func TestFirstBytes(t *testing.T) {
	run := func(name string, spec Spec, want string) {
		t.Helper()
		got := make(chan string, 1)
		spec.Network, spec.Inter = "tcp", 5*time.Second
		spec.Address = server(t, func(c net.Conn) {
			buf := make([]byte, 4096)
			n, _ := c.Read(buf)
			select {
			case got <- string(buf[:n]):
			default:
			}
		})
		probe(t.Context(), &spec, true)
		first := <-got
		from, to := "", ""
		if f := strings.Fields(first); len(f) > 5 {
			from, to = f[4], f[5]
		}
		if want = strings.NewReplacer("FROM", from, "TO", to).Replace(want); first != want {
			t.Errorf("%s: %q, want %q", name, first, want)
		}
	}
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	run("redis", Spec{Script: Redis()}, "*1\r\n$4\r\nPING\r\n")
	run("mysql", Spec{Script: MySQL("root", false)}, "&\x00\x00\x01\x00\x82\x00\x00\x00\x80\x00\x01!"+strings.Repeat("\x00", 23)+"root\x00\x00\x01\x00\x00\x00\x01")
	run("mysql before 4.1", Spec{Script: MySQL("root", true)}, "\x0b\x00\x00\x01\x00\x80\x00\x00\x01root\x00\x00\x01\x00\x00\x00\x01")
	run("postgresql", Spec{Script: PostgreSQL("post")}, "\x00\x00\x00\x13\x00\x03\x00\x00user\x00post\x00\x00")
	run("ldap", Spec{Script: LDAP()}, unhex("300c020101600702010304008000"))
	run("agent", Spec{Agent: true, Script: Script{Steps: []Step{{Send: []byte("hello\n")}}}}, "hello\n")
	send := Script{Kind: TCP, Steps: []Step{{Connect: &Connect{Default: true}}, {Expect: &Expect{Text: []byte("x")}}}}
	run("PROXY header", Spec{ProxyHeader: 1, Script: send}, "PROXY TCP4 127.0.0.1 127.0.0.1 FROM TO\r\n")
	run("PROXY header, version 2", Spec{ProxyHeader: 2, Script: send}, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
	run("state", Spec{Script: asks(Request{}, Expect{}), State: func() string { return "UP; name=b/s" }},
		"OPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP; name=b/s\r\n\r\n")
	hello := SSLHello().Steps[0].Send
	copy(hello[11:15], "time")
	if want := unhex("160300007901000075030074696d65") + "HAPROXYSSLCHK\nHAPROXYSSLCHK\n"; !bytes.HasPrefix(hello, []byte(want)) || len(hello) != 5+0x79 {
		t.Errorf("hello: %x", hello)
	}
}

// A negative expectation before others sees all that they wait for.
func TestChainOfExpectations(t *testing.T) {
	script := Script{Kind: TCP, Steps: []Step{
		{Number: 1, Expect: &Expect{Text: []byte("-ERR"), Not: true, MinRecv: 1}},
		{Number: 2, Expect: &Expect{Text: []byte("done")}},
	}}
	run := func(want Status, parts ...string) {
		t.Helper()
		addr := server(t, func(c net.Conn) {
			for _, p := range parts {
				fmt.Fprint(c, p)
				<-time.After(20 * time.Millisecond) // so that they come one by one
			}
		})
		if r := probe(t.Context(), &Spec{Network: "tcp", Address: addr, Inter: 5 * time.Second, Script: script}, true); r.status != want {
			t.Errorf("%q: %v %q, want %v", parts, r.status, r.info, want)
		}
	}
	run(L7OK, "+OK ", "do", "ne")
	run(L7RSP, "+OK ", "-ERR ", "done")
}

// A line of an agent: words in any order, the last of a kind counts.
func TestAgentLine(t *testing.T) {
	run := func(line string, status Status, info string, o Orders) {
		t.Helper()
		if r := parseAgent(line); r.status != status || r.info != info || r.orders != o {
			t.Errorf("%q: %v %q %+v, want %v %q %+v", line, r.status, r.info, r.orders, status, info, o)
		}
	}
	none := Orders{Weight: -1, MaxConn: -1}
	with := func(f func(*Orders)) Orders { o := none; f(&o); return o }
	run("", Checked, "", none)
	run("up", L7OK, "via agent : up", with(func(o *Orders) { o.Health = 1 }))
	run("UP,ready 75%", L7OK, "via agent : UP", with(func(o *Orders) { o.Health, o.Admin, o.Weight = 1, OrderReady, 75 }))
	run("down # disk full", L7STS, "via agent : down (disk full)", with(func(o *Orders) { o.Health = -1 }))
	run("up down", L7STS, "via agent : down", with(func(o *Orders) { o.Health = -1 }))
	run("stopped fail", L7STS, "via agent : fail", with(func(o *Orders) { o.Health = -1 }))
	run("drain\tmaxconn:30", Checked, "", with(func(o *Orders) { o.Admin, o.MaxConn = OrderDrain, 30 }))
	run("maint", Checked, "", with(func(o *Orders) { o.Admin = OrderMaint }))
	run("banana", Checked, "agent reports an error : banana", none)
	run("75%x", Checked, "agent warns : Trailing garbage in weight string", none)
	run("maxconn:x", Checked, "agent warns : Trailing garbage in maxconn string", none)
	run("up#x", Checked, "agent reports an error : up#x", none)
	run("99999999999%", Checked, "agent warns : Trailing garbage in weight string", none)
	run("up a\x01b", L7OK, "via agent : up (a\x01b)", with(func(o *Orders) { o.Health = 1 }))
}

// TestAgentsEnd: an agent that closes in the middle of its line has said nothing.
func TestAgentsEnd(t *testing.T) {
	for said, want := range map[string]string{"up": "Ignoring incomplete line from agent", "": "TCPCHK got an empty response at step 2"} {
		addr := server(t, func(c net.Conn) { fmt.Fprint(c, said) })
		r := probe(t.Context(), &Spec{Network: "tcp", Address: addr, Inter: 5 * time.Second, Agent: true}, true)
		if none := (Orders{Weight: -1, MaxConn: -1}); r.info != want || r.orders != none {
			t.Errorf("%q: %v %q %+v, want %q", said, r.status, r.info, r.orders, want)
		}
	}
}

func FuzzAgentLine(f *testing.F) {
	for _, s := range []string{"up", "down # x", "75%,ready", "maxconn:30 drain", "#", ",,,", "1%%", "maxconn:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := parseAgent(line)
		if strings.ContainsAny(r.info, "\r\n\"") {
			t.Errorf("%q: info %q", line, r.info)
		}
		if r.orders.Weight < -1 || r.orders.MaxConn < -1 || r.status != Checked && r.status != L7OK && r.status != L7STS {
			t.Errorf("%q: %v %+v", line, r.status, r.orders)
		}
	})
}

// FuzzProtocols lets servers say anything to the checks that take packets
// apart.
func FuzzProtocols(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"), true)
	f.Add([]byte("\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x31\x04\x00\x04\x00"), true)
	f.Add([]byte("\x0f\x00\x00\x00\xffj\x04Host blocked"), false)
	f.Add([]byte("\x01\x00\x00\x00\x0a\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"), false)
	var customs []*Expect
	for _, script := range []Script{LDAP(), SPOP(), MySQL("", false), MySQL("root", false), MySQL("root", true)} {
		for _, s := range script.Steps {
			if s.Expect != nil && s.Expect.Custom != nil {
				customs = append(customs, s.Expect)
			}
		}
	}
	var notes []*Expect
	for _, script := range []Script{Redis(), SMTP("HELO x"), PostgreSQL("x")} {
		for _, s := range script.Steps {
			if s.Expect != nil {
				notes = append(notes, s.Expect)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, last bool) {
		for _, e := range customs {
			if v := e.Custom(data, last); v.More && last {
				t.Errorf("%x: wants more of what has ended", data)
			}
		}
		for _, e := range notes {
			for _, note := range []func([]byte) string{e.OnOK, e.OnBad} {
				if note != nil {
					note(data)
				}
			}
			if e.Code != nil {
				e.Code(data)
			}
		}
	})
}

// Errors of the traffic count as on-error says.
func TestTrouble(t *testing.T) {
	run := func(do OnError, health, want int, reported bool) {
		t.Helper()
		c := New(Spec{Rise: 2, Fall: 3}, health, func(Report) {})
		r, ok := c.trouble(Trouble{Do: do, Errors: 10, Last: "Wrong http response"})
		if h, _, _ := c.Health(); h != want || ok != reported {
			t.Errorf("on-error %d from %d: health %d, reported %v; want %d, %v", do, health, h, ok, want, reported)
		}
		if ok && (r.Status != Observed || r.Info != "Detected 10 consecutive errors, last one was: Wrong http response") {
			t.Errorf("reported %v %q", r.Status, r.Info)
		}
	}
	run(FastInter, 4, 4, false)
	run(FailCheck, 4, 3, true)
	run(FailCheck, 2, 0, true)
	run(SuddenDeath, 4, 2, true)
	run(SuddenDeath, 3, 2, true)
	run(MarkDown, 4, 0, true)
}

// TestRequestLengths: a method that may have a body is sent with its length, also when that is none.
func TestRequestLengths(t *testing.T) {
	for method, want := range map[string]string{
		"GET": "", "HEAD": "", "OPTIONS": "", "DELETE": "", "POST": "content-length: 0\r\n", "PUT": "content-length: 0\r\n", "RPC_IN_DATA": "content-length: 0\r\n",
	} {
		c := &run{spec: &Spec{}}
		if got := string(c.request(&Request{Method: method})); got != method+" / HTTP/1.0\r\n"+want+"\r\n" {
			t.Errorf("%q", got)
		}
	}
}
