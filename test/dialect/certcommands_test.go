package dialect

import (
	"strings"
	"testing"
)

// certificateEdges are commands in unusual orders, and about what is next to a certificate; "<file" is a payload, a file's or that word.
const certificateEdges = `
set ssl cert DIR/site.pem <site.crt
commit ssl cert DIR/site.pem
set ssl cert DIR/site.pem.key <client.key
commit ssl cert DIR/site.pem
commit ssl cert DIR/client.pem
set ssl cert DIR/client.pem <client.crt
set ssl cert DIR/site.pem.key <site.key
commit ssl cert DIR/site.pem
commit ssl cert DIR/site.pem
set ssl cert DIR/site.pem.issuer <garbage
set ssl cert DIR/site.pem.key <garbage
set ssl cert DIR/site.pem.ocsp <###
set ssl cert DIR/site.pem.sctl <garbage
set ssl cert DIR/site.pem.dh <garbage
set ssl cert DIR/site.pem.issuer <ca.pem
abort ssl cert DIR/site.pem.issuer
abort ssl cert DIR/site.pem
new ssl cert DIR/fresh.pem
commit ssl cert DIR/fresh.pem
set ssl cert DIR/fresh.pem <site.crt
del ssl cert DIR/fresh.pem
commit ssl cert DIR/fresh.pem
abort ssl cert DIR/fresh.pem
del ssl cert DIR/fresh.pem
set ssl cert DIR/both.pem <client.pem
set ssl cert DIR/both.pem.rsa <client.pem
commit ssl cert DIR/both.pem
commit ssl cert DIR/both.pem.rsa
del ssl cert DIR/both.pem.rsa
del ssl cert DIR/both.pem
show ssl crt-list DIR/bundle.txt
del ssl crt-list DIR/bundle.txt DIR/both.pem
del ssl crt-list DIR/bundle.txt DIR/both.pem.rsa:x
del ssl crt-list DIR/bundle.txt DIR/both.pem.rsa
show ssl crt-list DIR/bundle.txt
add ssl crt-list DIR/bundle.txt DIR/client.pem a.test b.test
show ssl crt-list DIR/bundle.txt
del ssl crt-list DIR/bundle.txt DIR/client.pem
del ssl crt-list DIR/bundle.txt DIR/client.pem
del ssl crt-list DIR/bundle.txt DIR/client.pem:3
add ssl crt-list DIR/bundle.txt <two.lines
new ssl cert DIR/fresh.pem
del ssl crt-list DIR/bundle.txt DIR/fresh.pem
show ssl ca-file DIR/ca.pem:0
new ssl ca-file DIR/new.ca
show ssl ca-file DIR/new.ca
set ssl ca-file DIR/new.ca <ca.pem
commit ssl ca-file DIR/ca.pem
del ssl ca-file DIR/new.ca
abort ssl ca-file DIR/new.ca
del ssl ca-file DIR/new.ca
new ssl crl-file DIR/new.crl
show ssl crl-file DIR/new.crl
del ssl crl-file DIR/new.crl
set server b/t ssl off
set server b/t ssl on
set server b/s ssl on
set server b/x ssl on
`

// TestCertificateCommandEdges: what is only part of a certificate, is set in another order or belongs to a bundle is answered in HAProxy's words.
func TestCertificateCommandEdges(t *testing.T) {
	files := certificates(t)
	for _, name := range []string{"site", "client"} {
		whole := files[name+".pem"]
		i := strings.Index(whole, "-----BEGIN CERTIFICATE")
		k := strings.Index(whole, "-----BEGIN PRIVATE KEY")
		if i > k {
			t.Fatalf("%s.pem begins with its key", name)
		}
		files[name+".crt"], files[name+".key"] = whole[i:k], whole[k:]
	}
	files["both.pem.ecdsa"], files["both.pem.rsa"] = files["site.pem"], files["client.pem"]
	files["two.lines"] = "client.pem\nclient.pem"
	files["bundle.txt"] = "site.pem\nboth.pem *.both.test\n"
	theirs, ours := both(t, preface("crt-base DIR", "LINE")+`
frontend f
  bind HTTP ssl crt site.pem ca-file DIR/ca.pem verify optional
  bind HTTP2 ssl crt client.pem
  bind HTTP3 ssl crt-list DIR/bundle.txt
  default_backend b
backend b
  server s S1
  server t S2 ssl verify none
`, files)
	drive := func(s *subject) (got []string) {
		for line := range strings.SplitSeq(strings.TrimSpace(certificateEdges), "\n") {
			command, file, given := strings.Cut(line, " <")
			if given {
				text := file
				if content, known := files[file]; known {
					text = content
				}
				command += " <<\n" + strings.TrimSpace(text) + "\n"
			}
			got = append(got, line+": "+strings.TrimSpace(strings.ReplaceAll(s.command(command), "\x00", "")))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}
