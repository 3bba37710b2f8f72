package message

import (
	"fmt"
	"testing"
)

func TestSequenceID(t *testing.T) {
	row := func(data string, want uint32) {
		t.Helper()
		if got, ok := SequenceID([]byte(data)); got != want && ok || ok != (want > 0) {
			t.Errorf("SequenceID(%q) = %d, %v; want %d", data, got, ok, want)
		}
	}
	row(`[meta sequenceId="1"]`, 1)
	row(`[meta sysUpTime="5" sequenceId="2147483647" language="en"]`, 2147483647)
	row(`[x@1 a="]\"[meta sequenceId=\"3\"]"][meta sequenceId="4"]`, 4)
	row(`[metadata sequenceId="5"]`, 0)
	row(`[meta sequenceid="5"]`, 0)
	for _, bad := range []string{"", "0", "01", "-1", "2147483648", "99999999999", "1x", "4294967297"} {
		row(`[meta sequenceId="`+bad+`"]`, 0)
	}
	for _, torn := range []string{"", "[", "[meta", "[meta ", "[meta sequenceId", "[meta sequenceId=\"1", `[meta a="\`, "-"} {
		row(torn, 0)
	}
	data := []byte(`[x@1 a="b"][meta sequenceId="42"]`)
	if n := testing.AllocsPerRun(100, func() { SequenceID(data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzSequenceID holds that a number is found again behind whatever other parameters there are.
func FuzzSequenceID(f *testing.F) {
	f.Add([]byte(`[x@1 a="b"]`), uint32(7))
	f.Add([]byte(`[meta sequenceId="\`), uint32(1))
	f.Add([]byte("[[[]]] \"\\"), uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, n uint32) {
		if got, ok := SequenceID(data); ok && (got == 0 || got > 1<<31-1) {
			t.Errorf("SequenceID(%q) = %d", data, got)
		}
		n = n%(1<<31-1) + 1
		text := AppendEscaped(nil, data)
		quoted := fmt.Sprintf("%q", text)
		if got, ok := SequenceID(fmt.Appendf(nil, `[x@1 a=%s][meta sequenceId="%d"]`, quoted, n)); !ok || got != n {
			t.Errorf("behind %s: %d, %v; want %d", quoted, got, ok, n)
		}
	})
}
