package http1

// Limits of a chunked body's framing, which is read as strictly as the head.
const (
	maxChunkDigits = 15
	maxChunkExt    = 4096 // bytes of chunk extensions in a row
	maxTrailer     = 8192
)

var (
	errChunkSize = &Error{400, "malformed chunk size [7.1]"}
	errChunkExt  = &Error{400, "malformed or too long chunk extension [7.1.1]"}
	errChunkEnd  = &Error{400, "chunk data does not end in CRLF [7.1]"}
	errTrailer   = &Error{400, "malformed or too long trailer section [7.1.2]"}

	errTrailerName = &Error{400, "a trailer that frames or routes a message [7.1.2]"}
)

type chunkState uint8

const (
	chunkSize  chunkState = iota // the zero value: before the first digit
	chunkBlank                   // white space after the size: only an extension or the end may follow
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
	chunkDone
)

// Chunks follows one chunked body (RFC 9112 section 7.1). The zero value
// stands before its first byte.
type Chunks struct {
	left   uint64 // bytes of the current chunk still to come
	state  chunkState
	digits uint8  // of the size so far; in a trailer's name, its bytes so far
	maybe  uint8  // which of reserved the trailer's name may still become, a bit each
	count  uint16 // bytes of extension or trailer so far
}

// reserved names no trailer may have: a server that merges trailers into the
// head would frame or route by them (RFC 9110 section 6.5.1).
var reserved = [...]string{"content-length", "transfer-encoding", "host", "connection"}

// Done reports whether the last byte of the trailer section has passed.
func (c *Chunks) Done() bool { return c.state == chunkDone }

// InData reports whether the next byte is body data.
func (c *Chunks) InData() bool { return c.state == chunkData }

// InTrailers reports whether the next byte belongs to the trailer section, with
// the empty line that ends it.
func (c *Chunks) InTrailers() bool { return c.state >= trailerStart && c.state != chunkDone }

// Next checks a prefix of b and gives its length; data says whether it is body
// data (to the end of the chunk or of b) or framing. n < len(b) without an
// error means that the kind changes there, as where trailers begin, or that the
// body is done.
func (c *Chunks) Next(b []byte) (n int, data bool, err error) {
	if len(b) == 0 || c.state == chunkDone {
		return 0, false, nil
	}
	if c.state == chunkData {
		n = len(b)
		if uint64(n) >= c.left {
			n, c.state = int(c.left), chunkDataCR
		}
		c.left -= uint64(n)
		return n, true, nil
	}
	framing := c.state < trailerStart
	for n < len(b) && c.state != chunkData && c.state != chunkDone {
		if err := c.frameByte(b[n]); err != nil {
			return n, false, err
		}
		n++
		if framing && c.state == trailerStart {
			break
		}
	}
	return n, false, nil
}

// Pass checks b as a whole, data and framing alike, and gives how much of it
// belongs to the body.
func (c *Chunks) Pass(b []byte) (n int, err error) {
	for n < len(b) && c.state != chunkDone {
		m, _, err := c.Next(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (c *Chunks) frameByte(x byte) error {
	switch c.state {
	case chunkSize:
		if d := hexDigit(x); d >= 0 {
			if c.digits++; c.digits > maxChunkDigits {
				return errChunkSize
			}
			c.left = c.left<<4 | uint64(d)
			return nil
		}
		if c.digits == 0 {
			return errChunkSize
		}
		c.count = 0
		return c.afterSize(x)
	case chunkBlank:
		if c.count++; c.count > maxChunkExt {
			return errChunkExt
		}
		return c.afterSize(x)
	case chunkExt:
		if c.count++; c.count > maxChunkExt {
			return errChunkExt
		}
		if x == '\r' {
			c.state = chunkSizeLF
		} else if class[x]&isCtl != 0 {
			return errChunkExt
		}
	case chunkSizeLF:
		if x != '\n' {
			return errChunkSize
		}
		c.count, c.digits = 0, 0
		if c.left == 0 {
			c.state = trailerStart
		} else {
			c.state = chunkData
		}
	case chunkDataCR:
		if x != '\r' {
			return errChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if x != '\n' {
			return errChunkEnd
		}
		c.state = chunkSize
	default:
		return c.trailerByte(x)
	}
	return nil
}

// afterSize takes a byte after the digits of a size.
func (c *Chunks) afterSize(x byte) error {
	switch x {
	case '\r':
		c.state = chunkSizeLF
	case ';':
		c.state = chunkExt
	case ' ', '\t':
		c.state = chunkBlank
	default:
		return errChunkSize
	}
	return nil
}

func (c *Chunks) trailerByte(x byte) error {
	if c.count++; c.count > maxTrailer {
		return errTrailer
	}
	switch c.state {
	case trailerStart:
		switch {
		case x == '\r':
			c.state = trailerEndLF
		case class[x]&isToken != 0:
			c.state = trailerName
			c.digits, c.maybe = 0, 1<<len(reserved)-1
			c.nameByte(x)
		default:
			return errTrailer
		}
	case trailerName:
		switch {
		case x == ':':
			if c.isReserved() {
				return errTrailerName
			}
			c.state = trailerValue
		case class[x]&isToken == 0:
			return errTrailer
		default:
			c.nameByte(x)
		}
	case trailerValue:
		if x == '\r' {
			c.state = trailerLF
		} else if class[x]&isCtl != 0 {
			return errTrailer
		}
	case trailerLF:
		if x != '\n' {
			return errTrailer
		}
		c.state = trailerStart
	case trailerEndLF:
		if x != '\n' {
			return errTrailer
		}
		c.state = chunkDone
	}
	return nil
}

// nameByte follows a trailer's name along the reserved ones.
func (c *Chunks) nameByte(x byte) {
	for i, name := range reserved {
		if int(c.digits) >= len(name) || name[c.digits] != lower[x] {
			c.maybe &^= 1 << i
		}
	}
	if c.maybe != 0 {
		c.digits++
	}
}

func (c *Chunks) isReserved() bool {
	for i, name := range reserved {
		if c.maybe&(1<<i) != 0 && int(c.digits) == len(name) {
			return true
		}
	}
	return false
}

func hexDigit(x byte) int {
	switch {
	case x >= '0' && x <= '9':
		return int(x - '0')
	case x >= 'a' && x <= 'f':
		return int(x-'a') + 10
	case x >= 'A' && x <= 'F':
		return int(x-'A') + 10
	}
	return -1
}
