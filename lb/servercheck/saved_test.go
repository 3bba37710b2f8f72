package servercheck

import (
	"strings"
	"testing"
)

// TestParseSaved: what is no state file spoils all of it, what is no state one server.
func TestParseSaved(t *testing.T) {
	const good = "3 b 1 s 127.0.0.1 2 0 3 7 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0"
	test := func(text, bad string, servers, refused int) {
		t.Helper()
		list, each, err := ParseSaved([]byte(text))
		switch {
		case bad == "" && err != nil, bad != "" && (err == nil || !strings.Contains(err.Error(), bad)):
			t.Errorf("%q: error %v, want %q", text, err, bad)
		case len(list) != servers || len(each) != refused:
			t.Errorf("%q: %d servers and %v, want %d and %d", text, len(list), each, servers, refused)
		}
	}
	test("1\n# names\n"+good+"\n\n", "", 1, 0)
	test("1\n"+good, "", 1, 0)
	test("1\r\n"+good+"\r\n", "", 1, 0)
	test("", "line 1", 0, 0)
	test("2\n"+good, "line 1", 0, 0)
	test("1\n"+good+"\n3 b 1 s\n", "line 3: 4 fields", 0, 0)
	test("1\n"+good+" more\n", "line 2: 26 fields", 0, 0)
	for _, wrong := range []string{"127.0.0.1 4 0 3 7", "127.0.0.1 2 128 3 7", "127.0.0.1 2 0 257 7", "127.0.0.1 2 0 3 -7", "127.0.0.1 x 0 3 7", "127.0.0.1 2 9 3 7"} {
		test("1\n"+good+"\n"+strings.Replace(good, "127.0.0.1 2 0 3 7", wrong, 1), "", 1, 1)
	}
}

func FuzzParseSaved(f *testing.F) {
	f.Add([]byte("1\n# names\n3 b 1 s 127.0.0.1 2 0 3 7 100 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0\n"))
	f.Add([]byte("1\n3 b 1 s - 0 13 256 0 2147483647 1 0 0 7 6 0 0 name 65535 -\n"))
	f.Add([]byte("2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _, err := ParseSaved(text)
		if err != nil && list != nil {
			t.Error("a spoilt file has servers")
		}
		for _, v := range list {
			if v.Port < 0 || v.Port > 65535 || v.weight > 256 || v.Backend == "" || v.Server == "" {
				t.Errorf("%+v", v)
			}
		}
	})
}
