package control

import "strings"

// Certificates is what the commands about TLS act on.
type Certificates interface {
	// Command runs `verb ssl object args`, and gives the answer.
	Command(verb, object string, args []string, payload []byte) string
}

// sslCommands are those about certificates and other files of TLS.
func sslCommands() []command {
	return []command{
		ssl("abort ssl ca-file", "<cafile>", "abort a transaction for a CA file", Admin),
		ssl("abort ssl cert", "<certfile>", "abort a transaction for a certificate file", Admin),
		ssl("abort ssl crl-file", "<crlfile>", "abort a transaction for a CRL file", Admin),
		ssl("add ssl crt-list", "<list> <cert> [opts]*", "add to crt-list file <list> a line <cert> or a payload", Admin),
		ssl("commit ssl ca-file", "<cafile>", "commit a CA file", Admin),
		ssl("commit ssl cert", "<certfile>", "commit a certificate file", Admin),
		ssl("commit ssl crl-file", "<crlfile>", "commit a CRL file", Admin),
		ssl("del ssl ca-file", "<cafile>", "delete an unused CA file", Admin),
		ssl("del ssl cert", "<certfile>", "delete an unused certificate file", Admin),
		ssl("del ssl crl-file", "<crlfile>", "delete an unused CRL file", Admin),
		ssl("del ssl crt-list", "<list> <cert[:line]>", "delete a line <cert> from crt-list file <list>", Admin),
		ssl("new ssl ca-file", "<cafile>", "create a new CA file to be used in a crt-list", Admin),
		ssl("new ssl cert", "<certfile>", "create a new certificate file to be used in a crt-list or a directory", Admin),
		ssl("new ssl crl-file", "<crlfile>", "create a new CRL file to be used in a crt-list", Admin),
		ssl("set ssl ca-file", "<cafile> <payload>", "replace a CA file", Admin),
		ssl("set ssl cert", "<certfile> <payload>", "replace a certificate file", Admin),
		ssl("set ssl crl-file", "<crlfile> <payload>", "replace a CRL file", Admin),
		ssl("set ssl ocsp-response", "<resp|payload>", "update a certificate's OCSP Response from a base64-encode DER", Admin),
		ssl("set ssl tls-key", "[id|file] <key>", "set the next TLS key for the <id> or <file> listener to <key>", Admin),
		ssl("show ssl ca-file", "[<cafile>[:<index>]]", "display the SSL CA files used in memory, or the details of a <cafile>, or a single certificate of index <index> of a CA file <cafile>", Operator),
		ssl("show ssl cert", "[<certfile>]", "display the SSL certificates used in memory, or the details of a file", Operator),
		ssl("show ssl crl-file", "[<crlfile[:<index>>]]", "display the SSL CRL files used in memory, or the details of a <crlfile>, or a single CRL of index <index> of CRL file <crlfile>", Operator),
		ssl("show ssl crt-list", "[-n] [<list>]", "show the list of crt-lists or the content of a crt-list file <list>", Admin),
		ssl("show ssl ocsp-response", "[id]", "display the IDs of the OCSP responses used in memory, or the details of a single OCSP response", User),
		ssl("show ssl providers", "", "show loaded SSL providers", User),
		{"show tls-keys", "show tls-keys [id|*]", "show tls keys references or dump tls ticket keys when id specified", Operator, func(c *session, args []string) {
			if len(args) > 0 && c.level < Admin {
				c.fail("Permission denied")
				return
			}
			c.certificates("show", "tls-keys", args)
		}, ""},
	}
}

func ssl(words, usage, help string, level Level) command {
	w := strings.Fields(words)
	usage = strings.TrimSpace(words + " " + usage)
	if words == "new ssl crl-file" {
		usage = "new ssl crlfile <crlfile>" // as HAProxy calls it in its help
	}
	return command{words, usage, help, level, func(c *session, args []string) { c.certificates(w[0], w[2], args) }, ""}
}

func (c *session) certificates(verb, object string, args []string) {
	if c.Certificates == nil {
		c.fail("There is no TLS here.")
		return
	}
	if text := c.Certificates.Command(verb, object, args, c.payload); text != "" {
		c.say(strings.TrimSuffix(text, "\n"))
	}
}
