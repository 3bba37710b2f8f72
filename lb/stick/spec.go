package stick

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Type is what the keys of a table are.
type Type uint8

// The types of keys (HAProxy configuration manual, "stick-table type").
const (
	IP Type = iota
	IPv6
	Integer
	String
	Binary
)

func (t Type) String() string { return [...]string{"ip", "ipv6", "integer", "string", "binary"}[t] }

// Types lists them.
func Types() []Type { return []Type{IP, IPv6, Integer, String, Binary} }

// Data is one thing that a table may hold of each entry.
type Data uint8

// The data types, in the order in which HAProxy shows them.
const (
	ServerID Data = iota
	GPT0
	GPC0
	GPC0Rate
	ConnCnt
	ConnRate
	ConnCur
	SessCnt
	SessRate
	HTTPReqCnt
	HTTPReqRate
	HTTPErrCnt
	HTTPErrRate
	BytesInCnt
	BytesInRate
	BytesOutCnt
	BytesOutRate
	GPC1
	GPC1Rate
	ServerKey
	HTTPFailCnt
	HTTPFailRate

	// The elements of arrays from the second or third on; those before are GPC0,
	// GPC1, GPC0Rate, GPC1Rate and GPT0.
	gpc2
	gpc2Rate = gpc2 + MaxArray - 2
	gpt1     = gpc2Rate + MaxArray - 2

	NumData = gpt1 + MaxArray - 1
)

// MaxArray is how many elements an array of counters or tags may have.
const MaxArray = 12

// GPC is an element of the array of counters, GPCRate of their rates and GPT of
// the tags; false beyond what an array may have.
func GPC(i int64) (Data, bool) { return element(i, GPC0, GPC1, gpc2) }

// GPCRate is the rate of a counter; see GPC.
func GPCRate(i int64) (Data, bool) { return element(i, GPC0Rate, GPC1Rate, gpc2Rate) }

// GPT is a tag; see GPC.
func GPT(i int64) (Data, bool) { return element(i, GPT0, gpt1, gpt1+1) }

func element(i int64, first, second, rest Data) (Data, bool) {
	switch {
	case i < 0 || i >= MaxArray:
		return 0, false
	case i == 0:
		return first, true
	case i == 1:
		return second, true
	}
	return rest + Data(i-2), true
}

// form is how a data type is kept and how two workers' shares of it add up.
type form uint8

const (
	count  form = iota // grows
	gauge              // grows and shrinks
	tag                // is set: the last one counts
	rate               // events over a period
	server             // the name of a server, by its number in Table.names
)

type dataRow struct {
	name string
	form form
}

var dataRows = arrays([NumData]dataRow{
	ServerID: {"server_id", tag}, GPT0: {"gpt0", tag}, GPC0: {"gpc0", count}, GPC0Rate: {"gpc0_rate", rate},
	ConnCnt: {"conn_cnt", count}, ConnRate: {"conn_rate", rate}, ConnCur: {"conn_cur", gauge},
	SessCnt: {"sess_cnt", count}, SessRate: {"sess_rate", rate},
	HTTPReqCnt: {"http_req_cnt", count}, HTTPReqRate: {"http_req_rate", rate},
	HTTPErrCnt: {"http_err_cnt", count}, HTTPErrRate: {"http_err_rate", rate},
	BytesInCnt: {"bytes_in_cnt", count}, BytesInRate: {"bytes_in_rate", rate},
	BytesOutCnt: {"bytes_out_cnt", count}, BytesOutRate: {"bytes_out_rate", rate},
	GPC1: {"gpc1", count}, GPC1Rate: {"gpc1_rate", rate}, ServerKey: {"server_key", server},
	HTTPFailCnt: {"http_fail_cnt", count}, HTTPFailRate: {"http_fail_rate", rate},
})

// arrays names the elements of arrays.
func arrays(rows [NumData]dataRow) [NumData]dataRow {
	for i := range int64(MaxArray) {
		for _, one := range []struct {
			at   func(int64) (Data, bool)
			name string
			form form
		}{{GPC, "gpc%d", count}, {GPCRate, "gpc%d_rate", rate}, {GPT, "gpt%d", tag}} {
			d, _ := one.at(i)
			rows[d] = dataRow{fmt.Sprintf(one.name, i), one.form}
		}
	}
	return rows
}

// InArray reports whether only arrays have d.
func (d Data) InArray() bool { return d >= gpc2 }

func (d Data) String() string { return dataRows[d].name }

// IsRate reports whether d counts over a period.
func (d Data) IsRate() bool { return dataRows[d].form == rate }

// IsServer reports whether d is kept for `stick` rules, which ask for it
// themselves.
func (d Data) IsServer() bool { return d == ServerID || d == ServerKey }

// ParseData finds a data type by its name.
func ParseData(name string) (Data, bool) {
	for d := range NumData {
		if dataRows[d].name == name {
			return d, true
		}
	}
	return 0, false
}

// Spec says what a table is. Immutable once a Table was made of it.
type Spec struct {
	Name    string
	Type    Type
	Len     int   // bytes of a key; the most for a string. KeyLen gives it for the other types
	Size    int   // entries at most
	Expire  int64 // ms without a touch after which an entry goes; 0 never
	NoPurge bool  // a full table takes no new entry, in place of giving up its oldest
	Shared  bool  // peers have it too, and are sent what changes
	Cluster bool  // as configured: rates and conn_cur are what all nodes count together
	ByAddr  bool  // servers are known by their addresses, not by their names
	Place   int   // among the tables of the configuration

	Nodes []string // of a Cluster with peers: the others' names

	Arrays Arrays

	Stores [NumData]bool
	Period [NumData]int64 // of rates, ms
}

