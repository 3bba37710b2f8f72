package receive

import "bytes"

// A framer cuts a byte stream into messages by RFC 6587, deciding for each message how it is framed:
//
//   - "LENGTH <PRI>..." is octet counting (section 3.4.1). Without the "<" it is a line that begins with a number.
//   - anything else is a line. It ends with a newline (section 3.4.2) or, as Python's SysLogHandler sends it, with a NUL: the last end that a
//     stream has shown is its own, and the other kind of end counts only where a message surely follows (or, of a NUL, nothing yet). So a message
//     that ends with a NUL may have newlines in it, unless it is the first.
//
// A byte order mark in front of a message is dropped, and may stand in front of a counted one, as a part of it. A length with more digits than any message has is not converted but read as part
// of a line, so a bad message costs at most itself.
//
// A length that is wrong puts the stream out of step. It shows when what follows a counted message does not begin like a message. Then the
// next length that is right is looked for: one at whose end another message begins, or the data ends; or that is wrong by a little, as those of a
// sender that counts characters. What stands before it is a message
// of its own, so that nothing is dropped. Only a stream that has counted octets, and has been found out of step, is searched, and one
// whose message begins with what can only be a wrong count (oddCount): otherwise anybody who can bring text into a message could forge others.
//
// The zero value with a size is ready.
type framer struct {
	size int // of the largest message that is kept whole
	// long is how large a message too large has become: its first size bytes are kept, the others only counted.
	long int
	// skip is how many bytes of that are still to come, if it is a counted one.
	skip int
	// own is what the last line ended with.
	own lineEnd
	// counted is set after a counted message.
	counted bool
	// lost counts how often the stream was out of step.
	lost uint64
}

// lineEnd is what a stream's lines end with.
type lineEnd uint8

const (
	endUnknown lineEnd = iota
	endNewline
	endNUL
)

const (
	// maxDigits of a length.
	maxDigits = 6
	// maxHeader is how much may stand before a priority and be meant for a length.
	maxHeader = 32
	// maxLength is the largest length that is believed: a wrong one costs as much as it says. Nobody sends such messages.
	maxLength = 256 << 10
	// frameSlack is how much larger than a message the buffer is, for the length and to find the end of large ones.
	frameSlack = 16 << 10
	// maxRough is how many blanks before a "<" are looked at to find the message after a message.
	maxRough = 8
	// maxCandidates bounds one search: bytes may come one by one.
	maxCandidates = 512
	byteOrder     = "\xef\xbb\xbf"
)

// take gives each message in data to emit and returns what must come again in front of the next bytes: the beginning of a message
// that is not complete. It is never longer than size+frameSlack/2.
func (f *framer) take(data []byte, emit func(msg []byte, size int)) (rest []byte) {
	for len(data) > 0 {
		if f.long > 0 {
			return f.takeLong(data, emit)
		}
		if data[0] == '\n' || data[0] == 0 || data[0] == '\r' && f.counted {
			data = data[1:] // an end after an end
			continue
		}
		if begins, whole := prefix(data, byteOrder); whole {
			data = data[len(byteOrder):]
			continue
		} else if begins {
			return data
		}
		n, unknown := emptyFrames(data)
		switch {
		case unknown && (f.counted || n <= maxHeader):
			return data[max(0, n-maxHeader)&^1:] // of thousands a few will do
		case n > 0 && !unknown:
			f.counted = true
			data = data[n:]
			continue
		}
		length, header, verdict := frameLength(data)
		if unknown {
			verdict = frameLine // zeros, in a stream that has counted nothing so far
		}
		if verdict == frameUnknown {
			return data
		}
		taken := 0
		if verdict == frameCounted {
			taken = f.takeCounted(data, header, length, emit)
		} else {
			taken = f.takeLine(data, emit)
		}
		if taken == 0 && f.long == 0 {
			return data
		}
		data = data[taken:]
	}
	return nil
}

