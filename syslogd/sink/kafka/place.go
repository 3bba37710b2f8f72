package kafka

import (
	"bytes"
	"strconv"

	"lbsyslogd/syslogd/sink"
)

// The headers of a record.
const (
	// HeaderPlace is the idempotence key: "HOST/INODE-BIRTH-OFFSET/SIZE", the host whose file it is, the line's place as every sink has it, and how
	// many bytes it has there with its newline. The same line has the same one, however often it is stored.
	HeaderPlace = "syslogd-place"
	// HeaderAfter is with a line that does not begin where the one before ends, as the first of a file: "INODE-BIRTH-OFFSET", that end.
	HeaderAfter = "syslogd-after"
)

// A key is what HeaderPlace says.
type key struct {
	host string
	at   sink.Place
	size int64
}

func (k key) append(dst []byte) []byte {
	dst = append(dst, k.host...)
	dst = append(dst, '/')
	dst = k.at.Append(dst)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, k.size, 10)
}

// parseKey reads a HeaderPlace.
func parseKey(b []byte) (k key, ok bool) {
	host, rest, slash := bytes.Cut(b, []byte{'/'})
	at, size, again := bytes.Cut(rest, []byte{'/'})
	if !slash || !again {
		return k, false
	}
	k.host = string(host)
	if k.at, ok = parsePlace(at); !ok {
		return k, false
	}
	n, err := strconv.ParseInt(string(size), 10, 64)
	k.size = n
	return k, err == nil && n > 0
}

// parsePlace reads what sink.Place.Append writes.
func parsePlace(b []byte) (p sink.Place, ok bool) {
	inode, rest, one := bytes.Cut(b, []byte{'-'})
	birth, offset, two := bytes.Cut(rest, []byte{'-'})
	if !one || !two {
		return p, false
	}
	var errs [3]error
	p.Inode, errs[0] = strconv.ParseUint(string(inode), 16, 64)
	p.Birth, errs[1] = strconv.ParseInt(string(birth), 16, 64)
	p.Offset, errs[2] = strconv.ParseInt(string(offset), 16, 64)
	return p, errs == [3]error{} && p.Birth >= 0 && p.Offset >= 0
}
