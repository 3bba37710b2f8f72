package dialect

import (
	"fmt"
	"strings"
	"testing"
)

// TestHashes: which server a request goes to by each hashing algorithm, hash function and modifier, and by a map or a ring.
func TestHashes(t *testing.T) {
	var text strings.Builder
	text.WriteString("\nfrontend fe\n  bind HTTP\n  use_backend %[req.hdr(x-be)]\n")
	var names []string
	add := func(lines ...string) {
		name := fmt.Sprintf("h%d", len(names))
		names = append(names, name)
		fmt.Fprintf(&text, "backend %s\n", name)
		for _, l := range lines {
			text.WriteString("  " + l + "\n")
		}
		text.WriteString("  server s1 S1 weight 10\n  server s2 S2 weight 20\n  server s3 S3 weight 10\n")
	}
	for _, balance := range []string{
		"uri", "uri whole", "uri path-only", "uri path-only whole len 12", "uri depth 2", "hdr(X-Key)", "hdr(host)", "hdr(host) use_domain_only", "url_param k", "source",
	} {
		add("balance " + balance)
		add("balance "+balance, "hash-type consistent")
		if strings.Contains(balance, " ") || balance == "source" {
			continue
		}
		for _, hash := range []string{"map-based sdbm", "map-based djb2", "map-based wt6 avalanche", "map-based crc32", "consistent sdbm", "consistent djb2 avalanche", "consistent wt6", "consistent crc32"} {
			add("balance "+balance, "hash-type "+hash)
		}
	}
	add("hash-type consistent", "hash-balance-factor 150", "balance hdr(X-Key)")
	theirs, ours := both(t, preface("", "LINE %ST %b/%s %HU")+text.String(), nil)
	drive := func(s *subject) (got []string) {
		for _, name := range names {
			for i, path := range []string{"/", "/a/b/c?k=one", "/a/b/d?x=1&k=two", "/longer/path/than/that?k=three&k=four", "/q?kk=1&k=five", "/a;b?k=x;k=six", "/s?a;k=1", "/e?k", "/e?j=1&k="} {
				key := fmt.Sprintf("X-Key: key-%d, other", i*i)
				got = append(got, name+" "+path+" "+s.get(path, "X-Be: "+name, key))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}
