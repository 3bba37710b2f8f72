package message

import "testing"

// rows are headers of which each message is taken apart anew: the parser does not remember them.
var rows = []struct{ name, text string }{
	{"haproxy", "<134>Nov 21 03:04:05 haproxy[42]: 192.0.2.7:51234 [21/Nov/2026:03:04:05.123] www app/a1 0/0/1/12/13 200 1234 - - ----"},
	{"name and tag", "<38>Nov 21 03:04:05 app-a sshd[3086]: Accepted publickey for x from 192.0.2.7"},
	{"rfc5424", "<134>1 2026-11-21T03:04:05.123Z web-1 app 42 - - a message with some text"},
	{"IPv4 host", "<38>Nov 21 03:04:05 192.0.2.17 sshd[3086]: Accepted publickey for x from 192.0.2.7"},
	{"IPv6 host", "<38>Nov 21 03:04:05 2001:db8::17 sshd[3086]: Accepted publickey for x from 192.0.2.7"},
	{"Cisco", "<189>Nov 21 03:04:05 rtr-a %SYS-5-CONFIG_I: Configured from console by vty0"},
	{"Cisco, counter", "<189>84: *Nov 21 03:04:05.483: %SYS-5-CONFIG_I: Configured from console by vty0"},
	{"no tag", "<38>Nov 21 03:04:05 app-a Accepted publickey for x from 192.0.2.7 without a tag"},
	{"no time", "<38>sshd[3086]: Accepted publickey for x from 192.0.2.7 without a time"},
}

// BenchmarkHeaders parses each of them again and again. On a busy machine short runs are the ones to compare, and the least of many of them:
// -benchtime 1000x -count 500.
func BenchmarkHeaders(b *testing.B) {
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			text := []byte(row.text)
			b.ReportAllocs()
			for b.Loop() {
				var m Message
				m.Parse(text)
			}
		})
	}
}
