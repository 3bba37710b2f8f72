package tlsrecord

import "crypto/tls"

// Sizes of records (RFC 8446 section 5, RFC 5246 section 6.2).
const (
	HeaderSize   = 5
	MaxPlaintext = 1 << 14
	// MaxRecord is the largest record that is taken, header and all.
	MaxRecord = HeaderSize + MaxPlaintext + 2048
	// Overhead is the most that one record has besides its data, and
	// UpdateSize what a key update takes before it.
	Overhead   = HeaderSize + 8 + tagSize + 1
	UpdateSize = HeaderSize + updateMessage + 1 + tagSize

	maxPlus12 = MaxPlaintext + 2048
	maxPlus13 = MaxPlaintext + 256
)

// updateMessage is the size of a KeyUpdate message.
const updateMessage = 5

// ContentType is a record's type.
type ContentType uint8

// Content types.
const (
	ChangeCipherSpec ContentType = 20
	AlertRecord      ContentType = 21
	Handshake        ContentType = 22
	ApplicationData  ContentType = 23
)

// maxUseless is how many records without data the peer may send in a row:
// warnings, empty ones, key updates, tickets.
const maxUseless = 32

// gcmRecords is how many records a key of AES-GCM encrypts before TLS 1.3
// takes the next one (RFC 8446 section 5.5 has 2^24.5).
const gcmRecords = 1 << 24

// Conn is the record layer of one connection, its handshake done. Methods must
// not be called at once.
type Conn struct {
	suite   *suite
	in, out half
	limit   uint64 // records of a key
	client  bool   // this end is

	useless uint8
	owes    bool        // a key update, before the next data
	ended   bool        // the peer's close_notify came
	said    bool        // ours was sent, or an alert
	last    ContentType // of the last record opened
	err     error       // why nothing more is opened
	hand    []byte      // the beginning of a message that goes on in the next record
}

// newConn makes the record layer of a connection from the two secrets, of the
// peer's direction and ours, and the numbers of the next records.
func newConn(s *suite, client bool, in, out []byte, inSeq, outSeq uint64) (*Conn, error) {
	c := &Conn{suite: s, client: client, limit: gcmRecords}
	if err := c.in.set(s, in, inSeq); err != nil {
		return nil, err
	}
	if err := c.out.set(s, out, outSeq); err != nil {
		return nil, err
	}
	return c, nil
}

// Version is tls.VersionTLS12 or tls.VersionTLS13.
func (c *Conn) Version() uint16 { return c.suite.version }

// Suite is the cipher suite's number.
func (c *Conn) Suite() uint16 { return c.suite.id }

// Client reports whether this end is the client.
func (c *Conn) Client() bool { return c.client }

// Last is the type of the record that was opened last.
func (c *Conn) Last() ContentType { return c.last }

// Received is how many records were opened with the current key.
func (c *Conn) Received() uint64 { return c.in.seq }

// Ended reports whether the peer has said that it sends nothing more.
func (c *Conn) Ended() bool { return c.ended }

// Said reports whether the peer was told that nothing more is sent.
func (c *Conn) Said() bool { return c.said }

// Rest gives up what the next record derives again from the secrets: for a connection that is idle.
func (c *Conn) Rest() {
	c.in.rest()
	c.out.rest()
}

// Resting reports whether nothing is held that Rest would give up.
func (c *Conn) Resting() bool { return c.in.aead == nil && c.out.aead == nil }

// Forget overwrites the secrets. The connection is of no use afterwards.
func (c *Conn) Forget() {
	c.in.forget()
	c.out.forget()
	clear(c.hand)
	c.hand = nil
}

func (c *Conn) is13() bool { return c.suite.version == tls.VersionTLS13 }
