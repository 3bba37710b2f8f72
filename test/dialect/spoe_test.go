package dialect

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
)

// spoa is an agent that sets txn.PREFIX.saw to what it was told, in words, and sess.PREFIX.ip to the first address in it. A message called "bad" ends the
// connection, one called "slow" has no answer.
func spoa(t *testing.T) (addr string) {
	t.Helper()
	return accept.Each(t, host+":0", func(c net.Conn) {
		serveSPOP(c)
	})
}

func serveSPOP(c net.Conn) {
	text := func(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }
	send := func(body []byte) { c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)) }
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		switch b[0] {
		case 1:
			out := append([]byte{101, 0, 0, 0, 1, 0, 0}, text(nil, "version")...)
			out = append(text(append(out, 8), "2.0"), text(nil, "max-frame-size")...)
			out = append(append(out, 3), 0xf0, 0xf1, 0x01)
			out = append(out, text(nil, "capabilities")...)
			send(text(append(out, 8), "pipelining"))
		case 2:
			return
		case 3:
			r := &words{b: b[5:]}
			stream, frame := r.varint(), r.varint()
			saw, ip := r.messages()
			if strings.Contains(saw, "bad(") {
				return
			}
			if strings.Contains(saw, "slow(") {
				continue
			}
			out := []byte{103, 0, 0, 0, 1}
			out = appendVarint(appendVarint(out, stream), frame)
			out = append(text(append(out, 1, 3, 2), "saw"), 8)
			out = append(appendVarint(out, uint64(len(saw))), saw...)
			if ip != nil {
				out = append(text(append(out, 1, 3, 1), "ip"), 6)
				out = append(out, ip...)
			}
			out = append(text(append(out, 1, 3, 2), "yes"), 0x11)
			out = append(text(append(out, 1, 3, 3), "n"), 4)
			out = appendVarint(out, 300)
			out = text(append(out, 2, 2, 2), "gone")
			send(out)
		}
	}
}

func appendVarint(b []byte, n uint64) []byte {
	if n < 240 {
		return append(b, byte(n))
	}
	b = append(b, byte(n)|240)
	for n = (n - 240) >> 4; n >= 128; n = (n - 128) >> 7 {
		b = append(b, byte(n)|128)
	}
	return append(b, byte(n))
}

// words reads a NOTIFY frame's payload.
type words struct{ b []byte }

func (r *words) next() byte {
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *words) varint() uint64 {
	n := uint64(r.next())
	if n < 240 {
		return n
	}
	for shift := 4; ; shift += 7 {
		c := r.next()
		n += uint64(c) << shift
		if c < 128 {
			return n
		}
	}
}

func (r *words) take(n uint64) []byte {
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *words) messages() (saw string, ip []byte) {
	for len(r.b) > 0 {
		saw += string(r.take(r.varint())) + "("
		for n := r.next(); n > 0; n-- {
			saw += string(r.take(r.varint())) + "="
			switch c := r.next(); c & 15 {
			case 0:
				saw += "null"
			case 1:
				saw += strconv.FormatBool(c&16 != 0)
			case 2, 3, 4, 5:
				saw += strconv.FormatInt(int64(r.varint()), 10)
			case 6:
				ip = r.take(4)
				saw += net.IP(ip).String()
			case 8:
				saw += strconv.Quote(string(r.take(r.varint())))
			case 9:
				saw += "0x" + strconv.Quote(string(r.take(r.varint())))
			}
			saw += ","
		}
		saw += ")"
	}
	return saw, ip
}

// TestSPOE: an agent is told of requests what HAProxy tells it, and rules see what it made of them.
func TestSPOE(t *testing.T) {
	agent := spoa(t)
	theirs, ours := both(t, preface("", "LINE %ST %ts %HU %s")+`
frontend fe
  bind HTTP
  filter spoe engine first config DIR/spoe.conf
  filter spoe engine second config DIR/spoe.conf
  http-request set-header X-Early "%[var(txn.one.saw)] %[var(sess.one.ip)] %[var(txn.one.yes)] %[var(req.one.n)]"
  http-request set-var(txn.two.gone) str(here)
  http-request wait-for-body time 1s if { path_beg /headers/body }
  http-request send-spoe-group second group if { path_beg /headers/group /headers/body }
  http-request set-header X-Group "%[var(txn.two.saw)] %[var(txn.two.gone)] %[var(txn.two.yes)]"
  http-request send-spoe-group second broken if { path_beg /headers/bad }
  http-request send-spoe-group second slow if { path_beg /headers/slow }
  http-request send-spoe-group second group if { path_beg /headers/bad /headers/slow }
  http-request set-header X-Error "%[var(txn.two.failed)] %[var(txn.two.saw)]"
  http-request deny deny_status 403 if { var(txn.one.saw) -m sub forbidden }
  use_backend away if { path_beg /headers/back }
  default_backend be
backend be
  server s1 S1
backend away
  filter spoe config DIR/back.conf
  http-request set-header X-Back "%[var(txn.ag.saw)] %[req.hdr(x-early),length]"
  server s2 S2
backend agents
  mode tcp
  server a1 `+agent+`
`, map[string]string{"spoe.conf": `
[first]
spoe-agent one
  messages start check never
  option pipelining
  timeout hello 2s
  timeout idle 30s
  timeout processing 5s
  use-backend agents
spoe-message start
  args path method ip=src str(x) int(-5) none=req.hdr(none) yes=bool(true) hex=str(ab),sha1 n=int(1000000)
  event on-frontend-tcp-request
spoe-message check
  acl wanted path_beg /headers /forbidden
  args who=req.hdr(x-who) host=hdr(host)
  event on-frontend-http-request if wanted
spoe-message never
  args path
  event on-frontend-http-request if { path /never }
[second]
spoe-agent another
  groups group broken slow
  option var-prefix two
  option set-on-error failed
  no option async
  timeout hello 2s
  timeout idle 30s
  timeout processing 1500ms
  use-backend agents
spoe-message told
  args body=req.body len=req.body_len
spoe-message bad
  args path
spoe-message slow
  args path
spoe-group group
  messages told
spoe-group broken
  messages bad
spoe-group slow
  messages slow
`, "back.conf": `
spoe-agent ag
  messages m
  option continue-on-error
  timeout hello 2s
  timeout idle 30s
  timeout processing 5s
  use-backend agents
spoe-message m
  args path who=req.hdr(x-early),length
  event on-backend-http-request
`})
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, path := range []string{"/headers/a", "/headers/a?b", "/headers/group", "/headers/bad", "/headers/slow", "/headers/back", "/headers/bad/back", "/forbidden", "/echo"} {
			requests++
			got = append(got, path+": "+s.get(path, "X-Who: me"))
		}
		c := s.dial(s.addr)
		for _, body := range []string{"a=1", strings.Repeat("0123456789", 100)} {
			requests++
			got = append(got, c.do("POST /headers/body HTTP/1.1\r\nHost: a\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}