// takeCounted takes a counted message from the front of data, and says how many bytes that was; 0: it is not complete. Of one that is too
// large, that is the header: the rest is takeLong's.
func (f *framer) takeCounted(data []byte, header, length int, emit func(msg []byte, size int)) int {
	body := data[header:]
	switch {
	case len(body) > length && !startsFrame(body[length:]):
		if end := f.realEnd(body, length); end > 0 {
			f.counted = true
			f.lost++
			emit(body[:min(end, f.size)], end)
			return header + end
		}
	case len(body) >= length:
	case header+length <= f.size+frameSlack/2:
		return 0 // all of it fits in the buffer, with what follows
	case len(body) >= f.size:
		f.counted = true
		f.long, f.skip = f.size, length-f.size
		return header
	default:
		return 0
	}
	f.counted = true
	emit(body[:min(length, f.size)], length)
	return header + length
}

// realEnd is where the message at the front of body ends if length is wrong; 0: length may be right, and a line follows.
func (f *framer) realEnd(body []byte, length int) int {
	end, sure := findCounted(body)
	if !sure { // a sender that counts characters, perhaps, and the message after this one is not complete
		sure = end > length && end-length <= 2*length
	}
	if !sure || end > length && bytes.ContainsAny(body[length:end], "\n\x00") {
		return 0
	}
	return end
}

// takeLine takes a line from the front of data, and says how many bytes that was; 0: its end is not there yet, or it is too large and
// takeLong's.
func (f *framer) takeLine(data []byte, emit func(msg []byte, size int)) int {
	end, drop := f.lineEnd(data)
	from := 0
	if end < 0 && len(data) > f.size {
		if any := bytes.IndexAny(data, "\n\x00"); any >= 0 {
			end, drop = any, 1 // of the other kind, for want of one of the stream's own
		}
	}
	if odd := oddCount(data); f.counted || odd > 0 {
		if at, sure := findCounted(data[odd:]); at > 0 && (end < 0 || odd+at < end) && (sure || end < 0 && len(data) > f.size) {
			from, end, drop = odd, odd+at, 0
			f.counted = true
			f.lost++
		} else if end >= 0 && data[0] != '<' {
			f.lost++
		}
	}
	switch {
	case end >= 0:
		f.counted = f.counted && drop == 0
		emit(data[from:min(end, from+f.size)], end-from)
		return end + drop
	case len(data) > f.size:
		f.long = f.size
	}
	return 0
}

// lineEnd is where the line at the front of data ends, and the length of what ends it; -1: not yet.
func (f *framer) lineEnd(data []byte) (end, drop int) {
	own, other := byte('\n'), byte(0)
	if f.own == endNUL {
		own, other = other, own
	}
	end = bytes.IndexByte(data, own)
	before := data
	if end >= 0 {
		before = data[:end]
	}
	for at := 0; ; at++ {
		i := bytes.IndexByte(before[at:], other)
		if i < 0 {
			break
		}
		at += i
		if f.own == endUnknown || startsSurely(data[at+1:]) || other == 0 && at+1 == len(data) {
			end, own = at, other
			break
		}
	}
	if end < 0 {
		return -1, 0
	}
	f.own = endNewline
	if own == 0 {
		f.own = endNUL
	}
	return end, 1
}

// takeLong goes on with a message too large, whose first size bytes are at the front of data.
func (f *framer) takeLong(data []byte, emit func(msg []byte, size int)) (rest []byte) {
	head, tail := data[:f.size], data[f.size:]
	if f.skip > 0 {
		n := min(f.skip, len(tail))
		f.long += n
		if f.skip -= n; f.skip > 0 {
			return head
		}
		size := f.long
		f.long = 0
		emit(head, size)
		return f.take(tail[n:], emit)
	}
	end := bytes.IndexAny(tail, "\n\x00")
	if end < 0 {
		f.long += len(tail)
		return head
	}
	size := f.long + end
	f.long = 0
	emit(head, size)
	return f.take(tail[end+1:], emit)
}

