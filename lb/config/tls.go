package config

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/cfgfile"
)

// tlsDefaults is what ssl-default-bind-* lines set for the bind lines below.
type tlsDefaults struct {
	ciphers   []uint16
	suites    []uint16 // of TLS 1.3
	curves    []tls.CurveID
	min, max  uint16
	without   Versions
	noTickets bool
	strictSNI bool

	clientOrder bool
	server      ServerTLS // what ssl-default-server-* lines set

	fault, suitesFault, curvesFault, serverFault lateFault
	faults                                       []wordFault // of words on server lines, which Server.tlsFault counts from 1
}

// wordFault is what is wrong with a word of a server's.
type wordFault struct {
	word string
	err  error
	next uint16 // another of the same server; 0: none
}

// lateFault is what is wrong with a default for TLS, which counts once a line
// with ssl takes it.
type lateFault struct {
	pos cfgfile.Pos
	err error // nil for none
}

// later keeps what is wrong with a default.
func (c *call) later(f *lateFault, err error) error {
	*f = lateFault{c.pos, err}
	return nil
}

// counts makes it an error, once.
func (f *lateFault) counts(p *parser) {
	if f.err != nil {
		p.report.Errorf(f.pos, "%v", f.err)
		f.err = nil
	}
}

// unused warns of faults in defaults that nothing takes.
func (t *tlsDefaults) unused(p *parser) {
	for _, f := range []lateFault{t.fault, t.suitesFault, t.curvesFault, t.serverFault} {
		if f.err != nil {
			p.report.Advisef(f.pos, "%v (no error, as no line with 'ssl' uses it)", f.err)
		}
	}
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
	return c.chooseVersion(c.name, word, &t.MinVersion, &t.MaxVersion, &t.Without)
}

// chooseVersion applies a word about versions.
func (c *call) chooseVersion(name, word string, low, high *uint16, without *Versions) error {
	if name == "ssl-min-ver" && word == "SSLv3" { // as HAProxy with today's OpenSSL: the oldest there is
		c.p.report.Advisef(c.pos, "'%s SSLv3' is read as TLSv1.0: SSLv3 is broken and never spoken", name)
		word = "TLSv1.0"
	}
	return chooseVersion(name, word, low, high, without)
}

// chooseVersion reads a word that chooses versions: the lowest and the highest,
// or one that is left out.
func chooseVersion(name, word string, low, high *uint16, without *Versions) (err error) {
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
	minor := digits[1] - '0'
	if how == "force" {
		*low = uint16(tls.VersionTLS10) + uint16(minor)
		*high = *low
		return nil
	}
	*without |= 1 << minor
	return nil
}

// Versions are versions of TLS that no-tlsv10 to no-tlsv13 leave out, a bit for
// each.
type Versions uint8

// has reports whether a version is left out.
func (v Versions) has(version uint16) bool { return v&(1<<(version-tls.VersionTLS10)) != 0 }

// settle makes a lowest and a highest version of all that was said. Without a
// word from the operator low is 0, which is TLS 1.2, HAProxy's default as well.
// As in HAProxy, no-tlsv1x are ignored where a lowest or a highest version is
// named; a bind line with a low highest one has that alone.
func (v Versions) settle(low, high *uint16, bind bool) (ignored bool, err error) {
	switch {
	case *low == 0 && *high == 0:
		if v.has(tls.VersionTLS13) {
			*high = tls.VersionTLS12
		}
		if v.has(tls.VersionTLS12) {
			*low = tls.VersionTLS13
		}
	case v != 0:
		ignored = true
	}
	if *low == 0 && *high != 0 && *high < tls.VersionTLS12 {
		if *low = tls.VersionTLS10; bind {
			*low = *high
		}
	}
	if *high != 0 && *high < max(*low, tls.VersionTLS10) {
		return ignored, fmt.Errorf("no version of TLS is left between %s and %s", tls.VersionName(*low), tls.VersionName(*high))
	}
	return ignored, nil
}

// versionsIgnored is the warning about words that settle ignores.
const versionsIgnored = "no-tlsv10 to no-tlsv13 are ignored, as ssl-min-ver, ssl-max-ver or force-tlsv1x say which versions there are; write those alone"

