package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var errMalformed = errors.New("malformed request")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// request is one request's head, read as strictly as RFC 9112 lets a server be.
type request struct {
	method, path string
	http10       bool
	close        bool   // the client will not send another
	upgrade      string // the protocol asked for, "" for none
	wsKey        string // Sec-WebSocket-Key
	length       int64  // of the body; -1 for chunked
	head         []byte // the header lines as they came
}

// read reads the next request's head. io.EOF means that the client left between two requests. If the client waits for
// 100 (Continue), w gets it and is flushed.
func (q *request) read(r *bufio.Reader, w *bufio.Writer) error {
	if err := q.readLine(r); err != nil {
		return err
	}
	var hosts, lengths, codings int
	expect := false
	for {
		line, err := readLine(r)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		q.head = append(append(q.head, line...), '\n')
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\x00") {
			return malformed("header line %q", line)
		}
		value = bytes.Trim(value, " \t")
		switch {
		case is(name, "host"):
			hosts++
		case is(name, "content-length"):
			lengths++
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return malformed("content-length %q", value)
			}
			q.length = int64(n)
		case is(name, "transfer-encoding"):
			codings++
			if !is(value, "chunked") {
				return malformed("transfer-encoding %q", value)
			}
		case is(name, "connection"):
			if is(value, "close") {
				q.close = true
			} else if is(value, "keep-alive") {
				q.close = false
			}
		case is(name, "upgrade"):
			q.upgrade = string(value)
		case is(name, "sec-websocket-key"):
			q.wsKey = string(value)
		case is(name, "expect"):
			expect = is(value, "100-continue")
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && !q.http10:
		return malformed("%d host headers", hosts)
	case lengths > 1 || codings > 1 || lengths+codings > 1:
		return malformed("%d content-length and %d transfer-encoding headers", lengths, codings)
	}
	if codings == 1 {
		q.length = -1
	}
	if expect {
		w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		return w.Flush()
	}
	return nil
}

// readLine reads the request line.
func (q *request) readLine(r *bufio.Reader) error {
	line, err := readLine(r)
	if err != nil {
		return err
	}
	method, rest, ok1 := bytes.Cut(line, []byte(" "))
	path, proto, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || len(method) == 0 || len(path) == 0 || bytes.ContainsRune(proto, ' ') {
		return malformed("request line %q", line)
	}
	*q = request{method: string(method), path: string(path), head: q.head[:0]}
	switch string(proto) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		q.http10, q.close = true, true
	default:
		return malformed("protocol %q", proto)
	}
	return nil
}

// body copies the request's body to dst, without the framing.
func (q *request) body(r *bufio.Reader, dst io.Writer) (n int64, err error) {
	if q.length >= 0 {
		n, err = io.CopyN(dst, r, q.length)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	for {
		line, err := readLine(r)
		if err != nil {
			return n, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		chunk, err := strconv.ParseUint(string(size), 16, 62)
		if err != nil {
			return n, malformed("chunk size %q", size)
		}
		if chunk == 0 {
			break
		}
		m, err := io.CopyN(dst, r, int64(chunk))
		n += m
		if err != nil {
			return n, err
		}
		if line, err = readLine(r); err != nil {
			return n, err
		}
		if len(line) > 0 {
			return n, malformed("%q after a chunk", line)
		}
	}
	for { // trailers
		line, err := readLine(r)
		if err != nil || len(line) == 0 {
			return n, err
		}
		q.head = append(append(q.head, line...), '\n')
	}
}

// readLine returns the next line without its CRLF, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err == bufio.ErrBufferFull {
		return nil, malformed("a line longer than %d bytes", len(line))
	}
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.ContainsRune(line, '\r') {
		return nil, malformed("line end in %q", line)
	}
	return line, nil
}

// is reports whether b is the lower-case word, in any case.
func is(b []byte, word string) bool {
	return len(b) == len(word) && bytes.EqualFold(b, []byte(word))
}