// end gives what is left at the end of the stream to emit: a line without its end, or a counted message that is not complete, unless
// that has others in it.
func (f *framer) end(rest []byte, emit func(msg []byte, size int)) {
	for len(rest) > 0 {
		if f.skip > 0 {
			emit(rest[:f.size], f.long) // as much as came
			return
		}
		if n, unknown := emptyFrames(rest); unknown && n == len(rest) && f.counted {
			return
		}
		length, header, verdict := frameLength(rest)
		if verdict != frameCounted {
			header, length = oddCount(rest), max(len(rest), f.long)
		}
		body := rest[header:]
		at, sure := 0, false
		if verdict == frameCounted || f.counted || header > 0 {
			at, sure = findCounted(body)
		}
		if !sure || f.long > 0 {
			if verdict != frameCounted {
				body = rest // of a line its count is a part
			}
			switch {
			case len(body) == 0:
			case f.long > 0 || verdict != frameCounted:
				emit(body[:min(len(body), f.size)], length)
			case len(body) > f.size:
				emit(body[:f.size], len(body)) // as much as came
			default:
				emit(body, -length) // the rest of it never came
			}
			return
		}
		f.lost++
		emit(body[:min(at, f.size)], at)
		rest = f.take(body[at:], emit)
	}
}

type frameVerdict uint8

const (
	frameUnknown frameVerdict = iota // more bytes will tell
	frameCounted
	frameLine
)

// emptyFrames is the length of counted messages without a byte, "0 ", in front of one that has some: a sign of life from the sender, which has no line.
// unknown: more bytes will tell.
func emptyFrames(data []byte) (n int, unknown bool) {
	for n+1 < len(data) && data[n] == '0' && data[n+1] == ' ' {
		n += 2
	}
	if n == 0 {
		return 0, false
	}
	_, _, verdict := frameLength(data[n:])
	if verdict == frameLine {
		return 0, false
	}
	return n, verdict == frameUnknown
}

// frameLength reads "LENGTH <" at the front of data, and any more blanks than one as a part of what is counted. A tab is as good as the blank.
func frameLength(data []byte) (length, header int, verdict frameVerdict) {
	i := 0
	for i < len(data) && i <= maxDigits && isDigit(data[i]) {
		length = length*10 + int(data[i]-'0')
		i++
	}
	switch {
	case i == len(data) && i <= maxDigits:
		return 0, 0, frameUnknown
	case i == 0 || i > maxDigits || length == 0 || data[i] != ' ' && data[i] != '\t' || length > maxLength:
		return 0, 0, frameLine
	}
	for i++; i < len(data) && data[i] == ' ' && data[i-1] == ' ' && i < maxHeader && length > 1; i++ {
		length--
	}
	msg, unknown := cutMark(data[i:])
	switch {
	case unknown || len(msg) == 0:
		return 0, 0, frameUnknown
	case msg[0] != '<':
		return 0, 0, frameLine
	}
	return length, i, frameCounted
}

// cutMark is data without a byte order mark at its front. unknown: what is there may become one.
func cutMark(data []byte) (rest []byte, unknown bool) {
	begins, whole := prefix(data, byteOrder)
	if whole {
		return data[len(byteOrder):], false
	}
	return data, begins
}

// oddCount is the length of what stands before the priority at the front of data and must be meant for a length, but is none: "0 <14>", "-5 <14>",
// "999999999 <14>", "34<14>", " 34 <14>". 0 is anything else.
func oddCount(data []byte) int {
	i := 0
	for i < len(data) && i < maxHeader && bytes.IndexByte([]byte(" \t+-"), data[i]) >= 0 {
		i++
	}
	first := i
	for i < len(data) && i < maxHeader && isDigit(data[i]) {
		i++
	}
	if i == first {
		return 0
	}
	for i < len(data) && i < maxHeader && (data[i] == ' ' || data[i] == '\t') {
		i++
	}
	if !hasPriority(data[i:]) {
		return 0
	}
	return i
}

