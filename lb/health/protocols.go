package health

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/spop"
)

// This file holds the checks that know a protocol: they say what HAProxy's say,
// byte for byte, and come to the same results.

// numbered counts steps as messages do.
func numbered(steps ...Step) Script {
	for i := range steps {
		steps[i].Number = i + 1
	}
	return Script{Kind: Protocol, Steps: steps}
}

// firstLine is data up to its first line end.
func firstLine(data []byte) string {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		data = data[:i]
	}
	return string(data)
}

func fixed(text string) func([]byte) string { return func([]byte) string { return text } }

// from gives what came from byte i on, up to a NUL.
func from(i int) func([]byte) string {
	return func(data []byte) string { return cString(data[min(i, len(data)):]) }
}

// cString is data up to a NUL.
func cString(data []byte) string {
	text, _, _ := bytes.Cut(data, []byte{0})
	return string(text)
}

// mysqlVersion is the server's version, out of its greeting.
func mysqlVersion(data []byte) string { return cString(data[min(5, len(data)):]) }

// Redis is option redis-check.
func Redis() Script {
	return numbered(
		Step{Send: []byte("*1\r\n$4\r\nPING\r\n")},
		Step{Expect: &Expect{Text: []byte("+PONG\r\n"), Bad: L7STS, OnBad: firstLine, OnOK: fixed("Redis server is ok")}},
	)
}

// SSLHello is option ssl-hello-chk: the hello of a client of 1996, which most
// servers of today answer with an alert.
func SSLHello() Script {
	var hello []byte
	hello = append(hello, 0x16, 3, 0, 0, 0x79, 1, 0, 0, 0x75, 3, 0)
	hello = binary.BigEndian.AppendUint32(hello, uint32(time.Now().Unix()))
	hello = append(hello, "HAPROXYSSLCHK\nHAPROXYSSLCHK\n"...)
	hello = append(hello, 0, 0, 0x4e)
	for suite := byte(1); suite <= 0x3a; suite++ {
		if suite > 0x1b && suite < 0x2f {
			continue
		}
		hello = append(hello, 0, suite)
	}
	hello = append(hello, 1, 0)
	return numbered(
		Step{Send: hello},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^1[56]"), Hex: true, MinRecv: 5, OK: L6OK, Bad: L6RSP, Late: L6TOUT}},
	)
}

// SMTP is option smtpchk; greeting is "HELO localhost" or what the operator
// wants.
func SMTP(greeting string) Script {
	code := func(data []byte) int {
		n, err := strconv.Atoi(string(data[:min(3, len(data))]))
		if err != nil {
			return 0
		}
		return n
	}
	text := func(data []byte) string { return strings.TrimLeft(firstLine(data[min(4, len(data)):]), " ") }
	return numbered(
		Step{Connect: &Connect{Default: true, Linger: true}},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^[0-9]{3}[ \r]"), MinRecv: 4, Bad: L7RSP, OnBad: firstLine}},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^2[0-9]{2}[ \r]"), MinRecv: 4, Bad: L7STS, OnBad: text, Code: code}},
		Step{Send: []byte(greeting + "\r\n")},
		// All lines of the answer; without MinRecv, since a line that fits nothing may yet be an unfinished one.
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"), Bad: L7STS, OnBad: text, Code: code}},
		Step{Send: []byte("QUIT\r\n")},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^2[0-9]{2}[- \r]"), MinRecv: 4, Bad: L7STS, OnBad: text, OnOK: text, Code: code}},
	)
}

// PostgreSQL is option pgsql-check: the beginning of a session of that user.
func PostgreSQL(user string) Script {
	packet := binary.BigEndian.AppendUint32(nil, uint32(15+len(user)))
	packet = append(packet, 0, 3, 0, 0)
	packet = append(packet, "user\x00"+user+"\x00\x00"...)
	return numbered(
		Step{Connect: &Connect{Default: true, Linger: true}},
		Step{Send: packet},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^E"), Not: true, MinRecv: 5, Bad: L7RSP, OnBad: from(6)}},
		Step{Expect: &Expect{
			Regexp: regexp.MustCompile("^52000000[A-Z0-9]{2}000000(00|02|03|04|05|06|07|09|0A)"), Hex: true, MinRecv: 9, Bad: L7STS,
			OnOK: fixed("PostgreSQL server is ok"), OnBad: fixed("PostgreSQL unknown error"),
		}},
	)
}

