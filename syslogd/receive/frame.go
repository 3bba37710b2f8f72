package receive

import "bytes"

// A framer cuts a byte stream into messages by RFC 6587, deciding for each message how it is framed:
//
//   - "LENGTH <PRI>..." is octet counting (section 3.4.1). Without the "<" it is a line that begins with a number.
//   - anything else ends with a newline (section 3.4.2).
//
// A length with more digits than any message has is not converted but read as part of a line, so a bad message costs at most
// itself. The zero value with a size is ready.
type framer struct {
	size int // of the largest message that is kept whole
	// skip is how many bytes of a counted message too large still have to go by.
	skip int
	// long is how large a line too large has become: its first size bytes are kept, the others only counted.
	long int
}

const (
	// maxDigits of a length: nobody sends a message of ten megabytes.
	maxDigits = 7
	// frameSlack is how much larger than a message the buffer is, for the length and to find the end of large ones.
	frameSlack = 16 << 10
)

// take gives each message in data to emit and returns what must come again in front of the next bytes: the beginning of a message
// that is not complete. It is never longer than size+frameSlack/2.
func (f *framer) take(data []byte, emit func(msg []byte, size int)) (rest []byte) {
	for len(data) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(data))
			f.skip -= n
			data = data[n:]
			continue
		}
		if f.long > 0 {
			return f.takeLong(data, emit)
		}
		length, header, verdict := frameLength(data)
		if verdict == frameUnknown {
			return data
		}
		if verdict == frameCounted {
			body := data[header:]
			switch {
			case len(body) >= length:
				emit(body[:min(length, f.size)], length)
				data = body[length:]
			case length <= f.size:
				return data
			case len(body) >= f.size:
				emit(body[:f.size], length)
				f.skip = length - f.size
				data = body[f.size:]
			default:
				return data
			}
			continue
		}
		end := bytes.IndexByte(data, '\n')
		if end < 0 && len(data) <= f.size {
			return data
		}
		if end < 0 {
			f.long = f.size
			return f.takeLong(data, emit)
		}
		if end > 0 {
			emit(data[:min(end, f.size)], end)
		}
		data = data[end+1:]
	}
	return nil
}

// takeLong goes on with a line too large, whose first size bytes are at the front of data.
func (f *framer) takeLong(data []byte, emit func(msg []byte, size int)) (rest []byte) {
	head, tail := data[:f.size], data[f.size:]
	end := bytes.IndexByte(tail, '\n')
	if end < 0 {
		f.long += len(tail)
		return head
	}
	size := f.long + end
	f.long = 0
	emit(head, size)
	return f.take(tail[end+1:], emit)
}

// end gives what is left at the end of the stream to emit: a line without its newline.
func (f *framer) end(rest []byte, emit func(msg []byte, size int)) {
	if len(rest) == 0 || f.skip > 0 {
		return
	}
	if length, header, verdict := frameLength(rest); verdict == frameCounted {
		if body := rest[header:]; len(body) > 0 {
			emit(body[:min(len(body), f.size)], length) // its size says that it is cut
		}
		return
	}
	emit(rest[:min(len(rest), f.size)], max(len(rest), f.long))
}

type frameVerdict uint8

const (
	frameUnknown frameVerdict = iota // more bytes will tell
	frameCounted
	frameLine
)

// frameLength reads "LENGTH <" at the front of data.
func frameLength(data []byte) (length, header int, verdict frameVerdict) {
	i := 0
	for i < len(data) && i <= maxDigits && isDigit(data[i]) {
		length = length*10 + int(data[i]-'0')
		i++
	}
	switch {
	case i == len(data) && i <= maxDigits:
		return 0, 0, frameUnknown
	case i == 0 || i > maxDigits || data[0] == '0' || data[i] != ' ':
		return 0, 0, frameLine
	case i+1 == len(data):
		return 0, 0, frameUnknown
	case data[i+1] != '<':
		return 0, 0, frameLine
	}
	return length, i + 1, frameCounted
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