// hasPriority says whether a message begins with a priority, as far as its form goes. A byte order mark may stand before it.
func hasPriority(msg []byte) bool {
	msg, _ = cutMark(msg)
	for i, c := range msg[:min(len(msg), len("<191>"))] {
		switch {
		case i == 0 && c == '<', i > 0 && i < 4 && isDigit(c):
		default:
			return i > 1 && c == '>'
		}
	}
	return false
}

// startsFrame says whether data, which is not empty, begins like a message or may do so with the bytes to come.
func startsFrame(data []byte) bool {
	switch c := data[0]; {
	case c == '\n' || c == '\r' || c == 0:
		return true
	case c == '<':
		return len(data) == 1 || isDigit(data[1])
	case isDigit(c):
		n, unknown := emptyFrames(data)
		if unknown {
			return true
		}
		data = data[n:]
		length, header, verdict := frameLength(data)
		if verdict != frameCounted {
			return verdict == frameUnknown
		}
		body := data[header:min(len(data), header+length)]
		msg, unknown := cutMark(body)
		return unknown || hasPriority(msg) || len(msg) < min(length-(len(body)-len(msg)), len("<1>"))
	}
	begins, _ := prefix(data, byteOrder)
	return begins
}

// startsSurely says whether data begins with a priority or a counted message.
func startsSurely(data []byte) bool {
	if len(data) > 1 && data[0] == '<' {
		return isDigit(data[1])
	}
	length, header, verdict := frameLength(data)
	return verdict == frameCounted && hasPriority(data[header:min(len(data), header+length)])
}

// findCounted looks for the first counted message in data after its first byte. It is sure when another message begins where that one ends,
// or data ends there, or when the next message begins where a length that counts characters, or is wrong by a little, would have it. at is 0 when
// there is none.
func findCounted(data []byte) (at int, sure bool) {
	from := 1
	for range maxCandidates {
		i := nextCount(data[min(from, len(data)):])
		if i < 0 {
			return at, false
		}
		space := from + i
		from = space + 1
		first := space
		for first > 1 && space-first < maxDigits && isDigit(data[first-1]) {
			first--
		}
		// The text before it may end with digits too.
		for ; first < space; first++ {
			length, header, verdict := frameLength(data[first:])
			if verdict != frameCounted || !hasPriority(data[first+header:min(len(data), first+header+length)]) {
				continue
			}
			switch end := first + header + length; {
			case end == len(data), end < len(data) && startsFrame(data[end:]), roughly(data[first+header:], length):
				return first, true
			case end > len(data) && at == 0:
				at = first
			}
		}
	}
	return at, false
}

// nextCount is where the next blank stands that a length may end with, before a "<" or a byte order mark and that; -1: nowhere.
func nextCount(data []byte) int {
	i := bytes.Index(data, []byte(" <"))
	if i < 0 {
		i = len(data)
	}
	if marked := bytes.Index(data[:i], []byte(" "+byteOrder+"<")); marked >= 0 {
		return marked
	}
	if i == len(data) {
		return -1
	}
	return i
}

// roughly says whether the next counted message in data, which begins with what a length counts, begins about where that one has it.
func roughly(data []byte, length int) bool {
	from := 0
	for range maxRough {
		i := nextCount(data[from:])
		if i < 0 {
			return false
		}
		space := from + i
		from = space + 1
		if space > 0 && isDigit(data[space-1]) && hasPriority(data[space+1:]) {
			return length <= space+2 && space <= 3*length+maxDigits
		}
	}
	return false
}

// prefix says whether data begins with text, as far as it goes, and whether all of text is there.
func prefix(data []byte, text string) (begins, whole bool) {
	n := min(len(data), len(text))
	begins = string(data[:n]) == text[:n]
	return begins, begins && n == len(text)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
