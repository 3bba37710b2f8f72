package forward

import (
	"bytes"
	"strconv"

	"lbsyslogd/syslogd/message"
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
		if message.IsRFC5424(line) {
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
