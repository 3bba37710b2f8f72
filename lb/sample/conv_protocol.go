package sample

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// convsProtocol read the first message of FIX and MQTT (HAProxy configuration
// manual, section 7.3.1).
var convsProtocol = []convRow{
	{name: "fix_is_valid", in: Bin, out: Bool, get: func(x *Ctx, _ *args, v Value) (Value, bool) {
		ok, whole := validFIX(v.binary(x))
		x.Missing = x.Missing || !whole && x.Partial
		return BoolValue(ok), whole
	}},
	{name: "fix_tag_value", args: "s", in: Bin, out: Bin, get: convFIXTag, check: checkFIXTag},
	{name: "mqtt_field_value", args: "ss", in: Bin, out: Str, get: convMQTTField, check: checkMQTTField},
	{name: "mqtt_is_valid", in: Bin, out: Bool, get: func(x *Ctx, _ *args, v Value) (Value, bool) {
		_, state := parseMQTT(v.binary(x))
		x.Missing = x.Missing || state == mqttShort && x.Partial
		return BoolValue(state == mqttValid), state != mqttShort
	}},
}

// soh ends each field of FIX, and minFIX is the shortest message.
const (
	soh    = 1
	minFIX = 26
)

// fixTags are the tags that have names.
var fixTags = map[string]int64{"beginstring": 8, "bodylength": 9, "msgtype": 35, "sendercompid": 49, "targetcompid": 56, "checksum": 10}

func checkFIXTag(a *args) error {
	n, known := fixTags[strings.ToLower(a.s[0])]
	if !known {
		var err error
		if n, err = strconv.ParseInt(a.s[0], 10, 32); err != nil || n <= 0 {
			return fmt.Errorf("'%s' is no FIX tag: a number or BeginString, BodyLength, MsgType, SenderCompID, TargetCompID, CheckSum is expected", a.s[0])
		}
	}
	a.n[0] = n
	return nil
}

// fixField cuts the next field: its tag, its value and what follows. whole is
// false when the field's end is not there.
func fixField(b []byte) (tag int64, value, rest []byte, whole bool) {
	end := bytes.IndexByte(b, soh)
	if end < 0 {
		return 0, nil, nil, false
	}
	name, value, ok := bytes.Cut(b[:end], equals)
	tag, err := strconv.ParseInt(string(name), 10, 32)
	if !ok || err != nil || tag <= 0 {
		return 0, nil, nil, true
	}
	return tag, value, b[end+1:], true
}

// convFIXTag is the value of the first field of a tag.
func convFIXTag(_ *Ctx, a *args, v Value) (Value, bool) {
	for b := v.b; len(b) > 0; {
		tag, value, rest, whole := fixField(b)
		if !whole || tag == 0 {
			return Value{}, false
		}
		if tag == a.n[0] {
			return Value{kind: Bin, b: value}, true
		}
		b = rest
	}
	return Value{}, false
}

// validFIX checks a message: begin string, body length, message type, and the
// checksum at its end. whole is false when more bytes could make it valid.
func validFIX(b []byte) (ok, whole bool) {
	if len(b) < minFIX {
		return false, false
	}
	tag, value, rest, whole := fixField(b)
	if !whole {
		return false, false
	}
	if tag != 8 || !slices.Contains([]string{"FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIXT.1.1"}, string(value)) {
		return false, true
	}
	tag, value, body, whole := fixField(rest)
	if !whole {
		return false, false
	}
	size, err := strconv.Atoi(string(value))
	if tag != 9 || err != nil || size <= 0 {
		return false, true
	}
	if len(body) < size+len("10=000\x01") {
		return false, false
	}
	end := len(b) - len(body) + size
	tag, value, _, whole = fixField(b[end:])
	sum := byte(0)
	for _, c := range b[:end] {
		sum += c
	}
	n, err := strconv.Atoi(string(value))
	if !whole || tag != 10 || len(value) != 3 || err != nil || byte(n) != sum || n > 255 {
		return false, true
	}
	for i, fields := 0, body[:size]; len(fields) > 0; i++ {
		tag, value, fields, whole = fixField(fields)
		if !whole || tag == 0 || len(value) == 0 || i == 0 && tag != 35 {
			return false, true
		}
	}
	return true, true
}

// mqttState is what was made of bytes.
type mqttState uint8

const (
	mqttInvalid mqttState = iota
	mqttShort             // more bytes could make it valid
	mqttValid
)

// mqttPacket is a CONNECT or CONNACK packet: its fields by their names, and its
// properties by their numbers.
type mqttPacket struct {
	kind   byte
	fields map[string][]byte
	props  map[uint64][]byte
}

// mqttNames are the fields of each kind of packet.
var mqttNames = map[byte][]string{
	1: {"flags", "protocol_name", "protocol_version", "client_identifier", "will_topic", "will_payload", "username", "password", "keepalive"},
	2: {"flags", "protocol_version", "reason_code"},
}

// mqttProps are the properties of each kind of packet.
var mqttProps = map[byte][]uint64{
	1: {17, 33, 39, 34, 25, 23, 21, 22, 18, 1, 2, 3, 8, 9},
	2: {17, 33, 36, 37, 39, 18, 34, 31, 40, 41, 42, 19, 26, 28, 21, 22},
}

// mqttTexts are the properties that are no numbers.
var mqttTexts = []uint64{3, 8, 9, 21, 22, 26, 28, 31}

