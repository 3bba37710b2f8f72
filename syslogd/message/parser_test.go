package message

import (
	"reflect"
	"testing"
)

// sameAsFresh parses messages one after the other with one Parser and holds each to be what Message.Parse makes of it.
func sameAsFresh(t *testing.T, inputs ...[]byte) {
	t.Helper()
	var p Parser
	var got Message
	for _, in := range inputs {
		p.Parse(&got, in)
		var want Message
		want.Parse(in)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("after others, %q is\n%+v; alone it is\n%+v", in, got, want)
		}
	}
}

func TestParserRemembersOnlyWhatDecides(t *testing.T) {
	row := func(inputs ...string) {
		t.Helper()
		var all [][]byte
		for _, in := range inputs {
			all = append(all, []byte(in))
		}
		sameAsFresh(t, all...)
	}
	const head = "<134>Nov 21 03:04:05 haproxy[42]: "
	row(head+"one", head+"two", head, head+"\n", head[:len(head)-1], head+"<13>x: y")
	row("<13>Nov 21 03:04:05 host app: x", "<13>Nov 21 03:04:05 host app: ", "<13>Nov 21 03:04:05 host app:", "<13>Nov 21 03:04:05 host")
	row("<13>2026-11-21T03:04:05Z h app[]: x", "<13>2026-11-21T03:04:05Z h app[]: y", "<13>2026-11-21T03:04:05Z h app[]:y")
	row("<13>app: x", "<13>app: y", "<13>app: 21 03:04:05 x: y")
	row("<13>1 - h a: x", "<13>1 - h a: - -", "<13>1 - h a: - - - text")
	row(head+"one", "<165>1 - h a p m [x y=\"z\"] text", head+"two")
	const five = "<134>1 2026-11-21T03:04:05.123Z web1 haproxy 42 - - "
	row(five+"one", five+"two", five, five[:len(five)-1], five+"\n", five+"\xef\xbb\xbfone", five+"- x", five+`[a b="c"] x`)
	row(five+"one", "<134>1 2026-11-21T03:04:06Z web1 haproxy 42 - - two", "<134>1 2026-11-21T03:04:06 web1 haproxy 42 - - three",
		"<134>1 - web1 haproxy 42 - - four", "<134>1  2026-11-21T03:04:06Z web1 haproxy 42 - - five", "<134>1 2026-11-21T03:04:06Z  web1 haproxy 42 - - six")
	row("<13>1 2026-11-21T03:04:05Z h  t  p - text", "<13>1 2026-11-21T03:04:06Z h  t  p - - text", `<13>1 2026-11-21T03:04:07Z h  t  p - [x y="z"] text`)
	row("<13>1 2026-11-21T03:04:05Z h t p m text", "<13>1 2026-11-21T03:04:06Z h t p m - text", "<13>1 2026-11-21T03:04:05Z h t p m ")
	row(`<13>1 2026-11-21T03:04:05Z h t p m [x y="z"] a`, `<13>1 2026-11-21T03:04:05Z h t p m [x y="z"] [b`, `<13>1 2026-11-21T03:04:05Z h t p m [x y="z"][b`,
		"<13>Nov 21 03:04:05 h a: x", `<13>1 2026-11-21T03:04:05Z h t p m [x y="z"] c`)
	row("<13>1 2026-11-21T03:04:05Z - - - - - a", "<13>1 2026-11-21T03:04:05Z - - - - - b", "<13>1 2026-11-21T03:04:05Z - - - - -", "<13>1 2026-13-21T03:04:05Z - - - - - d")
	row("<189>29: *Nov 21 03:04:05.483 UTC: %SYS-5: a", "<189>29: *Nov 21 03:04:05.483 UTC: %SYS-5: b", "<189>30: *Nov 21 03:04:05.483 UTC: %SYS-5: b")
	row("<13>Nov 21 03:04:05 A: ", "<13>Nov 21 03:04:05 A: x: y", "<13>Nov 21 03:04:05 AB: ", "<13>Nov 21 03:04:05 AB: x: y")
}

// FuzzParser holds that what a Parser remembers of one message changes nothing of the next, be it another one or the same header with
// another text.
func FuzzParser(f *testing.F) {
	for _, seed := range [][3]string{
		{"<134>Nov 21 03:04:05 haproxy[42]: one", "<134>Nov 21 03:04:05 haproxy[42]: two", "three"},
		{"<13>Nov 21 03:04:05 h a: x", "<13>Nov 21 03:04:05 A: x", ""},
		{"<13>2026-11-21T03:04:05.123Z web1 app[7]: x", "<165>1 - - - - - -", " "},
		{"<30>Nov 21 03:04:05 h 788a20aabbcc,UAP-6: x", "<30>Nov 21 03:04:05 h 788a20aabbcc,UAP-6: app: x", "app: y"},
		{"<30>Nov 21 03:04:05 h app: x", "<30>Nov 21 03:04:05 h app: \xef\xbb\xbfx", "\xef\xbb\xbf"},
		{"<134>Nov 21 03:04:05 slot1/a notice tmm[1]: x", "<134>Nov 21 2026 03:04:05 hello app: x", "a: b"},
		{"<13>tag[1]:x", "<13>1 - h a: - -", "21 03:04:05 x: y"},
		{"<134>1 2026-11-21T03:04:05Z h t 1 - - x", "<134>1 2026-11-21T03:04:06Z h t 1 - - y", "- z"},
		{"<134>1 2026-11-21T03:04:05Z h  t  1 - x", `<134>1 2026-11-21T03:04:06Z h t 1 m [a b="c"] y`, `[a b="c"] z`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(seed[2]))
	}
	f.Fuzz(func(t *testing.T, first, second, text []byte) {
		var m Message
		m.Parse(first)
		trimmed := TrimTrailer(first)
		head := trimmed[:len(trimmed)-len(m.Text)]
		again := append(append([]byte(nil), head...), text...)
		sameAsFresh(t, first, again, second, first, head, again)
	})
}
