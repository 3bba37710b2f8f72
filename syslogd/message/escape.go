package message

import (
	"encoding/binary"
	"unicode/utf8"
)

// AppendEscaped appends text as one printable line. Control characters (C0, DEL, C1) and bytes that are not UTF-8 become "#"
// and three octal digits, as rsyslog writes them, so that nobody who can send a message can forge a second line or drive a
// terminal.
func AppendEscaped(dst, text []byte) []byte {
	if n := plain(text); n == len(text) {
		return append(dst, text...)
	}
	return appendEscapedSlow(dst, text)
}

// plain is how many bytes from the front need no closer look: a multiple of eight, or all of them.
func plain(b []byte) int {
	i := 0
	// Four words at a time with one branch for all: most text of a log is plain.
	for ; i+32 <= len(b); i += 32 {
		four := b[i : i+32 : i+32]
		if strange(binary.LittleEndian.Uint64(four))|strange(binary.LittleEndian.Uint64(four[8:]))|
			strange(binary.LittleEndian.Uint64(four[16:]))|strange(binary.LittleEndian.Uint64(four[24:])) != 0 {
			break
		}
	}
	for ; i+8 <= len(b); i += 8 {
		if strange(binary.LittleEndian.Uint64(b[i:])) != 0 {
			return i
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] >= 0x7f {
			return i &^ 7
		}
	}
	return i
}

// strange is not 0 when one of eight bytes needs a closer look. Per byte: below 0x20 borrows into the top bit, 0x7f carries into it,
// 0x80 and above has it. A borrow from a neighbour can only make a byte look worse than it is, and then the slow way looks again.
func strange(x uint64) uint64 {
	const ones = 0x0101010101010101
	return ((x - 0x20*ones) | x | (x + ones)) & (0x80 * ones)
}

func appendEscapedSlow(dst, text []byte) []byte {
	for len(text) > 0 {
		if n := plain(text); n > 0 {
			dst = append(dst, text[:n]...)
			text = text[n:]
			continue
		}
		c := text[0]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				dst = appendOctal(dst, c)
			} else {
				dst = append(dst, c)
			}
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 || r < 0xa0 {
			for _, c := range text[:n] {
				dst = appendOctal(dst, c)
			}
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

func appendOctal(dst []byte, c byte) []byte {
	return append(dst, '#', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}
