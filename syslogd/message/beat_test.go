package message

import (
	"testing"
	"time"
)

func TestBeat(t *testing.T) {
	want := Beat{Instance: 1795230245123456789, Generation: 7, Sent: 1000, Lost: 3, Final: true}
	at := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	line := AppendBeat(nil, at, 4711, want)
	const text = `<46>1 2026-11-21T03:04:05.000000Z - lb 4711 ledger [lb@32473 instance="1795230245123456789" generation="7" sent="1000" lost="3" final="1"] ` +
		"1000 lines sent, 3 lost"
	if string(line) != text {
		t.Errorf("a beat is\n%s; want\n%s", line, text)
	}
	var m Message
	m.Parse(line)
	if got, ok := m.Beat(); !ok || got != want || string(m.PID) != "4711" {
		t.Errorf("it is read as %+v, %v, of %q", got, ok, m.PID)
	}
	for _, other := range []string{
		"<134>Nov 21 03:04:05 lb[4711]: ledger", `<46>1 2026-11-21T03:04:05Z - lb 4711 ledger [lb@32473 sent="1"] x`, "<46>1 2026-11-21T03:04:05Z - lb 4711 ledger - x",
		`<46>1 2026-11-21T03:04:05Z - lb 4711 ledger [lb@32473 instance="1" generation="7" sent="-1" lost="3" final="1"] x`,
		`<46>1 2026-11-21T03:04:05Z - lb - ledger [lb@32473 instance="1" generation="7" sent="1" lost="3" final="1"] x`,
	} {
		m.Parse([]byte(other))
		if b, ok := m.Beat(); ok {
			t.Errorf("%q is the beat %+v", other, b)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		m.Parse([]byte("<165>1 2026-11-21T03:04:05.000003Z web1 app 77 ID47 [a@1 k=\"v\"] hello"))
		m.Beat()
	}); n > 1 { // the conversion of the text above
		t.Errorf("a message that is none costs %v allocations", n)
	}
}

// FuzzBeat holds that a beat reads as what it was made of, and that nothing else panics.
func FuzzBeat(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), uint64(4), true, []byte(`<46>1 - - lb 1 ledger [lb@32473 instance="1" sent="`))
	f.Add(uint64(1<<63), uint64(0), uint64(0), uint64(0), false, []byte(`<46>1 - - lb 1 ledger [lb@32473 instance="\"" generation= sent]`))
	f.Fuzz(func(t *testing.T, instance, generation, sent, lost uint64, final bool, other []byte) {
		want := Beat{Instance: instance, Generation: generation, Sent: sent, Lost: lost, Final: final}
		var m Message
		m.Parse(AppendBeat(nil, time.Unix(int64(sent>>32), 0), 1, want))
		if got, ok := m.Beat(); !ok || got != want {
			t.Errorf("%+v is read as %+v, %v", want, got, ok)
		}
		m.Parse(other)
		m.Beat()
	})
}
