package relp

import (
	"bytes"
	"fmt"
)

// The codes of responses. The specification knows no others, and takes any other for an error.
const (
	OK     = 200
	Failed = 500
)

// maxReason is how much of a reason librelp reads.
const maxReason = 80

// response200 is the data of the response to each message.
var response200 = []byte("200 OK")

// AppendOK appends the response that takes command number n.
func AppendOK(dst []byte, n int) []byte { return AppendFrame(dst, n, "rsp", response200) }

// AppendResponse appends a response to command number n: a code, a reason without line ends, and data if there is any.
func AppendResponse(dst []byte, n, code int, reason string, data []byte) []byte {
	head := fmt.Appendf(nil, "%03d %s", code, reason[:min(len(reason), maxReason)])
	if len(data) > 0 {
		head = append(head, '\n')
	}
	return AppendFrame(dst, n, "rsp", head, data)
}

// ParseResponse reads the data of a response.
func ParseResponse(text []byte) (code int, reason, data []byte, err error) {
	head, data, _ := bytes.Cut(text, []byte{'\n'})
	code, digits, err := parseNumber(head)
	if err != nil || digits != 3 || len(head) > digits && head[digits] != ' ' {
		return 0, nil, nil, fmt.Errorf("a response without a code of three digits: %q", text[:min(len(text), shown)])
	}
	return code, head[min(digits+1, len(head)):], data, nil
}
