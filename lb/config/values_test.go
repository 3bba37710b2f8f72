package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	test := func(word string, want time.Duration) {
		t.Helper()
		if got, err := duration("x", word, time.Millisecond); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", word, got, err, want)
		}
	}
	test("0", 0)
	test("50", 50*time.Millisecond)
	test("1us", time.Millisecond) // timers count milliseconds
	test("2500us", 3*time.Millisecond)
	test("5s", 5*time.Second)
	test("2m", 2*time.Minute)
	test("1h", time.Hour)
	test("24d", 24*24*time.Hour)
	for _, word := range []string{"", "s", "-1", "1x", "1.5s", "1 s", "25d", "99999999999999999999", "9999999999h"} {
		if got, err := duration("x", word, time.Millisecond); err == nil {
			t.Errorf("%q: accepted as %v", word, got)
		}
	}
}

func TestPrefix(t *testing.T) {
	for word, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.1.2.3/8": "10.0.0.0/8", "10.1.2.3/255.255.0.0": "10.1.0.0/16", "::1": "::1/128", "fe80::1/10": "fe80::/10", "0.0.0.0/0.0.0.0": "0.0.0.0/0",
	} {
		if got, err := prefix(word); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v, want %s", word, got, err, want)
		}
	}
	for _, word := range []string{"", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "::1/255.0.0.0", "x", "10.0.0.0/"} {
		if got, err := prefix(word); err == nil {
			t.Errorf("%q: accepted as %v", word, got)
		}
	}
}

func TestCiphers(t *testing.T) {
	const (
		ecdsa128 = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
		rsa128   = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
		ecdsa256 = tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
		rsa256   = tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
		kRSA128  = tls.TLS_RSA_WITH_AES_128_GCM_SHA256
	)
	test := func(expression string, want []uint16, unknown ...string) {
		t.Helper()
		got, lost := selectCiphers(expression)
		if !reflect.DeepEqual(got, want) || strings.Join(lost, " ") != strings.Join(unknown, " ") {
			t.Errorf("%s: %x without %q, want %x without %q", expression, got, lost, want, unknown)
		}
	}
	test("ECDHE-RSA-AES128-GCM-SHA256", []uint16{rsa128})
	test("ECDHE+AESGCM", []uint16{ecdsa128, rsa128, ecdsa256, rsa256})
	test("EECDH+AESGCM:EDH+AESGCM", []uint16{ecdsa128, rsa128, ecdsa256, rsa256}, "EDH+AESGCM")
	test("ECDH+AESGCM:DH+AESGCM:!aNULL:!MD5", []uint16{ecdsa128, rsa128, ecdsa256, rsa256}, "DH+AESGCM")
	test("kRSA+AESGCM+AES128:@STRENGTH", []uint16{kRSA128})
	test("ALL:!AES256:!CHACHA20:!SHA1:!kRSA", []uint16{ecdsa128, rsa128})
	test("!ECDSA:ECDHE+AESGCM", []uint16{rsa128, rsa256})                                         // killed for good, wherever it stands
	test("ECDHE+AESGCM:-ECDSA:ECDHE-ECDSA-AES128-GCM-SHA256", []uint16{ecdsa128, rsa128, rsa256}) // removed, and added again
	test("AES128-SHA256", []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA256})
	test("DHE-RSA-AES128-GCM-SHA256 RC4-SHA", nil, "DHE-RSA-AES128-GCM-SHA256", "RC4-SHA")
	for _, id := range mustSelect("ALL") {
		for _, insecure := range tls.InsecureCipherSuites() {
			if id == insecure.ID && !strings.HasPrefix(insecure.Name, "TLS_RSA_WITH_AES") {
				t.Errorf("ALL selects %s", insecure.Name)
			}
		}
	}
}

func mustSelect(expression string) []uint16 {
	ids, _ := selectCiphers(expression)
	return ids
}