// Arrays says what is kept as an array of gpt, of gpc, of gpc_rate: its elements are
// shown after all else, and it has no gpt0, gpc0, gpc1 or their rates besides.
type Arrays struct{ GPT, GPC, GPCRate bool }

// Arrayed reports whether d is an element of one of the table's arrays.
func (s *Spec) Arrayed(d Data) bool {
	switch {
	case d == GPT0 || d >= gpt1:
		return s.Arrays.GPT
	case d == GPC0 || d == GPC1 || d >= gpc2 && d < gpc2Rate:
		return s.Arrays.GPC
	case d == GPC0Rate || d == GPC1Rate || d >= gpc2Rate:
		return s.Arrays.GPCRate
	}
	return false
}

// ParseData finds a data type by its name. That of an array is its first element.
func (s *Spec) ParseData(name string) (Data, bool) {
	array := func(there bool, first, rest Data) (Data, bool) {
		if there {
			return first, true
		}
		return rest, true // known, and not stored
	}
	switch name {
	case "gpt":
		return array(s.Arrays.GPT, GPT0, gpt1)
	case "gpc":
		return array(s.Arrays.GPC, GPC0, gpc2)
	case "gpc_rate":
		return array(s.Arrays.GPCRate, GPC0Rate, gpc2Rate)
	}
	return ParseData(name)
}

// DefaultString is how long strings are without `len`: HAProxy's 32 bytes have a NUL
// at their end.
const DefaultString = 31

// sameKeys reports whether keys of a type and a length are this table's. Strings
// without `len` had 32 bytes in earlier builds.
func (s *Spec) sameKeys(kind Type, size int) bool {
	return kind == s.Type && (size == s.Len || kind == String && s.Len == DefaultString && size == DefaultString+1)
}

// KeyLen is how many bytes a key of a type has; 0 where the table says.
func (t Type) KeyLen() int {
	switch t {
	case IP, Integer:
		return 4
	case IPv6:
		return 16
	}
	return 0
}

// KeyAddr appends an address as a key; false when the table's type has no room
// for it.
func (s *Spec) KeyAddr(dst []byte, a netip.Addr) ([]byte, bool) {
	if a = a.Unmap(); !a.IsValid() {
		return dst, false
	}
	switch {
	case s.Type == IPv6:
		b := a.As16()
		return append(dst, b[:]...), true
	case a.Is4():
		b := a.As4()
		return append(dst, b[:]...), true
	}
	return dst, false
}

// KeyInt appends an integer as a key; like HAProxy's it has 32 bits.
func KeyInt(dst []byte, n int64) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) }

// KeyBytes appends a string or a block as a key: cut to the table's length, and
// a block filled up with zeros to it.
func (s *Spec) KeyBytes(dst, b []byte) []byte {
	dst = append(dst, b[:min(len(b), s.Len)]...)
	if s.Type == Binary {
		for n := len(b); n < s.Len; n++ {
			dst = append(dst, 0)
		}
	}
	return dst
}

// valid reports whether a key that another process made can be one here.
func (s *Spec) valid(key []byte) bool {
	return len(key) == s.Len || s.Type == String && len(key) < s.Len
}

// ParseKey reads a key as an operator writes it.
func (s *Spec) ParseKey(text string) ([]byte, error) {
	switch s.Type {
	case IP, IPv6:
		a, err := netip.ParseAddr(text)
		if err == nil {
			if key, ok := s.KeyAddr(nil, a.WithZone("")); ok {
				return key, nil
			}
		}
		return nil, fmt.Errorf("'%s' is no key of table %s, whose type is %s", text, s.Name, s.Type)
	case Integer:
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("'%s' is no key of table %s, whose type is integer", text, s.Name)
		}
		return KeyInt(nil, int64(n)), nil
	}
	return s.KeyBytes(nil, []byte(text)), nil
}

// AppendKey appends a key as HAProxy shows it.
func (s *Spec) AppendKey(dst, key []byte) []byte {
	switch s.Type {
	case IP, IPv6:
		if a, ok := netip.AddrFromSlice(key); ok {
			return a.AppendTo(dst)
		}
	case Integer:
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(key)), 10)
	case String:
		return appendText(dst, key)
	}
	const digits = "0123456789ABCDEF"
	for _, c := range key {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// appendText keeps a text one word: HAProxy's dump_text.
func appendText(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range text {
		switch {
		case c == ' ' || c == '=' || c == '\\':
			dst = append(dst, '\\', c)
		case c > ' ' && c < 0x7f:
			dst = append(dst, c)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == 0x1b:
			dst = append(dst, `\e`...)
		default:
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// Now is the time tables count in: milliseconds of the machine's monotonic
// clock, which every process reads alike.
func Now() int64 {
	var ts unix.Timespec
	// It fails for unknown clocks only, and this one is known.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano() / 1e6
}

// order is what the table stores in the order in which HAProxy shows it.
func (s *Spec) order() (list []Data) {
	var last []Data
	for _, array := range []func(int64) (Data, bool){GPT, GPC, GPCRate} {
		for i := range int64(MaxArray) {
			if d, _ := array(i); s.Stores[d] && s.Arrayed(d) {
				last = append(last, d)
			}
		}
	}
	for d := range NumData {
		if s.Stores[d] && !slices.Contains(last, d) {
			list = append(list, d)
		}
	}
	return append(list, last...)
}
