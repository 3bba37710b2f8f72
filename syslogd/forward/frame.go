package forward

import (
	"bytes"
	"strconv"
)

// nilHeader goes before lines that were written to the file in another format: user.notice, and every field unknown.
const nilHeader = "<13>1 - - - - - - "

// appendFrames appends a frame for each line and says how many there were. An empty line is no message.
func appendFrames(dst, lines []byte) (frames []byte, n int) {
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, newline)
		lines = rest
		if len(line) == 0 {
			continue
		}
		n++
		if isMessage(line) {
			dst = strconv.AppendInt(dst, int64(len(line)), 10)
			dst = append(dst, ' ')
		} else {
			dst = strconv.AppendInt(dst, int64(len(nilHeader)+len(line)), 10)
			dst = append(dst, ' ')
			dst = append(dst, nilHeader...)
		}
		dst = append(dst, line...)
	}
	return dst, n
}

// newline is for bytes.Cut, which wants a slice.
var newline = []byte{'\n'}

// isMessage says whether line begins as RFC 5424 wants it: "<PRI>1 ".
func isMessage(line []byte) bool {
	end := bytes.IndexByte(line[:min(len(line), 5)], '>')
	if end < 2 || line[0] != '<' || !bytes.HasPrefix(line[end+1:], []byte("1 ")) {
		return false
	}
	pri, err := strconv.Atoi(string(line[1:end]))
	return err == nil && pri >= 0 && pri < 192
}
