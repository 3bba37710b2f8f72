package config

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// tlsDefaults is what ssl-default-bind-* lines set for the bind lines below.
type tlsDefaults struct {
	ciphers   []uint16
	min, max  uint16
	noTickets bool
	strictSNI bool
	server    ServerTLS // what ssl-default-server-* lines set
}

// tlsVersion reads a version as ssl-min-ver writes it.
func tlsVersion(what, word string) (uint16, error) {
	switch word {
	case "TLSv1.0":
		return tls.VersionTLS10, nil
	case "TLSv1.1":
		return tls.VersionTLS11, nil
	case "TLSv1.2":
		return tls.VersionTLS12, nil
	case "TLSv1.3":
		return tls.VersionTLS13, nil
	case "SSLv3":
		return 0, fmt.Errorf("'%s' : SSLv3 is broken and not supported: TLSv1.0 is the oldest version", what)
	}
	return 0, fmt.Errorf("'%s' expects 'TLSv1.0', 'TLSv1.1', 'TLSv1.2' or 'TLSv1.3', not '%s'", what, word)
}

// tlsSwitches are the words that choose versions one by one.
func tlsSwitches() []string {
	return []string{
		"no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13",
		"force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13",
	}
}

// tlsOption applies ssl-min-ver, ssl-max-ver, no-* and force-* to a bind line.
func tlsOption(c *call, b *bindDraft) error {
	t := b.secure()
	word := ""
	if len(c.args) > 0 {
		word = c.args[0]
	}
	return chooseVersion(c.name, word, &t.MinVersion, &t.MaxVersion)
}

// chooseVersion narrows the versions from low to high. Without a word from
// the operator low stays 0, which is TLS 1.2, HAProxy's default as well.
func chooseVersion(name, word string, low, high *uint16) (err error) {
	switch name {
	case "ssl-min-ver":
		*low, err = tlsVersion(name, word)
		return err
	case "ssl-max-ver":
		*high, err = tlsVersion(name, word)
		return err
	case "no-sslv3":
		return nil // it is never spoken
	case "force-sslv3":
		_, err = tlsVersion(name, "SSLv3")
		return err
	}
	how, digits, _ := strings.Cut(name, "-tlsv")
	version := uint16(tls.VersionTLS10) + uint16(digits[1]-'0')
	switch {
	case how == "force":
		*low, *high = version, version
	case version == tls.VersionTLS13:
		*high = tls.VersionTLS12
	case version == tls.VersionTLS12 && *low < tls.VersionTLS13:
		*low = tls.VersionTLS13
	}
	// no-tlsv10 and no-tlsv11 exclude what the default excludes already.
	return nil
}

// defaultBindOptions applies ssl-default-bind-options.
func (c *call) defaultBindOptions(*Global) error {
	words := c.args
	for len(words) > 0 {
		name, word, n := words[0], "", 1
		switch {
		case name == "ssl-min-ver" || name == "ssl-max-ver":
			if len(words) < 2 {
				return fmt.Errorf("'%s' expects a version after '%s'", c.name, name)
			}
			word, n = words[1], 2
			fallthrough
		case isSwitch(name):
			if err := chooseVersion(name, word, &c.p.tls.min, &c.p.tls.max); err != nil {
				return err
			}
		case name == "no-tls-tickets":
			c.p.tls.noTickets = true
		case name == "strict-sni":
			c.p.tls.strictSNI = true
		case name == "prefer-client-ciphers":
			c.p.report.Notef(c.pos, "'%s %s' is ignored: the best cipher that both sides have is taken", c.name, name)
		default:
			return fmt.Errorf("'%s' does not know '%s': 'ssl-min-ver', 'ssl-max-ver', 'no-tls-tickets', 'strict-sni', 'prefer-client-ciphers', '%s' are possible", c.name, name, strings.Join(tlsSwitches(), "', '"))
		}
		words = words[n:]
	}
	return nil
}

func isSwitch(name string) bool {
	for _, s := range tlsSwitches() {
		if s == name {
			return true
		}
	}
	return false
}
