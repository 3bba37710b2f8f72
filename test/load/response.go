package load

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// response reads answers off one connection.
type response struct {
	buf   []byte
	r, w  int  // buf[r:w] has been read and not used
	close bool // the answer was the last on its connection
	body  []byte

	status int // of the last answer whose first line came
}

// reset forgets what a former connection left.
func (p *response) reset() {
	if p.buf == nil {
		p.buf = make([]byte, 4<<10)
	}
	p.r, p.w = 0, 0
}

// read reads one answer from src: nil if it is a 200 whose body is want.
func (p *response) read(src io.Reader, want []byte) error {
	p.status = 0
	line, err := p.line(src)
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return fmt.Errorf("%w: %q", errBadResponse, line)
	}
	p.close = line[7] == '0'
	if p.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return fmt.Errorf("%w: %q", errBadResponse, line)
	}

	length := -1
	chunked := false
	for {
		line, err := p.line(src)
		if err != nil {
			return unexpected(err)
		}
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return fmt.Errorf("%w: header %q", errBadResponse, line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return fmt.Errorf("%w: content-length %q", errBadResponse, value)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			p.close = p.close && !bytes.EqualFold(value, []byte("keep-alive")) || bytes.EqualFold(value, []byte("close"))
		}
	}
	p.body = p.body[:0]
	switch {
	case chunked:
		err = p.chunks(src)
	case length >= 0:
		err = p.take(src, length)
	default:
		p.close = true
		err = p.rest(src)
	}
	if err != nil {
		return unexpected(err)
	}
	if p.status != 200 {
		return StatusError(p.status)
	}
	if !bytes.Equal(p.body, want) {
		return fmt.Errorf("%w: got %d bytes %.60q, want %d bytes %.60q", errWrongBody, len(p.body), p.body, len(want), want)
	}
	return nil
}

// unexpected makes the end of a connection within an answer what it is.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads more, making room first.
func (p *response) fill(src io.Reader) error {
	if p.r == p.w {
		p.r, p.w = 0, 0
	}
	if p.w == len(p.buf) {
		if p.r > 0 {
			p.w = copy(p.buf, p.buf[p.r:p.w])
			p.r = 0
		} else {
			p.buf = append(p.buf, make([]byte, len(p.buf))...)
		}
	}
	n, err := src.Read(p.buf[p.w:])
	p.w += n
	if n > 0 {
		return nil
	}
	return err
}

// line returns the next line without its end, valid until the next read.
func (p *response) line(src io.Reader) ([]byte, error) {
	for {
		if i := bytes.IndexByte(p.buf[p.r:p.w], '\n'); i >= 0 {
			line := p.buf[p.r : p.r+i]
			p.r += i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if p.w-p.r > 64<<10 {
			return nil, fmt.Errorf("%w: a line of more than 64 KiB", errBadResponse)
		}
		partial := p.w > p.r
		if err := p.fill(src); err != nil {
			if partial {
				err = unexpected(err)
			}
			return nil, err
		}
	}
}

// take moves n bytes into the body.
func (p *response) take(src io.Reader, n int) error {
	for n > 0 {
		if p.r == p.w {
			if err := p.fill(src); err != nil {
				return err
			}
		}
		m := min(n, p.w-p.r)
		p.body = append(p.body, p.buf[p.r:p.r+m]...)
		p.r += m
		n -= m
	}
	return nil
}

// rest takes everything up to the connection's end.
func (p *response) rest(src io.Reader) error {
	for {
		p.body = append(p.body, p.buf[p.r:p.w]...)
		p.r = p.w
		if err := p.fill(src); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (p *response) chunks(src io.Reader) error {
	for {
		line, err := p.line(src)
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return fmt.Errorf("%w: chunk size %q", errBadResponse, line)
		}
		if n == 0 {
			break
		}
		if err := p.take(src, int(n)); err != nil {
			return err
		}
		if line, err = p.line(src); err != nil {
			return err
		} else if len(line) > 0 {
			return fmt.Errorf("%w: %q after a chunk", errBadResponse, line)
		}
	}
	for {
		line, err := p.line(src)
		if err != nil || len(line) == 0 {
			return err
		}
	}
}
