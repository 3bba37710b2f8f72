package sample

import (
	"fmt"
	"slices"
	"strings"
)

// fetchRow is one sample fetch.
type fetchRow struct {
	name   string
	args   string // readArgs' signature
	kind   Kind
	where  Where
	method bool   // what it gives is a method, which HAProxy casts to nothing but texts
	derive bool   // path_beg, path_end, ... exist besides path
	match  string // matching method in ACLs when it is not the type's own
	log    string // the log-format variable that shows the same
	needs  Needs  // facts the engine gathers only when asked
	get    func(x *Ctx, a *args) (Value, bool)
	check  func(a *args) error
	idle   string // why it shows nothing, for a warning where it is used
}

// fetches is the table; findFetch reads it.
var fetches = slices.Concat(fetchesHTTP, fetchesBody, fetchesContent, fetchesFacts, fetchesTLS, fetchesHello, fetchesProxied, fetchesParties, fetchesTimers, fetchesTable, fetchesAuth, fetchesGauge)

// alias are other names of the rows.
var fetchAlias = map[string]string{
	"hdr_cnt":            "req.hdr_cnt",
	"hdr_ip":             "req.hdr_ip",
	"hdr_val":            "req.hdr_val",
	"shdr":               "res.hdr",
	"shdr_cnt":           "res.hdr_cnt",
	"shdr_ip":            "res.hdr_ip",
	"shdr_val":           "res.hdr_val",
	"cook":               "req.cook",
	"cook_cnt":           "req.cook_cnt",
	"cook_val":           "req.cook_val",
	"scook":              "res.cook",
	"scook_cnt":          "res.cook_cnt",
	"scook_val":          "res.cook_val",
	"cookie":             "req.cook",
	"url_param":          "urlp",
	"req_ver":            "req.ver",
	"resp_ver":           "res.ver",
	"req_proto_http":     "req.proto_http",
	"req_len":            "req.len",
	"rep_ssl_hello_type": "res.ssl_hello_type",
	"req.rdp_cookie":     "rdp_cookie",
	"req.rdp_cookie_cnt": "rdp_cookie_cnt",
	"req_rdp_cookie":     "rdp_cookie",
	"req_rdp_cookie_cnt": "rdp_cookie_cnt",
	"req_ssl_hello_type": "req.ssl_hello_type",
	"req_ssl_sni":        "req.ssl_sni",
	"req_ssl_ver":        "req.ssl_ver",
}

// suffixes are the ACL derivatives: name and matching method.
var suffixes = []string{"beg", "dir", "dom", "end", "len", "reg", "sub"}

// findFetch finds a fetch by name; with acl set also an ACL keyword such as
// path_beg, whose matching method comes along.
func findFetch(name string, acl bool) (*fetchRow, string, error) {
	if row := fetchNamed(name); row != nil {
		switch {
		case !acl:
		case name == "payload", name == "payload_lv":
			return fetchNamed("req." + name), "bin", nil
		case name == "hdr":
			row = fetchNamed("req." + name) // HAProxy: ACL keywords mean the request
		}
		return row, row.match, nil
	}
	base, suffix, ok := cutSuffix(name)
	if ok {
		if base == "hdr" {
			base = "req.hdr"
		}
		if row := fetchNamed(base); row != nil && row.derive {
			if acl {
				return row, suffix, nil
			}
			return nil, "", fmt.Errorf("'%s' is an ACL keyword, not a fetch method; use '%s'", name, base)
		}
	}
	if why, ok := fetchRefused[name]; ok {
		return nil, "", Refused(fmt.Sprintf("fetch method '%s'", name), why)
	}
	if err := noScript("fetch method", name); err != nil {
		return nil, "", err
	}
	if name == "" {
		return nil, "", fmt.Errorf("missing fetch method")
	}
	return nil, "", fmt.Errorf("unknown fetch method '%s'%s", name, Hint(name, fetchNames(acl)))
}

// Fetches names all sample fetches, without ACL derivatives.
func Fetches() []string {
	names := fetchNames(false)
	slices.Sort(names)
	return slices.Compact(names)
}

// IsFetch reports whether a name is that of a sample fetch or of an ACL keyword
// derived from one.
func IsFetch(name string) bool {
	_, _, err := findFetch(name, true)
	return err == nil
}

func fetchNamed(name string) *fetchRow {
	if real, ok := fetchAlias[name]; ok {
		name = real
	}
	for i := range fetches {
		if fetches[i].name == name {
			return &fetches[i]
		}
	}
	return nil
}

// cutSuffix splits "path_beg" into "path" and "beg".
func cutSuffix(name string) (base, suffix string, ok bool) {
	i := strings.LastIndexByte(name, '_')
	if i < 0 {
		return "", "", false
	}
	for _, s := range suffixes {
		if name[i+1:] == s {
			return name[:i], s, true
		}
	}
	return "", "", false
}

// fetchNames lists what a mistyped name could have meant.
func fetchNames(acl bool) []string {
	var names []string
	for i := range fetches {
		names = append(names, fetches[i].name)
		if acl && fetches[i].derive {
			for _, s := range suffixes {
				names = append(names, fetches[i].name+"_"+s)
			}
		}
	}
	for name := range fetchAlias {
		names = append(names, name)
	}
	if acl {
		for _, s := range suffixes {
			names = append(names, "hdr_"+s, "cook_"+s)
		}
	}
	return names
}
