package tlsrecord

import (
	"encoding/binary"
	"errors"
	"io"

	"lbsyslogd/lb/secret"
)

// stateVersion is the form of a state; another one is not understood.
const stateVersion = 1

// Flags of a state.
const (
	flagClient = 1 << iota
	flagOwes
	flagEnded
	flagSaid
)

// ErrState says that a state cannot be understood: it is of another version of
// this program, or damaged.
var ErrState = errors.New("tlsrecord: a connection's state in an unknown form")

// AppendState appends what the connection consists of, its secrets among it.
// Whoever restores it goes on in its place: this one must not be used any more.
func (c *Conn) AppendState(dst []byte) []byte {
	flags := byte(0)
	for i, on := range [...]bool{c.client, c.owes, c.ended, c.said} {
		if on {
			flags |= 1 << i
		}
	}
	dst = append(dst, stateVersion, flags, c.useless)
	dst = binary.BigEndian.AppendUint16(dst, c.suite.version)
	dst = binary.BigEndian.AppendUint16(dst, c.suite.id)
	for _, h := range [...]*half{&c.in, &c.out} {
		dst = binary.BigEndian.AppendUint64(dst, h.seq)
		dst = append(dst, h.size)
		dst = append(dst, h.secret[:h.size]...)
	}
	secret.Registers()
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.hand)))
	return append(dst, c.hand...)
}

// StateSize is about how many bytes AppendState appends.
const StateSize = 7 + 2*(9+48) + 4

// Restore makes the connection of a state.
func Restore(b []byte) (*Conn, error) {
	if len(b) < 7 || b[0] != stateVersion || b[1] >= flagSaid<<1 {
		return nil, ErrState
	}
	s, err := suiteOf(binary.BigEndian.Uint16(b[3:]), binary.BigEndian.Uint16(b[5:]))
	if err != nil {
		return nil, err
	}
	flags, useless := b[1], b[2]
	var seq [2]uint64
	var secrets [2][]byte
	b = b[7:]
	for i := range seq {
		if len(b) < 9 || len(b) < 9+int(b[8]) {
			return nil, ErrState
		}
		seq[i], secrets[i] = binary.BigEndian.Uint64(b), b[9:9+int(b[8])]
		b = b[9+int(b[8]):]
	}
	if len(b) < 4 || uint64(len(b)-4) != uint64(binary.BigEndian.Uint32(b)) || len(b)-4 > maxTicket {
		return nil, ErrState
	}
	c, err := newConn(s, flags&flagClient != 0, secrets[0], secrets[1], seq[0], seq[1])
	if err != nil {
		return nil, err
	}
	c.owes, c.ended, c.said = flags&flagOwes != 0, flags&flagEnded != 0, flags&flagSaid != 0
	c.useless = useless
	if c.ended {
		c.err = io.EOF
	}
	if len(b) > 4 {
		c.hand = append([]byte(nil), b[4:]...)
	}
	return c, nil
}
