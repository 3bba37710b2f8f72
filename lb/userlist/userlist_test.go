package userlist

import (
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// The hashes come from crypt's specification, from openssl and from bcrypt's
// own test vectors.
var hashes = []struct{ hash, password string }{
	{"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "secret"},
	{"$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", "secret"},
	{"$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.", "secret"},
	{"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"},
	{"$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", "Hello world!"},
	{"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!"},
	{"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
}

func TestHashes(t *testing.T) {
	for _, h := range hashes {
		if err := checkHash(h.hash); err != nil {
			t.Errorf("%s: %v", h.hash, err)
		}
		if !matches(h.hash, []byte(h.password)) {
			t.Errorf("%s does not match %q", h.hash, h.password)
		}
		if matches(h.hash, []byte(h.password+"x")) || matches(h.hash, nil) {
			t.Errorf("%s matches another password", h.hash)
		}
	}
}

// TestHashesAsOpenSSL has openssl hash passwords of all lengths around those of
// the sums.
func TestHashesAsOpenSSL(t *testing.T) {
	openssl := tape.Require(t, "openssl")
	for _, scheme := range []string{"1", "5", "6"} {
		for _, n := range []int{1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 200} {
			password := strings.Repeat("pass wörd"[:8], 30)[:n]
			out, err := exec.Command(openssl, "passwd", "-"+scheme, "-salt", "s/.0123456789abc"[:n%8+1], password).Output()
			if err != nil {
				t.Fatalf("openssl: %v", err)
			}
			text := strings.TrimSpace(string(out))
			if err := checkHash(text); err != nil || !matches(text, []byte(password)) {
				t.Errorf("%q: %s does not match (%v)", password, text, err)
			}
		}
	}
}

func TestHashesThatAreRefused(t *testing.T) {
	for hash, part := range map[string]string{
		"plain":                        "insecure-password",
		"rl.3StKT.4T8M":                "DES is not supported",
		"$y$j9T$abc$def":               "$y$ are not supported",
		"$9$abc$def":                   "unknown",
		"$6$salt":                      "lacks a part",
		"$6$salt$short":                "cut",
		"$6$rounds=5$salt$x":           "at least 1000",
		"$6$rounds=x$salt$x":           "at least 1000",
		"$6$a$b$c$d":                   "too many",
		"$2a$xx$abc":                   "bcrypt",
		"$5$rounds=999999999$salt$abc": "at most",
		"$2b$20$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": "cost 20",
	} {
		if err := New("l").AddHashed("u", hash, nil); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want %q", hash, err, part)
		}
	}
}

// site is a list with a user of each kind.
func site(t testing.TB) *List {
	t.Helper()
	l := New("site")
	for _, err := range []error{
		l.AddHashed("anna", hashes[2].hash, []string{"admins"}),
		l.Add("bert", "clear:text", nil),
		l.AddHashed("cleo", hashes[0].hash, nil),
		l.AddGroup("admins", nil),
		l.AddGroup("staff", []string{"bert", "anna"}),
		l.Finish(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestCheck(t *testing.T) {
	l := site(t)
	check := func(user, password string, want Answer, d *Doubt) {
		t.Helper()
		if got := l.Check([]byte(user), []byte(password), d); got != want {
			t.Errorf("%s with %q: %v, not %v", user, password, got, want)
		}
	}
	check("bert", "clear:text", Right, nil)
	check("bert", "clear", Wrong, nil)
	check("anna", "secret", Unsure, nil)
	check("anna", "wrong", Unsure, nil)
	check("nobody", "secret", Unsure, nil) // as long as somebody
	check("anna", strings.Repeat("x", 600), Wrong, nil)

	d := Doubts([]*List{l}, basic("anna", "wrong"))
	d.Compute()
	check("anna", "wrong", Wrong, d)
	check("anna", "other", Unsure, d) // a rule has replaced the field
	check("cleo", "wrong", Unsure, d)

	d = Doubts([]*List{l}, basic("anna", "secret"))
	d.Compute()
	check("anna", "secret", Right, nil)
	check("anna", "wrong", Unsure, nil)

	d = Doubts([]*List{l}, basic("nobody", "secret"))
	d.Compute()
	check("nobody", "secret", Wrong, d)

	for _, field := range []string{"", "Basic", "Bearer x", "Basic !!", "Basic " + base64.StdEncoding.EncodeToString([]byte("nocolon")), string(basic("bert", "x")), string(basic("anna", "secret"))} {
		if Doubts([]*List{l}, []byte(field)) != nil {
			t.Errorf("%q leaves a doubt", field)
		}
	}
	if !l.Member([]byte("anna"), "staff") || !l.Member([]byte("anna"), "admins") || l.Member([]byte("bert"), "admins") || l.Member([]byte("x"), "staff") {
		t.Error("groups")
	}
}

func basic(user, password string) []byte {
	return []byte("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// TestKnownPasswordsDoNotAllocate: whoever was let in once is let in as cheaply as
// with a password in clear.
func TestKnownPasswordsDoNotAllocate(t *testing.T) {
	l := site(t)
	d := Doubts([]*List{l}, basic("anna", "secret"))
	d.Compute()
	field, buf := basic("anna", "secret"), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		user, password, ok := Credentials(field, buf)
		if !ok || l.Check(user, password, nil) != Right {
			t.Fatal("not right")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestListsThatAreRefused(t *testing.T) {
	l := New("l")
	l.Add("a", "b", []string{"g"})
	if err := l.Finish(); err == nil || !strings.Contains(err.Error(), "no such group 'g'") {
		t.Error(err)
	}
	l.AddGroup("g", []string{"x"})
	if err := l.Finish(); err == nil || !strings.Contains(err.Error(), "no such user 'x'") {
		t.Error(err)
	}
	if l.Add("a", "c", nil) == nil || l.AddGroup("g", nil) == nil {
		t.Error("a name twice")
	}
}

// Whatever is accepted as a hash can be computed.
func FuzzHash(f *testing.F) {
	for _, h := range hashes {
		f.Add(h.hash, h.password)
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if checkHash(hash) == nil && len(password) < 100 && !strings.HasPrefix(hash, "$2") && !strings.Contains(hash, "rounds") {
			matches(hash, []byte(password))
		}
	})
}

// A field that is taken apart says the same when it is put together again.
func FuzzCredentials(f *testing.F) {
	f.Add(string(basic("anna", "secret")))
	f.Add("basic  YTpi ")
	f.Fuzz(func(t *testing.T, field string) {
		user, password, ok := Credentials([]byte(field), nil)
		if !ok {
			return
		}
		again, secret, ok := Credentials(basic(string(user), string(password)), nil)
		if fmt.Sprint(again, secret, ok) != fmt.Sprint(user, password, true) {
			t.Fatalf("%q: %q, then %q", field, user, again)
		}
	})
}

func BenchmarkSHA512(b *testing.B) {
	for b.Loop() {
		matches(hashes[2].hash, []byte("secret"))
	}
}
