package http1

import (
	"strings"
	"testing"
)

// TestDefaultPorts: what HAProxy 2.6.12 was seen to make of them.
func TestDefaultPorts(t *testing.T) {
	for _, c := range []struct{ target, host, wantTarget, wantHost string }{
		{"http://s.example:80/a", "s.example:80", "http://s.example/a", "s.example"},
		{"http://s.example:80/a?b", "S.example", "http://s.example/a?b", "s.example"},
		{"http://s.example/a", "s.example:80", "http://s.example/a", "s.example:80"},
		{"https://s.example:443", "s.example:443", "https://s.example", "s.example"},
		{"HTTP://s.example:80/a", "s.example", "HTTP://s.example/a", "s.example"},
		{"http://s.example:/a", "s.example", "http://s.example/a", "s.example"},
		{"http://[::1]:80/a", "[::1]", "http://[::1]/a", "[::1]"},
		{"http://s.example:8080/a", "s.example:8080", "http://s.example:8080/a", "s.example:8080"},
		{"/a", "s.example:80", "/a", "s.example:80"},
		{"s.example:80", "S.example:80", "s.example:80", "S.example"},
		{"s.example:443", "s.example:443", "s.example:443", "s.example"},
		{"s.example:443", "s.example", "s.example:443", "s.example"},
		{"s.example:8080", "s.example:8080", "s.example:8080", "s.example:8080"},
	} {
		var h Head
		method := "GET "
		if !strings.Contains(c.target, "/") {
			method = "CONNECT "
		}
		text := method + c.target + " HTTP/1.1\r\nX: 1\r\nHost: " + c.host + "\r\n\r\n"
		if _, err := h.ParseRequest([]byte(text)); err != nil {
			t.Errorf("%s with %s: %v", c.target, c.host, err)
			continue
		}
		if uri, host := string(h.URI()), string(h.Get("host")); uri != c.wantTarget || host != c.wantHost {
			t.Errorf("%s with %s is %s with %s, want %s with %s", c.target, c.host, uri, host, c.wantTarget, c.wantHost)
		}
		if got, want := string(h.Append(nil)), method+c.wantTarget+" HTTP/1.1\r\nX: 1\r\nHost: "+c.wantHost+"\r\n\r\n"; got != want {
			t.Errorf("%s with %s is sent as %q", c.target, c.host, got)
		}
	}
}

// TestOrigin: what a server of HTTP/1 is asked for when HTTP/2 has named scheme and authority.
func TestOrigin(t *testing.T) {
	for _, c := range []struct{ method, target, scheme, form string }{
		{"GET", "http://a/", "http", "/"},
		{"GET", "HTTPS://a/b?c", "https", "/b?c"},
		{"GET", "https://a", "https", "/"},
		{"GET", "https://a?b", "https", "/?b"},
		{"OPTIONS", "https://a", "https", "*"},
		{"OPTIONS", "https://a/", "https", "/"},
		{"GET", "ftp://a/", "", ""},
		{"GET", "/a", "", ""},
		{"OPTIONS", "*", "", ""},
		{"CONNECT", "a:1", "", ""},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(c.method + " " + c.target + " HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatalf("%s: %v", c.target, err)
		}
		if scheme, form := h.Origin(); scheme != c.scheme || string(form) != c.form {
			t.Errorf("%s %s: %q, %q", c.method, c.target, scheme, form)
		}
	}
}
