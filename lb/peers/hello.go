package peers

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The first words: whoever has dialled says who it is and whom it means, and gets a
// number for an answer.
//
//	HAProxyS 2.1
//	NAME OF THE OTHER
//	OWN NAME, PROCESS ID, 1
//
//	200

// Answers to a hello.
const (
	statusNone     = 0
	statusDialling = 100 // no answer: a connection is being made
	statusAsked    = 110 // no answer yet
	statusOK       = 200
	statusLater    = 300
	statusProtocol = 501
	statusVersion  = 502
	statusHost     = 503
	statusPeer     = 504
)

var statusTexts = map[int]string{
	statusLater: "try again later", statusProtocol: "it cannot read the hello", statusVersion: "it does not speak this version",
	statusHost: "it has another name", statusPeer: "it does not know this node's name",
}

const protocol = "HAProxyS"

// maxHello is how long a line may be.
const maxHello = 1024

var errLine = errors.New("a line of the hello is too long")

// readLine reads a line of at most maxHello bytes.
func readLine(r *bufio.Reader) (string, error) {
	var b []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return "", err
		case c == '\n':
			return strings.TrimSuffix(string(b), "\r"), nil
		case len(b) == maxHello:
			return "", errLine
		}
		b = append(b, c)
	}
}

// appendHello appends a hello.
func appendHello(dst []byte, minor int, to, from string, pid int) []byte {
	return fmt.Appendf(dst, "%s 2.%d\n%s\n%s %d 1\n", protocol, minor, to, from, pid)
}

// readHello reads a hello to this node; status says what is wrong with it.
func readHello(r *bufio.Reader, self string) (from string, minor, status int, err error) {
	line, err := readLine(r)
	if err != nil {
		return "", 0, 0, err
	}
	name, version, _ := strings.Cut(line, " ")
	if name != protocol {
		return "", 0, statusProtocol, nil
	}
	major, rest, _ := strings.Cut(version, ".")
	if minor, err = strconv.Atoi(rest); major != "2" || err != nil || minor < 0 || minor > 1 {
		return "", 0, statusVersion, nil
	}
	if line, err = readLine(r); err != nil {
		return "", 0, 0, err
	}
	if line != self {
		return "", 0, statusHost, nil
	}
	if line, err = readLine(r); err != nil {
		return "", 0, 0, err
	}
	from, _, ok := strings.Cut(line, " ")
	if !ok {
		return "", 0, statusProtocol, nil
	}
	return from, minor, statusOK, nil
}
