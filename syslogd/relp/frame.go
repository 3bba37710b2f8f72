package relp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// A Frame is a command, a response or a hint.
type Frame struct {
	Number  int    // TXNR; 0: a hint
	Command []byte // letters
	Data    []byte // as much of it as the Parser keeps
	Size    int    // of all the data
}

// Cut says whether Data is only the beginning.
func (f Frame) Cut() bool { return f.Size > len(f.Data) }

const (
	// LastNumber is followed by 1.
	LastNumber = 999_999_999
	// MaxHeader is the longest header: two numbers of nine digits, a command of 32 letters and three blanks.
	MaxHeader  = 9 + 1 + maxCommand + 1 + 9 + 1
	maxDigits  = 9
	maxCommand = 32
	// shown is how much of a wrong frame an error has.
	shown = 24
)

// NextNumber is the number of the command after number n.
func NextNumber(n int) int {
	if n >= LastNumber {
		return 1
	}
	return n + 1
}

// A Parser takes frames from a stream of bytes. Its fields are set before the first Next.
type Parser struct {
	// Keep is how many bytes of a frame's data are kept; the others are counted.
	Keep int
	// Most is the largest DATALEN that is believed: a frame of more is an error.
	Most int

	// Of a frame that is larger than Keep and of which not all has arrived.
	large Frame
	head  []byte // the command and the data that is kept
	left  int    // bytes that are to come, with the newline
}

// Next takes a frame from the front of data. n is how many bytes it has used; the others must come again, in front of new ones. whole is false when
// more bytes must come first: then n is 0, or what was used of a frame that is larger than Keep. The frame's slices are views of data, or of the
// Parser, and valid until its next call. After an error there is no way to go on.
func (p *Parser) Next(data []byte) (f Frame, n int, whole bool, err error) {
	if p.left > 0 {
		return p.nextLarge(data)
	}
	f, header, err := parseHeader(data)
	if err != nil || header == 0 {
		return Frame{}, 0, false, err
	}
	if f.Size > p.Most {
		return Frame{}, 0, false, fmt.Errorf("a frame with %d bytes of data, of which %d are allowed", f.Size, p.Most)
	}
	body := data[header:]
	switch {
	case len(body) > f.Size:
		if body[f.Size] != '\n' {
			return Frame{}, 0, false, fmt.Errorf("a frame of %d bytes ends in %q instead of a newline", f.Size, body[f.Size])
		}
		f.Data = body[:min(f.Size, p.Keep)]
		return f, header + f.Size + 1, true, nil
	case f.Size > p.Keep && len(body) >= p.Keep:
		p.head = append(append(p.head[:0], f.Command...), body[:p.Keep]...)
		p.large = f
		p.large.Command, p.large.Data = p.head[:len(f.Command)], p.head[len(f.Command):]
		p.left = f.Size + 1 - len(body)
		return Frame{}, len(data), false, nil
	}
	return Frame{}, 0, false, nil
}

// nextLarge goes on with a frame that is larger than Keep.
func (p *Parser) nextLarge(data []byte) (f Frame, n int, whole bool, err error) {
	n = min(p.left-1, len(data))
	p.left -= n
	if n == len(data) {
		return Frame{}, n, false, nil
	}
	if data[n] != '\n' {
		return Frame{}, n, false, fmt.Errorf("a frame of %d bytes ends in %q instead of a newline", p.large.Size, data[n])
	}
	p.left = 0
	return p.large, n + 1, true, nil
}

// Within says whether the Parser is in the middle of a frame, of which it has used the beginning.
func (p *Parser) Within() bool { return p.left > 0 }

// parseHeader reads a header up to the data. header is its length; 0: it is not complete.
func parseHeader(data []byte) (f Frame, header int, err error) {
	number, at, err := parseNumber(data)
	if err != nil || at == 0 || at == len(data) {
		return f, 0, wrong(err, "transaction number", data)
	}
	if data[at] != ' ' {
		return f, 0, wrong(errSyntax, "transaction number", data)
	}
	at++
	command := data[at:]
	length := 0
	for length < len(command) && isLetter(command[length]) {
		length++
	}
	switch {
	case length > maxCommand:
		return f, 0, wrong(errSyntax, "command of at most 32 letters", data)
	case length == len(command):
		return f, 0, nil
	case length == 0 || command[length] != ' ':
		return f, 0, wrong(errSyntax, "command", data)
	}
	at += length + 1
	size, digits, err := parseNumber(data[at:])
	if err != nil {
		return f, 0, wrong(err, "length", data)
	}
	at += digits
	if digits == 0 || at == len(data) {
		return f, 0, nil
	}
	f = Frame{Number: number, Command: command[:length], Size: size}
	switch {
	case size == 0 && data[at] == '\n':
		return f, at, nil
	case data[at] != ' ':
		return f, 0, wrong(errSyntax, "length", data)
	}
	return f, at + 1, nil
}

var errSyntax = errors.New("")

// wrong is the error about a header; a nil err stays nil.
func wrong(err error, what string, data []byte) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("a frame without a right %s: it begins with %q", what, data[:min(len(data), shown)])
}

// parseNumber reads up to nine digits. length is 0 when there are no bytes at all.
func parseNumber(data []byte) (n, length int, err error) {
	for length < len(data) && data[length] >= '0' && data[length] <= '9' {
		if length == maxDigits {
			return 0, 0, errSyntax
		}
		n = n*10 + int(data[length]-'0')
		length++
	}
	if length == 0 && len(data) > 0 {
		return 0, 0, errSyntax
	}
	return n, length, nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// AppendFrame appends a frame to dst. The data may come in several pieces.
func AppendFrame(dst []byte, number int, command string, data ...[]byte) []byte {
	size := 0
	for _, d := range data {
		size += len(d)
	}
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, ' ')
	dst = append(dst, command...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(size), 10)
	if size > 0 {
		dst = append(dst, ' ')
		for _, d := range data {
			dst = append(dst, d...)
		}
	}
	return append(dst, '\n')
}

// Is says whether the frame has a command.
func (f Frame) Is(command string) bool { return bytes.Equal(f.Command, []byte(command)) }