// defaultBindOptions applies ssl-default-bind-options.
func (c *call) defaultBindOptions(*Global) error {
	t := &c.p.tls
	return c.defaultTLSOptions(&t.min, &t.max, &t.without, "'no-tls-tickets', 'strict-sni', 'prefer-client-ciphers'", func(name string) bool {
		switch name {
		case "no-tls-tickets":
			t.noTickets = true
		case "strict-sni":
			t.strictSNI = true
		case "prefer-client-ciphers":
			t.clientOrder = true
		default:
			return false
		}
		return true
	})
}

// defaultTLSOptions applies words that choose versions; set takes the others
// that the keyword knows, which a refusal lists.
func (c *call) defaultTLSOptions(least, most *uint16, without *Versions, others string, set func(name string) bool) error {
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
			if err := c.chooseVersion(name, word, least, most, without); err != nil {
				return err
			}
		case !set(name):
			return fmt.Errorf("'%s' does not know '%s': 'ssl-min-ver', 'ssl-max-ver', %s, '%s' are possible", c.name, name, others, strings.Join(tlsSwitches(), "', '"))
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

// curves maps OpenSSL's names, as far as crypto/tls has them.
var curves = map[string]tls.CurveID{
	"X25519": tls.X25519, "x25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768,
	"P-256": tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256,
	"P-384": tls.CurveP384, "secp384r1": tls.CurveP384,
	"P-521": tls.CurveP521, "secp521r1": tls.CurveP521,
}

// parseCurves reads a list with colons, and gives what is not known of it.
func parseCurves(name, list string) (ids []tls.CurveID, unknown []string, err error) {
	for word := range strings.SplitSeq(list, ":") {
		if id, ok := curves[word]; ok {
			ids = append(ids, id)
		} else {
			unknown = append(unknown, word)
		}
	}
	for i, word := range unknown {
		if !opensslGroups[word] || slices.Contains(unknown[:i], word) {
			return nil, nil, fmt.Errorf("'%s' : '%s' in '%s' is no curve that OpenSSL knows, or stands there twice: X25519, P-256, P-384, P-521 and X25519MLKEM768 can be used", name, word, list)
		}
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return nil, nil, fmt.Errorf("'%s' : '%s' has a curve twice: write it once", name, list)
		}
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("'%s' : none of '%s' is available: X25519, P-256, P-384, P-521 and X25519MLKEM768 are", name, list)
	}
	return ids, unknown, nil
}

// opensslGroups are the names of groups of OpenSSL 3.0 that crypto/tls does not have.
var opensslGroups = words("sect163k1 K-163 sect163r1 sect163r2 B-163 sect193r1 sect193r2 sect233k1 K-233 sect233r1 B-233 sect239k1 sect283k1 K-283 sect283r1 B-283 " +
	"sect409k1 K-409 sect409r1 B-409 sect571k1 K-571 sect571r1 B-571 secp160k1 secp160r1 secp160r2 secp192k1 secp192r1 prime192v1 P-192 secp224k1 secp224r1 P-224 secp256k1 " +
	"brainpoolP256r1 brainpoolP384r1 brainpoolP512r1 X448 x448 ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192")

// words is the set of those in a text.
func words(text string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		set[w] = true
	}
	return set
}

// provider looks at what is said of OpenSSL's providers. What they are named for
// alone, validated cryptography, is not silently left out.
func (c *call) provider(*Global) error {
	word := c.args[0]
	if strings.Contains(word, "fips") {
		return fmt.Errorf("'%s %s' cannot be had: TLS is Go's, not OpenSSL's with a validated module; remove the line where nobody asks for one", c.name, word)
	}
	if c.name == "ssl-provider" {
		return oneOf(c.name, word, "default", "legacy", "base", "null")
	}
	return nil
}

// curves reads them for a line of the configuration, and says what was lost.
func (c *call) curves() ([]tls.CurveID, error) {
	ids, unknown, err := parseCurves(c.name, c.args[0])
	if len(unknown) > 0 {
		c.p.report.Notef(c.pos, "'%s' : %s not available here, the others are used", c.name, are(unknown))
	}
	return ids, err
}

