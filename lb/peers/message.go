package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"lbsyslogd/lb/stick"
)

// Classes of messages, and their kinds. From kindUpdate on a length and that many
// bytes follow.
const (
	classControl = 0
	classError   = 1
	classTable   = 10

	kindRequest   = 0 // send me everything
	kindFinished  = 1 // that was everything
	kindPartial   = 2 // that was everything that I have, which may not be all there is
	kindConfirm   = 3 // I have got it
	kindHeartbeat = 4

	kindProtocol = 0 // what you sent cannot be read
	kindTooLong  = 1 // what you sent is too long

	kindUpdate      = 128 // an entry, with the number of the change
	kindNext        = 129 // an entry, whose change has the next number
	kindDefine      = 130 // which table is meant from here on, and what it stores
	kindSwitch      = 131 // a table that was defined before is meant from here on
	kindAck         = 132
	kindUpdateTimed = 133 // as 128 and 129, with the time that is left of it
	kindNextTimed   = 134
)

// withLength is the bit of a kind that is followed by a length.
const withLength = 0x80

// maxMessage is how long a message may be: HAProxy's default buffer.
const maxMessage = 16384

// Data types have numbers. The first 22 are package stick's; arrays come after.
const (
	firstArray = 22
	arrayGPT   = 22
	arrayGPC   = 23
	arrayRate  = 24
	knownTypes = 25
)

// keyTypes are the numbers of types of keys.
var keyTypes = [...]uint64{stick.Integer: 2, stick.IP: 4, stick.IPv6: 5, stick.String: 6, stick.Binary: 7}

// keyLen is how long a table's keys are said to be: a string's with the NUL at its end.
func keyLen(t *stick.Table) uint64 {
	if t.Type == stick.String {
		return uint64(t.Len) + 1
	}
	return uint64(t.Len)
}

// column is one data type of a table as it is sent: an array's elements follow each
// other.
type column struct {
	typ  uint64 // its number
	data []stick.Data
}

// columns are what a table is sent with.
func columns(t *stick.Table) (list []column) {
	for d := stick.Data(0); d < firstArray; d++ {
		if t.Stores[d] && !t.Arrayed(d) {
			list = append(list, column{uint64(d), []stick.Data{d}})
		}
	}
	for typ, element := range arrayElements {
		var all []stick.Data
		for i := range int64(stick.MaxArray) {
			if d, _ := element(i); t.Stores[d] && t.Arrayed(d) {
				all = append(all, d)
			}
		}
		if len(all) > 0 {
			list = append(list, column{uint64(firstArray + typ), all})
		}
	}
	return list
}

// arrayElements gives the elements of arrays, by their numbers.
var arrayElements = [...]func(int64) (stick.Data, bool){arrayGPT - firstArray: stick.GPT, arrayGPC - firstArray: stick.GPC, arrayRate - firstArray: stick.GPCRate}

// appendMessage appends a message of classTable with its length.
func appendMessage(dst []byte, kind byte, body []byte) []byte {
	dst = append(dst, classTable, kind)
	return append(appendNumber(dst, uint64(len(body))), body...)
}

// appendDefinition appends the body of a definition.
func appendDefinition(dst []byte, id uint64, name string, t *stick.Table, list []column) []byte {
	dst = appendNumber(dst, id)
	dst = append(appendNumber(dst, uint64(len(name))), name...)
	dst = appendNumber(dst, keyTypes[t.Type])
	dst = appendNumber(dst, keyLen(t))
	var types uint64
	for _, c := range list {
		types |= 1 << c.typ
	}
	dst = appendNumber(dst, types)
	dst = appendNumber(dst, uint64(t.Expire))
	for _, c := range list {
		isArray, isRate := c.typ >= firstArray, c.data[0].IsRate()
		if isArray || isRate {
			dst = appendNumber(dst, c.typ)
		}
		if isArray {
			dst = appendNumber(dst, uint64(len(c.data)))
		}
		if isRate {
			dst = appendNumber(dst, uint64(t.Period[c.data[0]]))
		}
	}
	return dst
}

// step is how one value of an update is read.
type step struct {
	form form
	data stick.Data
	keep bool // this table stores it, over the same period
	sum  bool // and adds it up over nodes
}

// form is how a value is written.
type form uint8

