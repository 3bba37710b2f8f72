package rule

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/sample"
)

// A normalizer appends the normal form of a path with its query; false for one
// that is malformed.
type normalizer func(dst, path []byte) ([]byte, bool)

// normalizers are those of http-request normalize-uri, and the word that may
// follow each.
var normalizers = []struct {
	name, option string
	plain, with  normalizer
}{
	{name: "fragment-encode", plain: sound(encodeFragment)},
	{name: "fragment-strip", plain: sound(stripFragment)},
	{name: "path-merge-slashes", plain: onPath(mergeSlashes)},
	{name: "path-strip-dot", plain: onPath(stripDot)},
	{name: "path-strip-dotdot", option: "full", plain: onPath(stripDotDot(false)), with: onPath(stripDotDot(true))},
	{name: "percent-decode-unreserved", option: "strict", plain: percent(true, false), with: percent(true, true)},
	{name: "percent-to-uppercase", option: "strict", plain: percent(false, false), with: percent(false, true)},
	{name: "query-sort-by-name", plain: sound(sortQuery)},
}

// normalize brings the target into a normal form. Only requests that are not in
// it cost memory.
type normalize struct{ form normalizer }

func parseNormalize(p *ruleParser) (action, error) {
	name, err := p.need("a normalizer")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range normalizers {
		names = append(names, n.name)
		switch {
		case n.name != name:
		case n.with != nil && p.peek() == n.option:
			p.next()
			return normalize{n.with}, nil
		default:
			return normalize{n.plain}, nil
		}
	}
	return nil, fmt.Errorf("unknown normalizer '%s'%s; there are %s", name, sample.Hint(name, names), strings.Join(names, ", "))
}

func (a normalize) run(x *sample.Ctx) Verdict {
	if x.Req == nil {
		return Continue
	}
	old := sample.PathQuery(x.Req)
	if len(old) == 0 || old[0] != '/' {
		return Continue // no path: CONNECT, OPTIONS *, http://host
	}
	var ok bool
	if x.Built, ok = a.form(x.Built[:0], old); !ok {
		x.Reply = sample.Reply{Status: 400, ErrorFile: true}
		return Deny
	}
	if !bytes.Equal(x.Built, old) {
		uri := x.Req.URI()
		x.Req.SetURI(slices.Concat(uri[:len(uri)-len(old)], x.Built)) // the head keeps it
	}
	return Continue
}

// sound is a normalizer that takes everything.
func sound(form func(dst, path []byte) []byte) normalizer {
	return func(dst, path []byte) ([]byte, bool) { return form(dst, path), true }
}

// onPath is one that leaves the query alone.
func onPath(form func(dst, path []byte) []byte) normalizer {
	return func(dst, path []byte) ([]byte, bool) {
		end := len(path)
		if i := bytes.IndexByte(path, '?'); i >= 0 {
			end = i
		}
		return append(form(dst, path[:end]), path[end:]...), true
	}
}

func encodeFragment(dst, path []byte) []byte {
	for _, c := range path {
		if c == '#' {
			dst = append(dst, "%23"...)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func stripFragment(dst, path []byte) []byte {
	path, _, _ = bytes.Cut(path, []byte{'#'})
	return append(dst, path...)
}

func mergeSlashes(dst, path []byte) []byte {
	for i, c := range path {
		if c == '/' && i > 0 && path[i-1] == '/' {
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// stripDot leaves segments out that are a dot.
func stripDot(dst, path []byte) []byte {
	for more := true; more; {
		var segment []byte
		segment, path, more = bytes.Cut(path, []byte{'/'})
		if len(segment) == 1 && segment[0] == '.' {
			continue
		}
		dst = append(dst, segment...)
		if more {
			dst = append(dst, '/')
		}
	}
	return dst
}

// stripDotDot leaves segments out together with the two dots that follow them,
// and in full also two dots with nothing before them.
func stripDotDot(full bool) func(dst, path []byte) []byte {
	return func(dst, path []byte) []byte {
		root := len(dst) + 1 // dst[root:] is empty or ends in a slash
		dst, path = append(dst, '/'), path[1:]
		for more := true; more; {
			var segment []byte
			segment, path, more = bytes.Cut(path, []byte{'/'})
			switch {
			case string(segment) != "..":
				dst = append(dst, segment...)
				if more {
					dst = append(dst, '/')
				}
			case len(dst) == root || bytes.HasSuffix(dst[root-1:], []byte("/../")):
				if !full {
					dst = append(dst, "../"...)
				}
			default:
				dst = dst[:root+1+bytes.LastIndexByte(dst[root:len(dst)-1], '/')]
			}
		}
		return dst
	}
}

// percent decodes what needs no encoding, or makes the digits of what is encoded
// upper case; strict takes nothing else after a percent sign.
func percent(decode, strict bool) normalizer {
	const hexDigits = "0123456789ABCDEF"
	return func(dst, path []byte) ([]byte, bool) {
		for i := 0; i < len(path); i++ {
			if path[i] != '%' {
				dst = append(dst, path[i])
				continue
			}
			high, low := -1, -1
			if i+2 < len(path) {
				high, low = hexValue(path[i+1]), hexValue(path[i+2])
			}
			c := byte(high<<4 | low)
			switch {
			case high < 0 || low < 0:
				if strict {
					return dst, false
				}
				dst = append(dst, '%')
				continue
			case !decode:
				dst = append(dst, '%', hexDigits[high], hexDigits[low])
			case unreserved(c):
				dst = append(dst, c)
			default:
				dst = append(dst, path[i:i+3]...)
			}
			i += 2
		}
		return dst, true
	}
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unreserved reports whether c may always stand for itself (RFC 3986, section
// 2.3).
func unreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// sortQuery sorts the parameters by their names; those of one name stay in their
// order.
func sortQuery(dst, path []byte) []byte {
	path, query, has := bytes.Cut(path, []byte{'?'})
	dst = append(dst, path...)
	if !has {
		return dst
	}
	parts := bytes.Split(bytes.TrimSuffix(query, []byte{'&'}), []byte{'&'}) // an & at the end parts nothing, as in HAProxy
	slices.SortStableFunc(parts, func(a, b []byte) int {
		a, _, _ = bytes.Cut(a, []byte{'='})
		b, _, _ = bytes.Cut(b, []byte{'='})
		return bytes.Compare(a, b)
	})
	for i, part := range parts {
		sep := byte('&')
		if i == 0 {
			sep = '?'
		}
		dst = append(append(dst, sep), part...)
	}
	return dst
}
