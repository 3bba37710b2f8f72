package dialect

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// overheard keeps what a client sends first.
type overheard struct {
	net.Conn
	hello []byte
}

func (c *overheard) Write(b []byte) (int, error) {
	if c.hello == nil {
		c.hello = bytes.Clone(b)
	}
	return c.Conn.Write(b)
}

// extensions are the numbers of a hello's extensions, in hexadecimal digits: they differ between versions of the client's library.
func extensions(hello []byte) string {
	b := hello[5+4+2+32:]
	b = b[1+b[0]:]                       // session
	b = b[2+binary.BigEndian.Uint16(b):] // ciphers
	b = b[1+b[0]:][2:]                   // compression
	var all strings.Builder
	for len(b) >= 4 {
		fmt.Fprintf(&all, "%04X", binary.BigEndian.Uint16(b))
		b = b[4+binary.BigEndian.Uint16(b[2:]):]
	}
	return all.String()
}

// TestWhatHellosSay: what a client's TLS hello said, as far as the buffer for it goes: all of it, a part, nothing.
func TestWhatHellosSay(t *testing.T) {
	var rules strings.Builder
	for _, f := range []string{
		"ssl_fc_protocol_hello_id", "ssl_fc_cipherlist_bin,hex", "ssl_fc_cipherlist_bin(1),be2dec(-,2)", "ssl_fc_cipherlist_hex(0)", "ssl_fc_cipherlist_str", "ssl_fc_cipherlist_xxh",
		"ssl_fc_extlist_bin,hex", "ssl_fc_extlist_bin(1),hex,length", "ssl_fc_eclist_bin(1),be2dec(-,2)", "ssl_fc_ecformats_bin,be2dec(-,1)",
	} {
		rules.WriteString("  http-response add-header X-Said \"" + f + " %[" + f + "]\"\n")
	}
	for _, setting := range []string{"tune.ssl.capture-buffer-size 400", "tune.ssl.capture-cipherlist-size 3", "tune.ssl.capture-buffer-size 9", "tune.ssl.capture-buffer-size 27", ""} {
		theirs, ours := both(t, preface(setting, "LINE %ST %[ssl_fc_cipherlist_hex]")+`
frontend fe
  bind HTTP ssl crt DIR/site.pem
`+rules.String()+`
  default_backend be
backend be
  server first S1
`, certificates(t))
		drive := func(s *subject) (got []string) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				raw, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Fatal(err)
				}
				heard := &overheard{Conn: raw}
				c := tls.Client(heard, &tls.Config{
					InsecureSkipVerify: true, ServerName: "site.test", MaxVersion: version, CurvePreferences: []tls.CurveID{tls.CurveP384, tls.CurveP256},
					CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
				})
				io.WriteString(c, "GET /x HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
				answer, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				c.Close()
				sent := extensions(heard.hello)
				for _, line := range answer.Header.Values("X-Said") {
					if version == tls.VersionTLS13 && strings.Contains(line, "cipherlist") {
						continue // the client's library orders these by the machine
					}
					line = strings.ReplaceAll(line, sent, "EXTENSIONS")
					got = append(got, strings.ReplaceAll(line, fmt.Sprint("length ", len(sent)), "length LENGTH"))
				}
			}
			return got
		}
		same(t, setting, seen(theirs, drive), drive(ours))
	}
}
