package peers

import "encoding/binary"

// Numbers have a form of their own: below 240 one byte; else four bits of it in a
// first byte of 240 and more, then seven in each byte, the last of which is below
// 128. What a byte says of itself is taken off before the rest is shifted, so each
// number has one form.

const (
	oneByte = 0xf0 // numbers from here on take more
	goesOn  = 0x80 // in a byte after the first: another one follows
)

// maxNumber is the longest form: 4 bits and nine times 7.
const maxNumber = 10

// appendNumber appends n.
func appendNumber(dst []byte, n uint64) []byte {
	if n < oneByte {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(n)|oneByte)
	for n = (n - oneByte) >> 4; n >= goesOn; n = (n - goesOn) >> 7 {
		dst = append(dst, byte(n)|goesOn)
	}
	return append(dst, byte(n))
}

// cursor reads a message. bad is set when there is less than is asked for; what is
// read then is nothing.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) fail() { c.rest, c.bad = nil, true }

// number reads a number.
func (c *cursor) number() uint64 {
	b := c.rest
	if len(b) == 0 {
		c.fail()
		return 0
	}
	n := uint64(b[0])
	if n < oneByte {
		c.rest = b[1:]
		return n
	}
	for i := 1; i < min(len(b), maxNumber); i++ {
		n += uint64(b[i]) << (4 + 7*(i-1))
		if b[i] < goesOn {
			c.rest = b[i+1:]
			return n
		}
	}
	c.fail()
	return 0
}

// word reads 32 bits.
func (c *cursor) word() uint32 {
	b := c.bytes(4)
	if c.bad {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// bytes reads n bytes, which are a view.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.fail()
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}
