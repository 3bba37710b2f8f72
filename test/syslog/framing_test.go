package syslog_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// TestHostileFraming breaks RFC 6587's framing on one connection after the other. Each connection then sends a good message in each of
// the framings, which must arrive: a bad message costs itself and not its session.
func TestHostileFraming(t *testing.T) {
	d := start(t, `
listen: [tcp://127.0.0.1:PORT]
max_message: 1024
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	var cases []string
	// Lengths that are none: they are part of a line, which ends with its newline.
	for _, length := range []string{
		"0", "00", "01", "0000007", "-1", "-5", "+5", "1e3", "0x10", "5.0", "5,", "5\t", "5\x00", "99999999", "2147483648", "4294967297",
		"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", strings.Repeat("9", 500), "\uff15",
	} {
		for _, rest := range []string{" <13>x\n", "<13>x\n", " \n", "\n", " <\n", " 5 <13>x\n", "  <13>x\n"} {
			if (length == "5\t" || length == "5,") && rest == "\n" {
				continue // nothing hostile in it
			}
			cases = append(cases, length+rest)
		}
	}
	// Lengths that do not fit what follows, but stay within it.
	for _, body := range []string{"<", "<1", "<13>", "<13>a\nb", "<13>\x00\x00", "<999>x", "<<<<<<", "<13>1 - - - - - [", "<13>\r\n\r\n", "<13>7 <13>abc"} {
		cases = append(cases, fmt.Sprintf("%d %s", len(body), body), fmt.Sprintf("%d %s\n", len(body)+1, body))
		if len(body) > 1 {
			cases = append(cases, fmt.Sprintf("%d %s\n", len(body)-1, body))
		}
	}
	// Too large, counted and as lines; empty; and a TLS or HTTP client at the wrong door.
	for _, size := range []int{1023, 1024, 1025, 2048, 20_000, 100_000} {
		body := "<13>" + strings.Repeat("y", size-4)
		cases = append(cases, fmt.Sprintf("%d %s", size, body), body+"\n", fmt.Sprintf("%d %s", size, strings.Repeat("<", size)),
			strings.Repeat("\x00", size)+"\n", strings.Repeat("1", size)+"\n", strings.Repeat("\n", size))
	}
	cases = append(cases, "", "\n\n\n", "\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"006 <13>x\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "\xff\xfd\x18\xff\xfd\x20\n", "{\"@cee\": 1}\n", "5 <13>x6 <13>yy7 <13>zzz")

	for i, c := range cases {
		conn, err := net.Dial("tcp", d.addr())
		if err != nil {
			t.Fatal(err)
		}
		good := fmt.Sprintf("<13>Nov 21 03:04:05 good: counted %d.", i)
		text := fmt.Sprintf("%s%d %s<13>Nov 21 03:04:05 good: line %d.\n", c, len(good), good, i)
		for at := 0; at < len(text); { // in pieces, so that they end anywhere
			end := min(len(text), at+1+i*131%4096)
			if _, err := conn.Write([]byte(text[at:end])); err != nil {
				t.Fatalf("%.100q: %v", c, err)
			}
			at = end
		}
		conn.Close()
	}
	var file []byte
	wait.Until(t, "the good messages", func() bool {
		d.do("flush")
		var err error
		file, err = os.ReadFile(d.file())
		return err == nil && bytes.Count(file, []byte(" good: line ")) >= len(cases) && d.status().Inputs[0].Connections == 0
	})
	for i, c := range cases {
		for _, kind := range []string{"counted", "line"} {
			if n := bytes.Count(file, fmt.Appendf(nil, " good: %s %d.\n", kind, i)); n != 1 {
				t.Errorf("after %.100q the message %q is there %d times", c, kind, n)
			}
		}
	}
	if i := bytes.IndexAny(file, "\x00\r\x1b\x7f"); i >= 0 {
		t.Errorf("a control character is in the file, at %d", i)
	}
	s := d.status()
	if in := s.Inputs[0]; in.Received != in.Routed+in.Undecodable || in.Routed != s.Outputs[0].Written || s.Outputs[0].Written != uint64(bytes.Count(file, []byte("\n"))) {
		t.Errorf("the books do not balance: %+v, %d written, %d lines", in, s.Outputs[0].Written, bytes.Count(file, []byte("\n")))
	}
	t.Logf("%d cases", len(cases))
}
