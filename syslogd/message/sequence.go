package message

import "bytes"

// SequenceID is the number in [meta sequenceId="N"] of RFC 5424 section 7.3.1, which a sender counts up with each message. data is a
// Message's Data.
func SequenceID(data []byte) (n uint32, ok bool) {
	for len(data) > 0 && data[0] == '[' {
		element, rest := cutElement(data[1:])
		data = rest
		params, is := bytes.CutPrefix(element, []byte("meta "))
		if !is {
			continue
		}
		for len(params) > 0 {
			name, value, after := cutParam(params)
			if string(name) == "sequenceId" {
				return sequence(value)
			}
			params = after
		}
	}
	return 0, false
}

// cutElement cuts after the bracket that ends an element; those in quotes do not.
func cutElement(b []byte) (element, rest []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ']' && !quoted:
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// cutParam cuts NAME="VALUE" from the front, with the spaces around it.
func cutParam(b []byte) (name, value, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	name, b, ok := bytes.Cut(b, []byte(`="`))
	if !ok {
		return nil, nil, nil
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return name, b[:i], b[i+1:]
		}
	}
	return nil, nil, nil
}

// sequence reads 1 to 2147483647.
func sequence(digits []byte) (uint32, bool) {
	if len(digits) == 0 || len(digits) > 10 || digits[0] == '0' {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n <= 1<<31-1
}
