package certs

import (
	"crypto/tls"
	"slices"
)

// Suites13 are the cipher suites of TLS 1.3 that there are, by their names.
var Suites13 = map[string]uint16{
	"TLS_AES_128_GCM_SHA256":       tls.TLS_AES_128_GCM_SHA256,
	"TLS_AES_256_GCM_SHA384":       tls.TLS_AES_256_GCM_SHA384,
	"TLS_CHACHA20_POLY1305_SHA256": tls.TLS_CHACHA20_POLY1305_SHA256,
}

// narrow leaves the client's hello one suite of TLS 1.3, the one to be taken, and
// those of other versions: crypto/tls takes no wish for TLS 1.3's, and chooses among
// what the hello has.
func (m *terms) narrow(hello *tls.ClientHelloInfo, to Judged) {
	if m.suites == nil {
		return
	}
	wanted, offered := m.suites, hello.CipherSuites
	if m.clientOrder {
		wanted, offered = offered, m.suites
	}
	taken := uint16(0)
	for _, id := range wanted {
		if slices.Contains(offered, id) {
			taken = id
			break
		}
	}
	left := slices.Clone(hello.CipherSuites)
	for i, id := range left {
		if id>>8 == 0x13 && id != taken {
			left[i] = 0 // which is no suite
		}
	}
	to.Narrow(hello, left)
}