func bindCurves(c *call, b *bindDraft) (err error) {
	b.secure().Curves, err = c.curves()
	return b.withTLS(c, err)
}

// CrtListSettings reads the options of a line of a crt-list.
func (g *Global) CrtListSettings(words []string) (certs.Settings, error) {
	var s certs.Settings
	for len(words) > 0 {
		name, arg, n := words[0], "", 2
		switch name {
		case "no-ca-names", "allow-0rtt":
			n = 1
		case "alpn", "ca-file", "ca-verify-file", "ciphers", "ciphersuites", "crl-file", "curves", "ecdhe", "npn", "ocsp-update", "verify", "ssl-min-ver", "ssl-max-ver":
			if len(words) < 2 {
				return s, fmt.Errorf("'%s' expects a value", name)
			}
			arg = words[1]
		default:
			return s, fmt.Errorf("unknown ssl keyword %s; alpn, ca-file, ca-verify-file, ciphers, crl-file, curves, ecdhe, no-ca-names, ssl-min-ver, ssl-max-ver and verify are possible", name)
		}
		if err := g.crtListOption(&s, name, arg); err != nil {
			return s, err
		}
		words = words[n:]
	}
	return s, nil
}

func (g *Global) crtListOption(s *certs.Settings, name, arg string) (err error) {
	switch name {
	case "allow-0rtt", "ocsp-update": // neither early data nor OCSP answers of lb's own
	case "no-ca-names":
		s.NoCANames = true
	case "alpn":
		for proto := range strings.SplitSeq(arg, ",") {
			s.ALPN = append(s.ALPN, proto)
		}
	case "ca-file":
		s.CAFile = below(g.CABase, arg)
	case "ca-verify-file":
		s.VerifyFile = below(g.CABase, arg)
	case "crl-file":
		s.CRLFile = below(g.CABase, arg)
	case "ciphers":
		if arg == systemProfile {
			return nil
		}
		if s.Ciphers, _ = selectCiphers(arg); len(s.Ciphers) == 0 {
			return fmt.Errorf("'ciphers' : no cipher suite of TLS 1.2 is left of '%s'", arg)
		}
	case "curves":
		s.Curves, _, err = parseCurves(name, arg)
	case "ecdhe":
		if s.Curves == nil {
			s.Curves, _, err = parseCurves(name, arg)
		}
	case "verify":
		s.Verify = arg
		err = oneOf("verify", arg, "none", "optional", "required")
	case "ciphersuites":
		s.Suites, err = parseSuites(name, arg)
	case "ssl-min-ver", "ssl-max-ver":
		if name == "ssl-min-ver" && arg == "SSLv3" {
			arg = "TLSv1.0" // as on a bind line
		}
		err = chooseVersion(name, arg, &s.MinVersion, &s.MaxVersion, nil)
	}
	return err // npn has no effect, as on a bind line
}

// Files lists the files and directories that a bind line's TLS is made of; some
// need not be there.
func (t *BindTLS) Files(g *Global) []string {
	var list []string
	add := func(names ...string) {
		for _, n := range names {
			if n != "" && !strings.HasPrefix(n, "@") {
				list = append(list, n)
			}
		}
	}
	certificate := func(name string) {
		for _, ext := range []string{"", ".rsa", ".ecdsa"} {
			add(name + ext)
			for _, beside := range []string{".key", ".issuer", ".ocsp", ".sctl"} {
				add(g.TLSExtras.Path(name+ext, beside))
			}
		}
	}
	add(t.CAFile, t.VerifyFile, t.CRLFile, t.TicketKeys, g.IssuersChain)
	if t.Signing.On {
		add(t.Signing.File, g.TLSExtras.Path(t.Signing.File, ".key"))
	}
	for _, src := range t.Sources {
		if !src.List {
			certificate(src.Path)
			continue
		}
		add(src.Path)
		data, err := os.ReadFile(src.Path)
		if err != nil {
			continue // the load says so
		}
		lines, _ := certs.ParseList(data)
		for _, l := range lines {
			certificate(below(g.CrtBase, l.File))
			if s, err := g.CrtListSettings(l.Options); err == nil {
				add(s.CAFile, s.VerifyFile, s.CRLFile)
			}
		}
	}
	return list
}
