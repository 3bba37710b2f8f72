package sample

import "testing"

// TestHelloLists: lists of a hello with and without the numbers that mean
// nothing, and one that was cut in the middle of a number.
func TestHelloLists(t *testing.T) {
	ids := []byte{0x8a, 0x8a, 0x13, 0x01, 0x1a, 0x1b, 0xfa, 0xfa, 0xc0}
	for _, row := range []struct {
		show   func(dst, ids []byte, grease bool) []byte
		grease bool
		want   string
	}{
		{appendHex, true, "8A8A13011A1BFAFAC0"},
		{appendHex, false, "13011A1BC0"},
		{appendCipherNames, true, "UNKNOWN(8a8a),TLS_AES_128_GCM_SHA256,UNKNOWN(1a1b),UNKNOWN(fafa)"},
		{appendCipherNames, false, "TLS_AES_128_GCM_SHA256,UNKNOWN(1a1b)"},
		{appendBytes, false, "\x13\x01\x1a\x1b\xc0"},
	} {
		if got := string(row.show(nil, ids, row.grease)); got != row.want {
			t.Errorf("with grease %v: %q, want %q", row.grease, got, row.want)
		}
	}
	if got := string(appendCipherNames(nil, []byte{0x00, 0x2f, 0x00, 0xff, 0x56, 0x00}, false)); got != "AES128-SHA,TLS_EMPTY_RENEGOTIATION_INFO_SCSV,TLS_FALLBACK_SCSV" {
		t.Errorf("numbers that are no ciphers: %q", got)
	}
}
