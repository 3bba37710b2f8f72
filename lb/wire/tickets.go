package wire

import (
	"crypto/tls"

	"lbsyslogd/lb/tlsrecord"
)

// tickets gives a client's crypto/tls the records with session tickets, which
// TLS 1.3 sends after the handshake: only it knows what to make of them, so that
// the next connection resumes the session. Servers send them before their first
// data, and so it ends with that: crypto/tls must see every record.
type tickets struct {
	conn *tls.Conn
	pipe *pipe
	copy []byte // of the record that is being opened, as it came
}

// before keeps a record that is about to be opened.
func (t *tickets) before(record []byte) {
	if t != nil {
		t.copy = append(t.copy[:0], record...)
	}
}

// after gives crypto/tls the record, if it had nothing but a message; false
// when no more may be given.
func (t *tickets) after(c *tlsrecord.Conn, data []byte, updated bool) bool {
	if len(data) > 0 || c.Last() != tlsrecord.Handshake || updated {
		return false
	}
	t.pipe.ticket = t.copy
	var none [1]byte
	_, err := t.conn.Read(none[:])
	t.copy = nil
	return err == errAgain
}
