package userlist

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"runtime"
)

// Credentials takes an Authorization field of the Basic scheme apart (RFC
// 7617); user and password are made in buf's memory.
func Credentials(field, buf []byte) (user, password []byte, ok bool) {
	scheme, coded, ok := bytes.Cut(field, []byte(" "))
	if !ok || len(scheme) != len("basic") || !bytes.EqualFold(scheme, []byte("basic")) {
		return nil, nil, false
	}
	coded = bytes.Trim(coded, " \t")
	text, err := base64.StdEncoding.AppendDecode(buf[:0], coded)
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(text, []byte(":"))
}

// Doubt is one user's password that has to be hashed to be compared. It
// belongs to one exchange: Compute runs on a goroutine, and everything else
// before or after that.
type Doubt struct {
	lists    []*List
	user     []byte
	password []byte
	sums     [][sha256.Size]byte // of the password in the lists that refuse it
	refusing []*List
}

// Doubts gives what an Authorization field leaves open in any of the lists;
// nil for nothing.
func Doubts(lists []*List, field []byte) *Doubt {
	if len(lists) == 0 || len(field) == 0 {
		return nil
	}
	var buf [256]byte
	user, password, ok := Credentials(field, buf[:])
	if !ok {
		return nil
	}
	var d *Doubt
	for _, l := range lists {
		if l.Check(user, password, nil) != Unsure {
			continue
		}
		if d == nil {
			d = &Doubt{user: bytes.Clone(user), password: bytes.Clone(password)}
		}
		d.lists = append(d.lists, l)
	}
	return d
}

// Compute settles the doubt. It takes some milliseconds of CPU time for each
// list.
func (d *Doubt) Compute() {
	for _, l := range d.lists {
		if !l.compute(d.user, d.password) {
			d.refusing = append(d.refusing, l)
			d.sums = append(d.sums, l.sum(d.password))
		}
	}
	clear(d.password)
	d.password = nil
}

// refused reports whether a list was found to refuse a password.
func (d *Doubt) refused(l *List, user []byte, sum *[sha256.Size]byte) bool {
	if d == nil || !bytes.Equal(d.user, user) {
		return false
	}
	for i := range d.refusing {
		if d.refusing[i] == l && d.sums[i] == *sum {
			return true
		}
	}
	return false
}

// Bench is where doubts are settled, a few at a time: however many passwords
// are tried, they leave room for the requests. The zero value is not usable.
type Bench struct{ seats chan struct{} }

// NewBench gives a bench for half of the processors.
func NewBench() *Bench {
	return &Bench{seats: make(chan struct{}, max(1, runtime.NumCPU()/2))}
}

// Settle computes d when its turn has come.
func (b *Bench) Settle(d *Doubt) {
	b.seats <- struct{}{}
	defer func() { <-b.seats }()
	d.Compute()
}
