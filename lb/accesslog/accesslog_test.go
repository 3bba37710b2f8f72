package accesslog

import (
	"net/netip"
	"testing"
	"time"

	"lbsyslogd/lb/sample"
	"lbsyslogd/syslogd/message"
)

func TestSeverity(t *testing.T) {
	end := func(term string, status int) sample.Record {
		r := sample.Record{Status: status, Received: 100}
		copy(r.Term[:], term)
		return r
	}
	retried, moved, silent, raised, probe := end("----", 200), end("----", 200), end("----", 500), end("----", 200), end("CR--", -1)
	retried.Retries = 2
	moved.Redispatched = true
	silent.Level = sample.LevelSilent
	raised.Level = int8(message.Alert) + 1
	probe.Received = 0
	killed := end("XR--", -1) // of which no bytes are known
	killed.Received = 0
	all := Policy{HTTP: true}
	strict := Policy{HTTP: true, DontLogNull: true, DontLogNormal: true, SeparateErrors: true}
	tcp := Policy{DontLogNormal: true}
	const none = message.Severity(255)
	for _, c := range []struct {
		name   string
		policy Policy
		record sample.Record
		want   message.Severity
	}{
		{"normal", all, end("----", 200), message.Info},
		{"error without log-separate-errors", all, end("sH--", 504), message.Info},
		{"normal under dontlog-normal", strict, end("----", 200), none},
		{"a rule's own answer is normal", strict, end("LR--", 302), none},
		{"404 is normal", strict, end("----", 404), none},
		{"500 from the server", strict, end("----", 500), message.Err},
		{"500 in TCP mode is bytes", tcp, end("----", 500), none},
		{"denied", strict, end("PR--", 403), message.Err},
		{"client gone", strict, end("CD--", 200), message.Err},
		{"retried", strict, retried, message.Err},
		{"redispatched", strict, moved, message.Err},
		{"silent even when failed", strict, silent, none},
		{"set-log-level", all, raised, message.Alert},
		{"set-log-level does not revive", strict, raised, none},
		{"port probe", strict, probe, none},
		{"in flight in a worker that was killed", strict, killed, message.Err},
		{"port probe, dontlognull off", all, probe, message.Info},
	} {
		got, ok := c.policy.Severity(&c.record)
		if !ok {
			got = none
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNamedFormats(t *testing.T) {
	f, err := NewFormats()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 3, 4, 5, 6e6, time.Local)
	x := &sample.Ctx{Rec: &sample.Record{Parties: sample.Parties{Client: netip.MustParseAddrPort("10.0.1.2:33312"), FrontAddr: netip.MustParseAddrPort("10.0.3.31:8012"), Frontend: "www", Backend: "www", Server: "<NOSRV>"}, Timers: sample.Timers{Accept: at, Request: at, TR: -1, Tw: -1, Tc: -1, Tr: -1, Ta: 7, Tt: 7}, Term: [4]byte{'C', 'R', '-', '-'}, Status: -1, BadReq: true, Received: 11, Sent: 207}}
	local := *x
	local.Rec, local.Listener = &sample.Record{Parties: sample.Parties{Frontend: "www", Backend: "www", Server: "<NOSRV>"}, Timers: x.Rec.Timers, Term: x.Rec.Term}, &sample.Listener{ID: 3}
	for _, c := range []struct {
		name, got, want string
	}{
		{"http", string(f.HTTP.Append(nil, x)), `10.0.1.2:33312 [21/Nov/2026:03:04:05.006] www www/<NOSRV> -1/-1/-1/-1/7 -1 0 - - CR-- 0/0/0/0/0 0/0 "<BADREQ>"`},
		{"https", string(f.HTTPS.Append(nil, x)), `10.0.1.2:33312 [21/Nov/2026:03:04:05.006] www www/<NOSRV> -1/-1/-1/-1/7 -1 0 - - CR-- 0/0/0/0/0 0/0 "<BADREQ>" 0/-/-/-/0 -/-/-`},
		{"tcp", string(f.TCP.Append(nil, x)), `10.0.1.2:33312 [21/Nov/2026:03:04:05.006] www www/<NOSRV> -1/-1/7 0 CR 0/0/0/0/0 0/0`},
		{"tcp, a unix socket", string(f.TCP.Append(nil, &local)), `unix:3 [21/Nov/2026:03:04:05.006] www www/<NOSRV> -1/-1/7 0 CR 0/0/0/0/0 0/0`},
		{"connect", string(f.ConnectHTTP.Append(nil, x)), `Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`},
		{"connect", string(f.ConnectTCP.Append(nil, x)), `Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/TCP)`},
		{"embryonic", string(f.AppendEmbryonic(nil, x, "1", "SSL handshake failure")), `10.0.1.2:33312 [21/Nov/2026:03:04:05.006] www/1: SSL handshake failure`},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n %s\nwant\n %s", c.name, c.got, c.want)
		}
	}
}
