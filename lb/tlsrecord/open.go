package tlsrecord

import (
	"encoding/binary"
	"io"
)

// Size is the size of the record that b begins with, header and all, or 0
// while b has no whole header. An error says that what comes is no record.
func (c *Conn) Size(b []byte) (int, error) {
	if len(b) < HeaderSize {
		return 0, nil
	}
	n := int(b[3])<<8 | int(b[4])
	switch {
	case c.is13() && ContentType(b[0]) != ApplicationData:
		// A change_cipher_spec, too: the peer's Finished has come (section 5).
		return 0, fault(UnexpectedMessage, "a record that is not encrypted")
	case !c.is13() && (b[0] < byte(ChangeCipherSpec) || b[0] > byte(ApplicationData)):
		return 0, fault(UnexpectedMessage, "a record of an unknown type")
	case !c.is13() && (b[1] != 3 || b[2] != 3):
		return 0, fault(ProtocolVersion, "a record of another version")
	case c.is13() && n > maxPlus13, n > maxPlus12:
		return 0, fault(RecordOverflow, "a record that is too large")
	}
	return HeaderSize + n, nil
}

// Open decrypts a record, a whole one, and gives its data; nil if it had none.
// The data is put at the beginning of dst, if that has a capacity of the
// record's size, and else in record, which is overwritten in either case.
// io.EOF is the peer's close_notify. After an error every call gives it again.
func (c *Conn) Open(dst, record []byte) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	data, err := c.open(dst, record)
	c.err = err
	return data, err
}

func (c *Conn) open(dst, record []byte) ([]byte, error) {
	plain, kind, err := c.decrypt(dst, record)
	if err != nil {
		return nil, err
	}
	c.last = kind
	if len(c.hand) > 0 && kind != Handshake {
		return nil, fault(UnexpectedMessage, "a message with another record in its middle")
	}
	switch kind {
	case ApplicationData:
		if len(plain) > 0 {
			c.useless = 0
			return plain, nil
		}
	case AlertRecord:
		if err := c.alert(plain); err != nil {
			return nil, err
		}
	case Handshake:
		if err := c.handshake(plain); err != nil {
			return nil, err
		}
	default:
		return nil, fault(UnexpectedMessage, "a record of an unexpected type")
	}
	if c.useless++; c.useless > maxUseless {
		return nil, fault(UnexpectedMessage, "too many records without data")
	}
	return nil, nil
}

// decrypt gives a record's content and its type.
func (c *Conn) decrypt(dst, record []byte) (plain []byte, kind ContentType, err error) {
	h := &c.in
	head, sealed := record[:HeaderSize], record[HeaderSize:]
	explicit := c.suite.explicit()
	if len(sealed) < explicit+tagSize {
		return nil, 0, fault(BadRecordMAC, "a record that is too short")
	}
	if h.seq == 1<<64-1 {
		return nil, 0, fault(InternalError, "no record numbers are left")
	}
	if err := h.wake(c.suite); err != nil {
		return nil, 0, fault(InternalError, "no key: "+err.Error())
	}
	var nonce, aad []byte
	if explicit > 0 {
		copy(h.nonce[:], h.iv[:])
		copy(h.nonce[nonceSize-explicit:], sealed)
		nonce, sealed = h.nonce[:], sealed[explicit:]
	} else {
		nonce = h.implicit()
	}
	if c.is13() {
		aad = append(h.aad[:0], head...)
	} else {
		aad = appendAAD12(h, head[0], len(sealed)-tagSize)
	}
	if cap(dst) < len(sealed) {
		dst = sealed
	}
	plain, err = h.aead.Open(dst[:0], nonce, sealed, aad)
	if err != nil {
		return nil, 0, fault(BadRecordMAC, "a record that was not encrypted with the connection's key")
	}
	h.seq++
	kind = ContentType(head[0])
	if c.is13() {
		if len(plain) > MaxPlaintext+1 {
			return nil, 0, fault(RecordOverflow, "a record with too much content")
		}
		i := len(plain) - 1
		for i >= 0 && plain[i] == 0 { // padding
			i--
		}
		if i < 0 {
			return nil, 0, fault(UnexpectedMessage, "a record without a type")
		}
		plain, kind = plain[:i], ContentType(plain[i])
	}
	if len(plain) > MaxPlaintext {
		return nil, 0, fault(RecordOverflow, "a record with too much content")
	}
	return plain, kind, nil
}

// appendAAD12 is what TLS 1.2 authenticates besides the content (RFC 5246
// section 6.2.3.3).
func appendAAD12(h *half, kind byte, n int) []byte {
	aad := binary.BigEndian.AppendUint64(h.aad[:0], h.seq)
	return append(aad, kind, 3, 3, byte(n>>8), byte(n))
}

// alert takes an alert (RFC 8446 section 6): the level means something only in
// TLS 1.2.
func (c *Conn) alert(b []byte) error {
	if len(b) != 2 {
		return fault(DecodeError, "an alert of the wrong size")
	}
	a := Alert(b[1])
	switch {
	case a == CloseNotify:
		c.ended = true
		return io.EOF
	case c.is13() && a == UserCanceled, !c.is13() && b[0] == alertWarning:
		return nil
	}
	c.ended = true
	return &Error{Alert: a, Remote: true}
}

// Messages after the handshake (RFC 8446 section 4.6).
const (
	helloRequest     = 0
	newSessionTicket = 4
	keyUpdate        = 24
)

// maxTicket bounds a message, its header included.
const maxTicket = 4 + 64<<10

// handshake takes the messages of a record.
func (c *Conn) handshake(b []byte) error {
	switch {
	case !c.is13():
		return fault(NoRenegotiation, "renegotiation, which is not done")
	case len(b) == 0:
		return fault(UnexpectedMessage, "an empty piece of a message")
	}
	if len(c.hand) > 0 {
		c.hand = append(c.hand, b...)
		b = c.hand
	}
	for len(b) > 0 {
		n, err := c.message(b)
		if err != nil {
			return err
		}
		if n == 0 {
			c.hand = append([]byte(nil), b...)
			return nil
		}
		b = b[n:]
	}
	c.hand = nil
	return nil
}

// message takes the message that b begins with and gives its size; 0 while it
// is not complete.
func (c *Conn) message(b []byte) (int, error) {
	kind := b[0]
	switch {
	case kind == keyUpdate:
	case kind == newSessionTicket && c.client:
	default:
		return 0, fault(UnexpectedMessage, "an unexpected message")
	}
	if len(b) < 4 {
		return 0, nil
	}
	n := 4 + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
	switch {
	case kind == newSessionTicket && n > maxTicket:
		return 0, fault(DecodeError, "a ticket that is too large")
	case kind == keyUpdate && n != updateMessage:
		return 0, fault(DecodeError, "a key update of the wrong size")
	case len(b) < n:
		return 0, nil
	case kind == newSessionTicket:
		return n, nil
	}
	if len(b) > n { // the next record has another key (section 5.1)
		return 0, fault(UnexpectedMessage, "a key update that is not the last of its record")
	}
	switch b[4] {
	case 0:
	case 1:
		c.owes = true
	default:
		return 0, fault(IllegalParameter, "a key update that asks for something unknown")
	}
	if err := c.in.update(c.suite); err != nil {
		return 0, fault(InternalError, err.Error())
	}
	return n, nil
}
