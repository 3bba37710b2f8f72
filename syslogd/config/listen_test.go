package config

import (
	"fmt"
	"strings"
	"testing"

	"lbsyslogd/syslogd/route"
)

// TestListeners are read from text or from a mapping, and what means nothing is refused with its line.
func TestListeners(t *testing.T) {
	const rest = "\noutputs: [{file: a.log, limit: %s}]\n"
	row := func(listen, limit string, want Listener, output route.Rate) {
		t.Helper()
		c, err := Parse("x.yaml", []byte("listen: ["+listen+"]"+fmt.Sprintf(rest, limit)))
		if err != nil {
			t.Errorf("%s, %s: %v", listen, limit, err)
		} else if c.Listen[0] != want || c.Outputs[0].Limit != output {
			t.Errorf("%s, %s: %+v, %+v", listen, limit, c.Listen[0], c.Outputs[0].Limit)
		}
	}
	udp := Listen{"udp", ":514"}
	row(`"udp://:514"`, "5", Listener{Listen: udp}, route.Rate{PerSecond: 5, Burst: 5})
	row(`{address: "udp://:514"}`, "{rate: 5}", Listener{Listen: udp}, route.Rate{PerSecond: 5, Burst: 5})
	row(`{address: "udp://:514", readers: 2}`, "{rate: 5, burst: 70}", Listener{Listen: udp, Readers: 2}, route.Rate{PerSecond: 5, Burst: 70})
	row(`{address: "udp://:514", limit: {rate: 10, burst: 20}}`, "5", Listener{Listen: udp, Limit: route.Rate{PerSecond: 10, Burst: 20}}, route.Rate{PerSecond: 5, Burst: 5})
	row(`{address: "systemd:a", limit: 7}`, "5", Listener{Listen: Listen{"systemd", "a"}, Limit: route.Rate{PerSecond: 7, Burst: 7}}, route.Rate{PerSecond: 5, Burst: 5})

	refused := func(listen, limit, want string) {
		t.Helper()
		_, err := Parse("x.yaml", []byte("listen: ["+listen+"]"+fmt.Sprintf(rest, limit)))
		if err == nil || !strings.HasPrefix(err.Error(), "x.yaml:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %s: %v", listen, limit, err)
		}
	}
	refused(`{readers: 2}`, "5", "listen has no address; want for example address: udp://127.0.0.1:514")
	refused(`{address: "udp://:514", readers: 0}`, "5", `"0" is not a number from 1 to 16`)
	refused(`{address: "udp://:514", readers: 17}`, "5", `"17" is not a number from 1 to 16`)
	refused(`{address: "tcp://:514", readers: 2}`, "5", "tcp://:514 has one reader; several are for udp://HOST:PORT")
	refused(`{address: "systemd:a", readers: 2}`, "5", "give the unit ReusePort=yes")
	refused(`{adress: "udp://:514"}`, "5", `did you mean "address"?`)
	refused(`"udp://:514", {address: "udp://:514", readers: 2}`, "5", "listens on udp://:514 twice")
	refused(`"udp://:514"`, "0", `"0" is not a number from 1 to 10000000`)
	refused(`"udp://:514"`, "{burst: 5}", "limit has no rate")
	refused(`"udp://:514"`, "many", `"many" is not a number`)
}
