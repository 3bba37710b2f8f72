package sample

import "testing"

// FuzzProtocols: whatever a client sends, readers of FIX and MQTT end, and what is too short for them is not valid.
func FuzzProtocols(f *testing.F) {
	for _, seed := range []string{
		"8=FIX.4.4\x019=5\x0135=A\x0110=178\x01", "\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02me", "\x20\x02\x00\x00", "\x20\x06\x00\x00\x03\x21\x00\x14",
		"\x10\x15\x00\x04MQTT\x05\x02\x00\x3c\x08\x11\x00\x00\x00\x0a\x21\x00\x14\x00\x00", "\x10\xff\xff\xff\xff\x7f", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ok, whole := validFIX(b); ok && !whole {
			t.Error("a valid message of FIX that is not whole")
		}
		if _, state := parseMQTT(b); state == mqttValid && len(b) < 4 {
			t.Error("a valid packet of MQTT without a body")
		}
	})
}
