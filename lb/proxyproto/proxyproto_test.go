package proxyproto

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestV1(t *testing.T) {
	for in, want := range map[string]error{
		"":                                          ErrShort,
		"P":                                         ErrShort,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r":          ErrShort,
		"GET / HTTP/1.1\r\n":                        ErrNone,
		"POST / HTTP/1.1\r\n":                       ErrNone,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n":          ErrBad,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n":          ErrBad,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n":    ErrBad,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 -1\r\n":       ErrBad,
		"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n":        ErrBad,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n":      ErrBad,
		"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n":        ErrProtocol,
		"PROXY \n":                                  ErrBad,
		"PROXY TCP4 " + strings.Repeat("1", 100):    ErrBad,
		"PROXY TCP6 ::1 fe80::1%eth0 1 2\r\n":       ErrBad,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /\n": nil,
		"PROXY UNKNOWN anything at all\r\n":         nil,
	} {
		if _, _, err := Parse([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	h, n, err := Parse([]byte("PROXY TCP6 2001:db8::1 ::2 65535 0\r\nrest"))
	if err != nil || n != 36 || h.Src != addr("[2001:db8::1]:65535") || h.Dst != addr("[::2]:0") {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
}

func TestV2(t *testing.T) {
	tlvs := []TLV{{TypeAuthority, []byte("a.test")}, {TypeUniqueID, []byte("id")}}
	for _, crc := range []bool{false, true} {
		for _, pair := range [][2]netip.AddrPort{
			{addr("1.2.3.4:5"), addr("6.7.8.9:10")}, {addr("[2001:db8::1]:1"), addr("[::2]:2")}, {addr("1.2.3.4:5"), addr("[::2]:2")},
		} {
			b := append(AppendV2(nil, pair[0], pair[1], tlvs, crc), "rest"...)
			h, n, err := Parse(b)
			if err != nil || n != len(b)-4 || h.Src != pair[0] || h.Dst != pair[1] {
				t.Errorf("%v: %+v, %d, %v", pair, h, n, err)
			}
			if v, ok := h.Get(TypeAuthority); !ok || string(v) != "a.test" {
				t.Errorf("authority %q", v)
			}
			for cut := range n {
				if _, _, err := Parse(b[:cut]); !errors.Is(err, ErrShort) {
					t.Errorf("cut to %d: %v", cut, err)
				}
			}
			if crc {
				b[n-1] ^= 1
				if _, _, err := Parse(b); !errors.Is(err, ErrBad) {
					t.Errorf("a wrong checksum: %v", err)
				}
			}
		}
	}
	if h, n, err := Parse(AppendV2(nil, netip.AddrPort{}, netip.AddrPort{}, nil, false)); err != nil || !h.Local || n != 16 {
		t.Errorf("LOCAL: %+v, %d, %v", h, n, err)
	}
	for _, bad := range []string{signature + "\x11\x11\x00\x00", signature + "\x22\x11\x00\x00", signature + "\x21\x11\x00\x0b" + strings.Repeat("x", 11),
		signature + "\x21\x11\xff\xff", signature + "\x21\x00\x00\x02xx", signature + "\x21\x00\x00\x04\x01\x00\x09x"} {
		if _, _, err := Parse([]byte(bad)); !errors.Is(err, ErrBad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCIP(t *testing.T) {
	v4 := "E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08" + "\x04\xd2\x00\x50" + strings.Repeat("\x00", 16)
	old := "\x00\x00\x00\x4d\x00\x00\x00\x28" + v4
	h, n, err := ParseCIP([]byte(old+"GET"), 77)
	if err != nil || n != len(old) || h.Src != addr("1.2.3.4:1234") || h.Dst != addr("5.6.7.8:80") {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
	newer := "\x00\x00\x00\x4d\x00\x00\x00\x34\x00\x01\x00\x28" + v4
	if h, n, err = ParseCIP([]byte(newer), 77); err != nil || n != len(newer) || h.Src != addr("1.2.3.4:1234") {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
	if _, _, err := ParseCIP([]byte(old), 78); !errors.Is(err, ErrNone) {
		t.Errorf("wrong magic: %v", err)
	}
	if _, _, err := ParseCIP([]byte(old[:30]), 77); !errors.Is(err, ErrShort) {
		t.Errorf("half of it: %v", err)
	}
}

// What was parsed and is written again gives the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\nGET / HTTP/1.1\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte("PROXY TCP6 ::ffff:1.2.3.4 ::2 1 2\r\n"))
	f.Add(AppendV2(nil, addr("1.2.3.4:5"), addr("6.7.8.9:10"), []TLV{{TypeUniqueID, []byte("x")}}, true))
	f.Add(AppendV2(nil, addr("[::1]:5"), addr("[::2]:10"), []TLV{{TypeSSL, []byte{1, 0, 0, 0, 0}}}, false))
	f.Add([]byte("\x00\x00\x00\x4d\x00\x00\x00\x28E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x04\xd2\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = ParseCIP(b, 77)
		h, n, err := Parse(b)
		if err != nil {
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("size %d of %d", n, len(b))
		}
		if !h.Src.IsValid() {
			return
		}
		var keep []TLV
		for _, v := range h.TLVs {
			if v.Type != TypeCRC32C {
				keep = append(keep, v)
			}
		}
		again, m, err := Parse(AppendV2(nil, h.Src, h.Dst, keep, true))
		if err != nil || m == 0 || again.Src != h.Src || again.Dst != h.Dst {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
		again.TLVs = again.TLVs[1:]
		if len(keep)+len(again.TLVs) > 0 && !reflect.DeepEqual(keep, again.TLVs) {
			t.Fatalf("%+v became %+v", keep, again.TLVs)
		}
	})
}
