package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// OpenSSL's cipher expressions (openssl-ciphers(1)), mapped to the suites
// that crypto/tls has. The order of suites has no meaning there: the best
// that both sides have is taken. TLS 1.3's suites are not part of it.

// suite is one cipher suite of TLS 1.0 to 1.2 with the properties that
// expressions select by.
type suite struct {
	id    uint16
	name  string // OpenSSL's
	tags  string // blank-separated words of expressions that include it
	unfit bool   // only on demand, by its full name
}

func suites() []suite {
	const (
		ecdsa = "ALL DEFAULT ECDHE EECDH ECDH kECDHE kEECDH ECDSA aECDSA AES HIGH "
		rsa   = "ALL DEFAULT ECDHE EECDH ECDH kECDHE kEECDH RSA aRSA AES HIGH "
		kRSA  = "ALL DEFAULT RSA kRSA aRSA AES HIGH "
		gcm   = "AESGCM TLSv1.2 "
		cbc   = "SHA SHA1 SSLv3 TLSv1 TLSv1.0 "
	)
	return []suite{
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", ecdsa + gcm + "AES128 SHA256", false},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", rsa + gcm + "AES128 SHA256", false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", ecdsa + gcm + "AES256 SHA384", false},
		{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", rsa + gcm + "AES256 SHA384", false},
		{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", "ALL DEFAULT ECDHE EECDH ECDH kECDHE kEECDH ECDSA aECDSA CHACHA20 HIGH TLSv1.2", false},
		{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", "ALL DEFAULT ECDHE EECDH ECDH kECDHE kEECDH RSA aRSA CHACHA20 HIGH TLSv1.2", false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", ecdsa + cbc + "AES128", false},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", rsa + cbc + "AES128", false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", ecdsa + cbc + "AES256", false},
		{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", rsa + cbc + "AES256", false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256", "", true},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256", "", true},
		{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", kRSA + gcm + "AES128 SHA256", false},
		{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", kRSA + gcm + "AES256 SHA384", false},
		{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256", "", true},
		{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", kRSA + cbc + "AES128", false},
		{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", kRSA + cbc + "AES256", false},
		{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, "ECDHE-RSA-DES-CBC3-SHA", "", true},
		{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, "DES-CBC3-SHA", "", true},
	}
}

func (s suite) has(tag string) bool {
	return s.name == tag || slices.Contains(strings.Fields(s.tags), tag)
}

// selectCiphers gives the suites that an expression leaves, and its parts
// that name nothing crypto/tls has. An exclusion of something it does not
// have anyway is not among those.
func selectCiphers(expression string) (ids []uint16, unknown []string) {
	all := suites()
	killed := map[uint16]bool{}
	chosen := map[uint16]bool{}
	for _, part := range strings.FieldsFunc(expression, func(c rune) bool { return c == ':' || c == ',' || c == ' ' || c == ';' }) {
		// @STRENGTH and @SECLEVEL, alone or behind a suite: order and limits are crypto/tls's own.
		if part, _, _ = strings.Cut(part, "@"); part == "" {
			continue
		}
		operator := byte(0)
		if strings.IndexByte("!-+", part[0]) >= 0 {
			operator, part = part[0], part[1:]
		}
		tags := strings.Split(part, "+")
		found := false
		for _, s := range all {
			if !matchesAll(s, tags) {
				continue
			}
			found = true
			switch operator {
			case '!':
				killed[s.id] = true
			case '-':
				delete(chosen, s.id)
			case 0:
				chosen[s.id] = true
			}
		}
		if !found && operator == 0 {
			unknown = append(unknown, part)
		}
	}
	for _, s := range all {
		if chosen[s.id] && !killed[s.id] {
			ids = append(ids, s.id)
		}
	}
	return ids, unknown
}

func matchesAll(s suite, tags []string) bool {
	for _, tag := range tags {
		if !s.has(tag) {
			return false
		}
	}
	return true
}

// systemProfile stands for a choice that distributions make for all programs.
const systemProfile = "PROFILE=SYSTEM"

// ciphers maps an expression and says what was lost.
func (c *call) ciphers(expression string) ([]uint16, error) {
	if expression == systemProfile {
		c.p.report.Notef(c.pos, "'%s PROFILE=SYSTEM' means lb's own choice of cipher suites, which is a modern one", c.name)
		return nil, nil
	}
	ids, unknown := selectCiphers(expression)
	if len(ids) == 0 {
		return nil, fmt.Errorf("'%s' : no cipher suite of TLS 1.2 is left of '%s'; ECDHE-ECDSA-AES128-GCM-SHA256 and ECDHE-RSA-AES128-GCM-SHA256 are a good choice", c.name, expression)
	}
	if len(unknown) > 0 {
		c.p.report.Notef(c.pos, "'%s' : %s not available here (no DHE, PSK, CCM, CAMELLIA, RC4), the others are used", c.name, are(unknown))
	}
	return ids, nil
}

// are lists words as a subject: "'a' is", "'a', 'b' are".
func are(words []string) string {
	list := "'" + strings.Join(words, "', '") + "'"
	if len(words) == 1 {
		return list + " is"
	}
	return list + " are"
}
