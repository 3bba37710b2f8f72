package logformat

const hexDigits = "0123456789ABCDEF"

// escapeSet tells which bytes an encoding replaces by its escape character and
// two hexadecimal digits.
type escapeSet [256]bool

func newEscapeSet(extra string) *escapeSet {
	var s escapeSet
	for c := range s {
		s[c] = c < 0x20 || c >= 0x7f
	}
	for _, c := range extra {
		s[c] = true
	}
	return &s
}

// The sets of HAProxy's logs (configuration manual, section 8.6) and, for
// header values, what RFC 9110 section 5.5 forbids.
var (
	escapeURL    = newEscapeSet(`"#`)
	escapeHeader = newEscapeSet(`"#{|}`)
	escapeField  = newFieldSet()
	escapeLine   = newLineSet()
	EscapeTarget = newEscapeSet(" ")
)

// newFieldSet passes tabs and bytes above 127: they are legal in a value.
func newFieldSet() *escapeSet {
	var s escapeSet
	for c := range s {
		s[c] = c < 0x20 && c != '\t' || c == 0x7f
	}
	return &s
}

// newLineSet is what would break a log line in two or hide its end. HAProxy
// lets a sample such as url_dec's put those into its logs.
func newLineSet() *escapeSet {
	return &escapeSet{'\n': true, '\r': true, 0: true}
}

// AppendEscaped appends b, its marked bytes as mark and two digits.
func AppendEscaped(dst, b []byte, mark byte, set *escapeSet) []byte {
	from := 0
	for i, c := range b {
		if set[c] {
			dst = append(dst, b[from:i]...)
			dst = append(dst, mark, hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
		}
	}
	return append(dst, b[from:]...)
}

// appendBackslashed is appendEscaped for the flag E: what would end a
// parameter of RFC 5424 (section 6.3.3) gets a backslash.
func appendBackslashed(dst, b []byte, mark byte, set *escapeSet) []byte {
	for _, c := range b {
		switch {
		case set != nil && set[c]:
			dst = append(dst, mark, hexDigits[c>>4], hexDigits[c&15])
		case c == '"' || c == '\\' || c == ']':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