func checkMQTTField(a *args) error {
	kind := byte(0)
	switch strings.ToLower(a.s[0]) {
	case "connect", "1":
		kind = 1
	case "connack", "2":
		kind = 2
	default:
		return fmt.Errorf("'%s' is no packet that can be read: 'connect' and 'connack' are", a.s[0])
	}
	a.n[0] = int64(kind)
	a.s[1] = strings.ToLower(a.s[1])
	if n, err := strconv.ParseUint(a.s[1], 10, 8); err == nil && slices.Contains(mqttProps[kind], n) {
		a.n[1] = int64(n)
		return nil
	}
	if !slices.Contains(mqttNames[kind], a.s[1]) {
		return fmt.Errorf("'%s' is no field of a %s packet: %s, or a property's number", a.s[1], a.s[0], strings.Join(mqttNames[kind], ", "))
	}
	return nil
}

func convMQTTField(x *Ctx, a *args, v Value) (Value, bool) {
	p, state := parseMQTT(v.binary(x))
	if state != mqttValid || int64(p.kind) != a.n[0] {
		return Value{}, false
	}
	value, ok := p.fields[a.s[1]]
	if id := uint64(a.n[1]); id != 0 {
		value, ok = p.props[id]
		if !ok && string(p.fields["protocol_version"]) == "5" && !slices.Contains(mqttTexts, id) { // as HAProxy: a number that was not said is 0
			return StrValue([]byte("0")), true
		}
	}
	return StrValue(value), ok
}

// mqttReader takes a packet apart; bad is set when it is too short for that.
type mqttReader struct {
	b   []byte
	bad bool
}

func (r *mqttReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return make([]byte, min(n, 4))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *mqttReader) text() []byte { return r.take(int(binary.BigEndian.Uint16(r.take(2)))) }

// varint reads a number of up to four bytes, seven bits each.
func (r *mqttReader) varint() (n int) {
	for shift := 0; shift < 28; shift += 7 {
		c := r.take(1)[0]
		n |= int(c&127) << shift
		if c < 128 {
			return n
		}
	}
	r.bad = true
	return 0
}

// decimal is how a number is given.
func decimal(b []byte) []byte {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return strconv.AppendUint(nil, n, 10)
}

// properties reads a block of properties of version 5.
func (r *mqttReader) properties(p *mqttPacket, allowed []uint64) {
	block := mqttReader{b: r.take(r.varint())}
	for len(block.b) > 0 && !block.bad && !r.bad {
		id := uint64(block.varint())
		var value []byte
		switch id {
		case 1, 23, 25, 36, 37, 40, 41, 42:
			value = decimal(block.take(1))
		case 19, 33, 34:
			value = decimal(block.take(2))
		case 2, 17, 24, 39:
			value = decimal(block.take(4))
		case 18:
			if p.kind == 1 { // of the will, the delay
				value = decimal(block.take(4))
			} else {
				value = block.text()
			}
		case 3, 8, 9, 21, 22, 26, 28, 31:
			value = block.text()
		case 38: // a user's, as often as one likes
			block.text()
			block.text()
			continue
		default:
			r.bad = true
			return
		}
		if _, twice := p.props[id]; twice || !slices.Contains(allowed, id) {
			r.bad = true
			return
		}
		p.props[id] = value
	}
	r.bad = r.bad || block.bad
}

// parseMQTT reads a CONNECT or CONNACK packet of MQTT 3.1, 3.1.1 or 5.0.
func parseMQTT(b []byte) (p mqttPacket, state mqttState) {
	if len(b) < 2 {
		return p, mqttShort
	}
	if p.kind = b[0] >> 4; b[0]&15 != 0 || p.kind != 1 && p.kind != 2 {
		return p, mqttInvalid
	}
	head := mqttReader{b: b[1:]}
	size := head.varint()
	switch {
	case head.bad && len(b) >= 5:
		return p, mqttInvalid
	case head.bad, len(head.b) < size:
		return p, mqttShort
	}
	r := mqttReader{b: head.b[:size]}
	p.fields, p.props = map[string][]byte{}, map[uint64][]byte{}
	ok := false
	if p.kind == 1 {
		ok = r.connect(&p)
	} else {
		ok = r.connack(&p)
	}
	if !ok || r.bad || len(r.b) > 0 {
		return p, mqttInvalid
	}
	return p, mqttValid
}

func (r *mqttReader) connect(p *mqttPacket) bool {
	name := r.text()
	version := r.take(1)[0]
	switch {
	case version == 3 && string(name) == "MQIsdp":
	case (version == 4 || version == 5) && string(name) == "MQTT":
	default:
		return false
	}
	flags := r.take(1)[0]
	if flags&1 != 0 || flags&4 == 0 && flags&0x38 != 0 || flags>>3&3 == 3 {
		return false
	}
	p.fields["protocol_name"], p.fields["protocol_version"] = name, decimal([]byte{version})
	p.fields["flags"], p.fields["keepalive"] = decimal([]byte{flags}), decimal(r.take(2))
	if version == 5 {
		r.properties(p, []uint64{17, 33, 39, 34, 25, 23, 21, 22})
	}
	p.fields["client_identifier"] = r.text()
	if flags&4 != 0 {
		if version == 5 {
			r.properties(p, []uint64{18, 1, 2, 3, 8, 9})
		}
		p.fields["will_topic"] = r.text()
		p.fields["will_payload"] = r.text()
	}
	if flags&128 != 0 {
		p.fields["username"] = r.text()
	}
	if flags&64 != 0 {
		p.fields["password"] = r.text()
	}
	return true
}

func (r *mqttReader) connack(p *mqttPacket) bool {
	flags := r.take(1)[0]
	if flags&0xfe != 0 {
		return false
	}
	p.fields["flags"], p.fields["reason_code"] = decimal([]byte{flags}), decimal(r.take(1))
	p.fields["protocol_version"] = []byte("4")
	if len(r.b) > 0 { // as only version 5 has
		p.fields["protocol_version"] = []byte("5")
		r.properties(p, mqttProps[2])
	}
	return true
}