// MySQL is option mysql-check: the server's greeting and, with a user, its
// answer to a login; old speaks as clients before 4.1 do.
func MySQL(user string, old bool) Script {
	greeting := Step{Expect: &Expect{OnOK: mysqlVersion, Custom: func(data []byte, last bool) Verdict { return mysqlPacket(data, 0, last) }}}
	if user == "" {
		return numbered(Step{Connect: &Connect{Default: true, Linger: true}}, greeting)
	}
	var body []byte
	if old {
		body = append(body, 0x00, 0x80, 0, 0, 1)
	} else {
		body = append(body, 0x00, 0x82, 0, 0, 0x00, 0x80, 0, 1, 0x21)
		body = append(body, make([]byte, 23)...)
	}
	body = append(body, user+"\x00\x00"...)
	packet := append([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), 1}, body...)
	packet = append(packet, 1, 0, 0, 0, 1) // COM_QUIT
	return numbered(
		Step{Connect: &Connect{Default: true, Linger: true}},
		Step{Send: packet}, // ahead of the greeting, which the answer follows
		greeting,
		Step{Expect: &Expect{OnOK: mysqlVersion, Custom: func(data []byte, last bool) Verdict {
			if len(data) < 4 {
				return mysqlPacket(data, 0, last)
			}
			return mysqlPacket(data, 4+mysqlLen(data), last)
		}}},
	)
}

func mysqlLen(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// mysqlPacket judges the packet at an offset.
func mysqlPacket(data []byte, at int, last bool) Verdict {
	if len(data) < at+4 || len(data) < at+4+mysqlLen(data[at:]) {
		if !last {
			return Verdict{More: true}
		}
		return Verdict{Status: L7RSP}
	}
	body := data[at+4:][:mysqlLen(data[at:])]
	if len(body) > 0 && body[0] == 0xff {
		v := Verdict{Status: L7STS}
		if len(body) >= 3 {
			v.Code, v.Note = int(binary.LittleEndian.Uint16(body[1:])), string(body[3:])
		}
		return v
	}
	return Verdict{}
}

// SPOP is option spop-check: an agent's HELLO.
func SPOP() Script {
	return numbered(
		Step{Send: spop.AppendCheck(nil)},
		Step{Expect: &Expect{Custom: func(data []byte, last bool) Verdict {
			whole, wrong := spop.JudgeCheck(data)
			switch {
			case !whole && !last:
				return Verdict{More: true}
			case !whole:
				return Verdict{Status: L7RSP, Note: "invalid frame received"}
			case wrong != "":
				return Verdict{Status: L7RSP, Note: wrong}
			}
			return Verdict{}
		}}},
	)
}

// LDAP is option ldap-check: an anonymous bind of version 3.
func LDAP() Script {
	return numbered(
		Step{Send: []byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00")},
		Step{Expect: &Expect{Regexp: regexp.MustCompile("^30"), Hex: true, MinRecv: 14, OnBad: fixed("Not LDAPv3 protocol")}},
		Step{Expect: &Expect{Custom: ldapBind, OnOK: fixed("Success")}},
	)
}

// ldapBind judges the answer to a bind (RFC 4511, sections 4.1.9 and 4.2.2).
// Active Directory writes lengths of four bytes.
func ldapBind(data []byte, last bool) Verdict {
	foreign := Verdict{Status: L7RSP, Note: "Not LDAPv3 protocol"}
	short := Verdict{More: !last}
	if last {
		short.Status = L7RSP
	}
	follows := func(i int, want ...byte) bool {
		return i+len(want) <= len(data) && slices.Equal(data[i:i+len(want)], want)
	}
	size, i, whole := berLength(data, 1)
	switch {
	case !whole:
		return short
	case i > 6 || size > answerSize: // longer than four bytes, or than any answer to a bind
		return foreign
	case len(data) < i+size:
		return short
	case !follows(i, 0x02, 0x01, 0x01, 0x61): // messageID 1, bindResponse
		return foreign
	}
	_, i, whole = berLength(data, i+4)
	if !whole || !follows(i, 0x0a, 0x01) || i+2 >= len(data) { // an ENUMERATED result code
		return foreign
	}
	if code := int(data[i+2]); code != 0 {
		return Verdict{Status: L7STS, Code: code, Note: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9"}
	}
	return Verdict{}
}

// berLength reads a length in BER at i, and where what it measures begins;
// whole is false when it is not all there.
func berLength(data []byte, i int) (size, begin int, whole bool) {
	if i >= len(data) {
		return 0, i, false
	}
	if data[i]&0x80 == 0 {
		return int(data[i]), i + 1, true
	}
	n := int(data[i] & 0x7f)
	begin = i + 1 + n
	if begin > len(data) {
		return 0, begin, n > 8 // it is nonsense, and known to be
	}
	for _, b := range data[i+1 : begin] {
		if size = size<<8 | int(b); size > 1<<24 {
			break
		}
	}
	return size, begin, true
}