// TestRepliesFitTheBuffer: files of replies may be as long as tune.bufsize says.
func TestRepliesFitTheBuffer(t *testing.T) {
	dir := t.TempDir()
	body, page := filepath.Join(dir, "body"), filepath.Join(dir, "page")
	for path, text := range map[string]string{body: strings.Repeat("x", 20000), page: "HTTP/1.0 503 X\r\n\r\n" + strings.Repeat("x", 20000-18)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"http-request return content-type a/b lf-file " + body, "http-request deny content-type a/b file " + body, "http-request return errorfile " + page, "errorfile 503 " + page,
		"http-error status 503 content-type a/b file " + body,
	} {
		for bufsize, fits := range map[string]bool{"": false, "tune.bufsize 19000": false, "tune.bufsize 20000": true, "tune.bufsize 65536": true} {
			path := filepath.Join(dir, "t.cfg")
			if err := os.WriteFile(path, []byte("global\n  "+bufsize+"\n"+inFrontendSection(line)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load([]string{path}, Options{Environ: []string{}}); (err == nil) != fits {
				t.Errorf("%s with '%s': %v", line, bufsize, err)
			}
		}
	}
}

func TestWireResponse(t *testing.T) {
	got, err := wireResponse([]byte("HTTP/1.1 503 No\nA: b\r\nC: d\n\nbody\n\nmore\r\n"), 16384)
	if want := "HTTP/1.1 503 No\r\nA: b\r\nC: d\r\n\r\nbody\n\nmore\r\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{
		"", "hello", "HTTP/1.1 503 No\nA: b\n", "HTTP/2 503 No\n\n", "HTTP/1.1\n\n", "HTTP/1.1 503 No\nbad line\n\n",
		"HTTP/1.1 503 No\n\n" + strings.Repeat("x", 20000),
	} {
		if got, err := wireResponse([]byte(bad), 16384); err == nil {
			t.Errorf("%.40q: accepted as %q", bad, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"1", "5s", "24d", "99999999999h", "us", "1us"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		d, err := duration("x", word, time.Millisecond)
		if err == nil && (d < 0 || d > maxDuration || d%time.Millisecond != 0) {
			t.Errorf("%q: %v", word, d)
		}
	})
}

func FuzzCiphers(f *testing.F) {
	f.Add("ECDHE+AESGCM:!aNULL:-RSA:@STRENGTH")
	f.Add("!:+:-")
	f.Fuzz(func(t *testing.T, expression string) {
		ids, _ := selectCiphers(expression)
		for i := range ids {
			for j := range i {
				if ids[i] == ids[j] {
					t.Errorf("%q: %x twice", expression, ids[i])
				}
			}
		}
	})
}

// TestVariablesWithoutValue: a global set-var whose expression finds nothing is no error.
func TestVariablesWithoutValue(t *testing.T) {
	v := newVerdicts(t)
	for _, e := range []string{"env(NOPE)", "var(proc.b)", "var(proc.a),add(1)"} {
		v.accept(inGlobalSection("set-var proc.a "+e), "'set-var proc.a' sets nothing")
	}
	for _, e := range []string{"hostname", "str(a)", "int(4),add(1)", "var(proc.b,d)"} {
		for _, n := range v.accept(inGlobalSection("set-var proc.a "+e), "").Notes {
			if strings.Contains(n.Text, "sets nothing") {
				t.Errorf("%s: %s", e, n.Text)
			}
		}
	}
}

// TestUnmanagedTokens: algorithms of JSON web tokens that nobody verifies are refused.
func TestUnmanagedTokens(t *testing.T) {
	v := newVerdicts(t)
	for _, alg := range []string{"PS256", "PS384", "PS512"} {
		v.refuse(inFrontendSection("http-request set-header x %[hdr(x),jwt_verify("+alg+",secret)]"), "RSASSA-PSS")
	}
	v.accept(inFrontendSection("http-request set-header x %[hdr(x),jwt_verify(none,secret)]"), "")
}
