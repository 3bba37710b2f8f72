package userlist

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// List is one userlist section. It is written while the configuration is read,
// and only read afterwards.
type List struct {
	Name string

	users  map[string]*User
	order  []string
	groups map[string][]string // group -> the users its line names
	salt   [32]byte            // of this process: what Check remembers is of no use elsewhere
	decoy  *User               // what a password of nobody is compared with
}

// User is one user of a list.
type User struct {
	name   string
	clear  []byte // the password, or
	hash   string // its hash as in crypt(5)
	groups []string

	// known is the salted sum of the password that was found to be right.
	known atomic.Pointer[[sha256.Size]byte]
}

// New gives an empty list.
func New(name string) *List {
	l := &List{Name: name, users: map[string]*User{}, groups: map[string][]string{}}
	rand.Read(l.salt[:]) // never fails
	return l
}

// Add adds a user with a password in clear.
func (l *List) Add(name, password string, groups []string) error {
	return l.add(&User{name: name, clear: []byte(password), groups: groups})
}

// nobody is a hash that no password has. It takes as long as another.
var nobody = "$5$nobody$" + strings.Repeat(".", 43)

// AddHashed adds a user with a password as crypt(3) makes them. After an
// ErrFutile the user is there, and no password is theirs.
func (l *List) AddHashed(name, hash string, groups []string) error {
	u := &User{name: name, hash: hash, groups: groups}
	err := checkHash(hash)
	if errors.Is(err, ErrFutile) {
		u.hash = nobody
	}
	if err == nil || errors.Is(err, ErrFutile) {
		if l.decoy == nil {
			l.decoy = u
		}
	}
	if twice := l.add(u); twice != nil && err == nil { // else groups may name it: that is no second mistake
		return twice
	}
	if err != nil {
		return fmt.Errorf("user '%s': %w", name, err)
	}
	return nil
}

// HasUser reports whether the list has a user of that name.
func (l *List) HasUser(name string) bool { return l.users[name] != nil }

// HasGroup is HasUser for groups.
func (l *List) HasGroup(name string) bool {
	_, have := l.groups[name]
	return have
}

func (l *List) add(u *User) error {
	if l.users[u.name] != nil {
		return fmt.Errorf("user '%s' is in userlist '%s' already", u.name, l.Name)
	}
	l.users[u.name] = u
	l.order = append(l.order, u.name)
	return nil
}

// AddNobody adds a user whose password nobody has.
func (l *List) AddNobody(name string, groups []string) error {
	u := &User{name: name, hash: nobody, groups: groups}
	if l.decoy == nil {
		l.decoy = u
	}
	return l.add(u)
}

// AddGroup adds a group and the users that its line names.
func (l *List) AddGroup(name string, users []string) error {
	if _, have := l.groups[name]; have {
		return fmt.Errorf("group '%s' is in userlist '%s' already", name, l.Name)
	}
	l.groups[name] = users
	return nil
}

// Finish checks that all names are known, which may stand in any order.
func (l *List) Finish() error {
	for _, name := range l.order {
		for _, g := range l.users[name].groups {
			if _, have := l.groups[g]; !have {
				return fmt.Errorf("userlist '%s': no such group '%s' specified in user '%s'", l.Name, g, name)
			}
		}
	}
	for g, users := range l.groups {
		for _, name := range users {
			u := l.users[name]
			if u == nil {
				return fmt.Errorf("userlist '%s': no such user '%s' specified in group '%s'", l.Name, name, g)
			}
			if !slices.Contains(u.groups, g) {
				u.groups = append(u.groups, g)
			}
		}
	}
	return nil
}

// Slow reports whether a password may take long to check.
func (l *List) Slow() bool { return l.decoy != nil }

// Member reports whether a user is in a group.
func (l *List) Member(user []byte, group string) bool {
	u := l.users[string(user)]
	return u != nil && slices.Contains(u.groups, group)
}

// maxPassword is the longest password that is looked at, as in crypt(3): the
// work of a hash grows with it.
const maxPassword = 512

// Answer is what Check found.
type Answer uint8

// Answers of Check.
const (
	Wrong Answer = iota
	Right
	Unsure // a hash must be computed: see Doubts
)

// Check compares a password in constant time, without computing a hash. d, if
// it is not nil, has computed what there was to compute.
func (l *List) Check(user, password []byte, d *Doubt) Answer {
	u := l.users[string(user)]
	switch {
	case u == nil && l.decoy == nil, len(password) > maxPassword:
		return Wrong
	case u != nil && u.hash == "":
		if subtle.ConstantTimeCompare(u.clear, password) == 1 {
			return Right
		}
		return Wrong
	}
	sum := l.sum(password)
	if u != nil {
		if known := u.known.Load(); known != nil && subtle.ConstantTimeCompare(known[:], sum[:]) == 1 {
			return Right
		}
	}
	if d.refused(l, user, &sum) {
		return Wrong
	}
	return Unsure
}

// sum is what is remembered of a password: the password cannot be derived from it, and
// means nothing to another process.
func (l *List) sum(password []byte) [sha256.Size]byte {
	var text [sha256.Size + maxPassword]byte
	n := copy(text[:], l.salt[:])
	n += copy(text[n:], password)
	return sha256.Sum256(text[:n])
}

// compute computes the hash of a password, which takes a while, and remembers
// it if it is right. Somebody whom the list does not have takes as long: how
// long an answer takes tells nobody who there is.
func (l *List) compute(user, password []byte) bool {
	u := l.users[string(user)]
	if u == nil || u.hash == "" {
		matches(l.decoy.hash, password)
		return false
	}
	if !matches(u.hash, password) {
		return false
	}
	sum := l.sum(password)
	u.known.Store(&sum)
	return true
}
