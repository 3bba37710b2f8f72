package control

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A message is shown as HAProxy shows it: its lines with their offsets, long
// ones in parts, what is no text escaped.
func TestShowErrors(t *testing.T) {
	f := newFake()
	at := time.Date(2026, 11, 29, 15, 25, 51, 253e6, time.Local)
	request := "GET /x HTTP/1.1\r\nHost: a\r\nBad Header: x\r\nAnother-long-header: " + strings.Repeat("y", 80) + "\r\n\r\n"
	f.bad = []BadMessage{
		{Event: 1, Time: at, Client: netip.MustParseAddrPort("127.0.0.1:52334"), Frontend: "fe", FrontendID: 2, Backend: "be", BackendID: 3, Server: "s1", ServerID: 1, Answer: true, Reason: "a name with a blank", Total: 10, At: 4, Bytes: []byte("a\x00\x1b\\\tz\xff")},
		{Event: 0, Time: at, Client: netip.MustParseAddrPort("127.0.0.1:52322"), Frontend: "fe", FrontendID: 2, BackendID: -1, ServerID: -1, Reason: "a name with a blank", Total: len(request), At: 29, Bytes: []byte(request)},
	}
	path, _ := serve(t, &Server{Runtime: f, Level: Operator})
	const first = ` 
[29/Nov/2026:15:25:51.253] frontend fe (#2): invalid request
  backend <NONE> (#-1), server <NONE> (#-1), event #0, src 127.0.0.1:52322
  len 146, shown from 0, error at position 29
  HTTP/1: a name with a blank
  
  00000  GET /x HTTP/1.1\r\n
  00017  Host: a\r\n
  00026  Bad Header: x\r\n
  00041  Another-long-header: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
  00111+ yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n
  00144  \r\n
`
	const second = ` 
[29/Nov/2026:15:25:51.253] backend be (#3): invalid response
  frontend fe (#2), server s1 (#1), event #1, src 127.0.0.1:52334
  len 10, shown from 0, error at position 4
  HTTP/1: a name with a blank
  
  00000  a\x00\e\\\tz\xFF
`
	for command, want := range map[string]string{
		"show errors": first + second, "show errors fe": first + second, "show errors fe request": first, "show errors be response": second, "show errors be request": "",
		"show errors -1": first + second, "show errors 3": second,
	} {
		got := ask(t, path, command+"\n")
		head, rest, _ := strings.Cut(got, "\n")
		if !strings.HasPrefix(head, "Total events captured on [") || !strings.HasSuffix(head, "] : 2") || rest != want+"\n" {
			t.Errorf("%s:\n%s\nwant\n%s", command, got, want)
		}
	}
	if got := ask(t, path, "show errors nope\n"); got != "No such proxy.\n\n" {
		t.Errorf("%q", got)
	}
}