const (
	plain  form = iota // a number
	rate               // three numbers: its age in ms, events of its period, of the one before
	server             // a length, and so many bytes: the name of a server or its place in a dictionary
)

// definition is a definition as it was read.
type definition struct {
	id     uint64
	name   []byte // a view
	kind   uint64
	keyLen uint64
	types  uint64
	elems  [knownTypes]uint64
	period [knownTypes]uint64
}

// errMessage is what a message that cannot be read is refused with.
var errMessage = errors.New("a message cannot be read")

func malformed(what string) error { return fmt.Errorf("%w: %s", errMessage, what) }

// readDefinition reads the body of a definition.
func readDefinition(body []byte) (d definition, err error) {
	c := cursor{rest: body}
	d.id = c.number()
	d.name = c.bytes(c.number())
	d.kind, d.keyLen, d.types = c.number(), c.number(), c.number()
	if c.bad || len(d.name) == 0 {
		return d, malformed("the definition of a table ends early")
	}
	arrays := d.types >> firstArray & 7
	if len(c.rest) == 0 && arrays == 0 {
		return d, nil // an old version, which says no more
	}
	_ = c.number() // its expiry
	for typ := range uint64(knownTypes) {
		isArray, isRate := typ >= firstArray, typ == arrayRate || typ < firstArray && stick.Data(typ).IsRate()
		if d.types&(1<<typ) == 0 || !isArray && !isRate {
			continue
		}
		if got := c.number(); !c.bad && got != typ {
			return d, malformed(fmt.Sprintf("the definition of table %.64q describes data type %d in the place of %d", d.name, got, typ))
		}
		if isArray {
			if d.elems[typ] = c.number(); d.elems[typ] > maxElements {
				return d, malformed(fmt.Sprintf("table %.64q is said to have an array of %d elements", d.name, d.elems[typ]))
			}
		}
		if isRate {
			d.period[typ] = c.number()
		}
	}
	if c.bad {
		return d, malformed(fmt.Sprintf("the definition of table %.64q ends early", d.name))
	}
	return d, nil
}

// maxElements is how long HAProxy's arrays may be.
const maxElements = 100

// steps are how the updates after a definition are read for a table. other lists
// what cannot be learned because it is counted over another period there.
func (d *definition) steps(t *stick.Table) (list []step, other []stick.Data) {
	add := func(typ uint64, data stick.Data) {
		s := step{data: data, keep: t.Stores[data] && data != stick.ConnCur}
		switch {
		case data.IsRate():
			s.form = rate
			if s.keep && d.period[typ] != 0 && d.period[typ] != uint64(t.Period[data]) {
				s.keep = false
				other = append(other, data)
			}
			if t.Nodes != nil {
				s.sum, s.keep = s.keep, false
			}
		case data == stick.ServerKey:
			s.form = server
		case data == stick.ConnCur:
			s.sum = t.Nodes != nil && t.Stores[data]
		}
		list = append(list, s)
	}
	for typ := range uint64(knownTypes) {
		switch {
		case d.types&(1<<typ) == 0:
		case typ < firstArray:
			add(typ, stick.Data(typ))
			// gpc0 is not the first element of gpc(1).
			if s := &list[len(list)-1]; t.Arrayed(s.data) {
				s.keep, s.sum = false, false
			}
		default:
			for i := range int64(d.elems[typ]) {
				if data, ok := arrayElements[typ-firstArray](i); ok && t.Arrayed(data) {
					add(typ, data)
				} else {
					list = append(list, step{form: formOfArray(typ)})
				}
			}
		}
	}
	return list, other
}

func formOfArray(typ uint64) form {
	if typ == arrayRate {
		return rate
	}
	return plain
}

// maxDictionary is how many names of servers each side remembers.
const maxDictionary = 128

// dictionary gives numbers to the names of servers that were sent over a
// connection: the oldest one's place is the next one's.
type dictionary struct {
	ids  map[string]int
	next int

	mu sync.Mutex
	// mu guards changes of the fields below, and reads by others than the writer.
	names [maxDictionary]string
}

