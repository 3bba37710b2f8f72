package sink

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
)

// A Peer is a receiver of records. Its methods are called by one goroutine.
type Peer interface {
	// Deliver brings records to the receiver, in order, and returns when it is known what became of them. It must end soon after ctx is done, and
	// may keep neither the records nor their lines. After Later and Faulty it is called with the same records again, unless the Sender is stopped
	// or, after many failures, looks for the one to blame.
	Deliver(ctx context.Context, records []Record) Answer
	// Close ends connections. Nothing is delivered any more.
	Close() error
}

// A Record is a line of the file.
type Record struct {
	Line  []byte // without its newline; usually a message of RFC 5424
	Place Place  // of its first byte
	// Prev is where the record before ended, in whichever file: Place itself, unless a file begins with the line, or something was not sent.
	Prev Place
}

// End is the place after the record.
func (r *Record) End() Place {
	p := r.Place
	p.Offset += int64(len(r.Line)) + 1
	return p
}

// A Place is where a line stands. It stays the same over rotations and restarts, so that a receiver can recognize a line that arrives again.
type Place struct {
	Inode  uint64
	Birth  int64 // of the file, in nanoseconds since 1970; 0: the file system does not know
	Offset int64 // in bytes
}

func placeOf(p rotate.Position) Place { return Place{p.Inode, p.Birth, p.Offset} }

// Append appends p as "INODE-BIRTH-OFFSET" in hexadecimal digits.
func (p Place) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, p.Inode, 16)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, p.Birth, 16)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, p.Offset, 16)
}

func (p Place) String() string { return string(p.Append(nil)) }

// A Verdict is what became of delivered records.
type Verdict int

const (
	// Later: the receiver has not answered, or has no time, or is not set up. The same records are delivered again, until it takes them.
	Later Verdict = iota
	// Taken: the receiver has all records, but for those in Again and Refused.
	Taken
	// Smaller: so much at a time is too large for it.
	Smaller
	// Refused: it does not take these records for what is in at least one of them.
	Refused
	// Faulty: it failed, or ended the connection in place of an answer. The same records are delivered again; if it fails every time it may be for what
	// is in one of them.
	Faulty
)

// An Answer is what a receiver says of records.
type Answer struct {
	Verdict Verdict
	Err     error         // why not everything was taken; nil: it was
	After   time.Duration // with Later and Faulty: how long the receiver wants not to be asked
	Again   []int         // with Taken: indices of records that were not, and are to be delivered again, in order
	Refused []int         // with Taken: indices of records that the receiver will never take, in order, for the reason in Err
	Dropped int           // with Taken: how many records it has dropped for the reason in Err, without saying which
}

// HungUp says whether err is that the other side has ended a connection, which some receivers do for what is in a record.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
