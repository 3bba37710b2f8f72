package assemble

import (
	"bytes"
	"cmp"
	"net/netip"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
)

// What an algorithm of `balance` goes by.

// algorithms maps the configuration's words.
var algorithms = map[string]backend.Algo{
	"": backend.RoundRobin, "roundrobin": backend.RoundRobin, "static-rr": backend.RoundRobin,
	"leastconn": backend.LeastConn, "source": backend.Source, "uri": backend.URI,
	"random": backend.Random, "first": backend.First, "hash": backend.Key,
}

// hashFunc is the hash function of a backend.
func hashFunc(bal *config.Balance) backend.HashFunc {
	f := backend.HashFuncs[cmp.Or(bal.HashFunc, "sdbm")]
	if !bal.Avalanche {
		return f
	}
	return func(b []byte) uint32 { return backend.FullHash(f(b)) }
}

// addrHash is the hash of balance source.
func addrHash(bal *config.Balance) func(netip.Addr) uint32 {
	if !bal.Avalanche {
		return backend.HashAddr
	}
	return func(a netip.Addr) uint32 { return backend.FullHash(backend.HashAddr(a)) }
}

// keyHash hashes the key of balance hdr and its kin.
func keyHash(bal *config.Balance) backend.HashFunc {
	f := hashFunc(bal)
	if !bal.DomainOnly {
		return f
	}
	return func(b []byte) uint32 { return f(domainOnly(b)) }
}

// domainOnly is what stands before the last dot of a name, and after the dot
// before that: "example" of "www.example.com".
func domainOnly(name []byte) []byte {
	end := bytes.LastIndexByte(name, '.')
	if end < 0 {
		return name
	}
	return name[bytes.LastIndexByte(name[:end], '.')+1 : end]
}

// uriHash is the part of the URI that balance uri hashes: up to the query
// (unless whole), at most len bytes, at most depth directories.
func uriHash(bal *config.Balance) func([]byte) uint32 {
	limit, depth, whole, pathOnly, hash := bal.URILen, bal.URIDepth, bal.URIWhole, bal.URIPathOnly, hashFunc(bal)
	return func(uri []byte) uint32 {
		if pathOnly && len(uri) > 0 && uri[0] != '/' {
			if i := bytes.Index(uri, []byte("://")); i >= 0 {
				uri = uri[i+3:]
				uri = uri[max(bytes.IndexByte(uri, '/'), 0):]
			}
		}
		end, slashes := 0, 0
		for end < len(uri) && (limit == 0 || end < limit) {
			c := uri[end]
			if c == '?' && !whole {
				break
			}
			if c == '/' {
				if slashes++; depth > 0 && slashes > depth {
					break
				}
			}
			end++
		}
		return hash(uri[:end])
	}
}
