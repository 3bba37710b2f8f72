package cfgfile

import "testing"

func TestSuggest(t *testing.T) {
	known := []string{"maxconn", "mode", "node", "frontend", "backend", "option", "timeout", "bind", "uid"}
	test := func(word, want string) {
		t.Helper()
		if got := Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
	test("maxcon", "maxconn")
	test("mdoe", "mode")
	test("fronted", "frontend")
	test("frontned", "frontend")
	test("bakend", "backend")
	test("optoin", "option")
	test("timeot", "timeout")
	test("udi", "uid")
	test("x", "")
	test("", "")
	test("frobnicate", "")
	test("something-else", "")
}