// appendServer appends the name of a server, or its number if the other side
// knows it.
func (d *dictionary) appendServer(dst []byte, name string) []byte {
	if name == "" {
		return appendNumber(dst, 0)
	}
	if id, ok := d.ids[name]; ok {
		return append(dst, 1, byte(id)+1)
	}
	if d.ids == nil {
		d.ids = map[string]int{}
	}
	id := d.next
	d.next = (d.next + 1) % maxDictionary
	delete(d.ids, d.names[id])
	d.ids[name] = id
	d.mu.Lock()
	d.names[id] = name
	d.mu.Unlock()
	// The number takes a byte: it is 128 at most.
	var size [maxNumber]byte
	n := len(appendNumber(size[:0], uint64(len(name))))
	dst = appendNumber(dst, uint64(1+n+len(name)))
	dst = append(dst, byte(id)+1)
	return append(appendNumber(dst, uint64(len(name))), name...)
}

// learned are the names that were read.
type learned struct {
	mu sync.Mutex
	// mu guards changes of the fields below, and reads by others than the reader.
	names [maxDictionary]string
}

// server reads the name of a server; "" for none.
func (l *learned) server(c *cursor) string {
	size := c.number()
	if size == 0 {
		return ""
	}
	in := cursor{rest: c.bytes(size)}
	id := in.number()
	if c.bad || in.bad || id == 0 || id > maxDictionary {
		c.fail()
		return ""
	}
	if len(in.rest) > 0 {
		name := in.bytes(in.number())
		if in.bad {
			c.fail()
			return ""
		}
		if string(name) != l.names[id-1] {
			l.mu.Lock()
			l.names[id-1] = string(name)
			l.mu.Unlock()
		}
	}
	return l.names[id-1]
}

// appendEntry appends the body of an update but its number and its time: the key and
// the values.
func appendEntry(dst []byte, e stick.Entry, t *stick.Table, list []column, d *dictionary, now int64) []byte {
	key := e.Key()
	if t.Type == stick.String {
		dst = appendNumber(dst, uint64(len(key)))
	}
	dst = append(dst, key...)
	for i := range list {
		for _, data := range list[i].data {
			switch {
			case data.IsRate():
				tick, cur, prev := e.Total(data, now)
				dst = appendRate(dst, now-tick, t.Period[data], cur, prev)
			case data == stick.ServerKey:
				dst = d.appendServer(dst, e.Server())
			default:
				dst = appendNumber(dst, e.Value(data))
			}
		}
	}
	return dst
}

// appendRate appends a rate.
func appendRate(dst []byte, age, period int64, cur, prev uint32) []byte {
	if age = max(age, 0); age >= 2*period {
		age, cur, prev = 0, 0, 0 // all of it is past
	}
	dst = appendNumber(dst, uint64(age))
	dst = appendNumber(dst, uint64(cur))
	return appendNumber(dst, uint64(prev))
}

// readEntry reads what appendEntry makes. The lesson's parts are views.
func readEntry(c *cursor, t *stick.Table, steps []step, names *learned, to *stick.Lesson) {
	size := uint64(t.Len)
	if t.Type == stick.String {
		size = c.number()
	}
	to.Key = c.bytes(size)
	if len(to.Key) > t.Len {
		to.Key = to.Key[:t.Len]
	}
	to.Values, to.Server = to.Values[:0], to.Server[:0]
	for i := range steps {
		s := &steps[i]
		v := stick.Value{Data: s.data}
		switch s.form {
		case plain:
			v.N = c.number()
		case rate:
			age, cur, prev := c.number(), c.number(), c.number()
			if ahead := -int32(uint32(age)); ahead > 0 && ahead < mostAhead {
				age = 0
			}
			if age < 2*uint64(t.Period[s.data]) {
				v.Age, v.Cur, v.Prev = int64(age), uint32(min(cur, math.MaxUint32)), uint32(min(prev, math.MaxUint32))
			}
		case server:
			to.Server = append(to.Server, names.server(c)...)
		}
		if s.keep {
			to.Values = append(to.Values, v)
		}
	}
}

// mostAhead is how many milliseconds a period may begin in the future: HAProxy's
// threads have clocks of their own, and it sends the difference as 32 bits without a
// sign.
const mostAhead = 10_000

// appendAck appends the body of an acknowledgement.
func appendAck(dst []byte, table uint64, update uint32) []byte {
	return binary.BigEndian.AppendUint32(appendNumber(dst, table), update)
}
