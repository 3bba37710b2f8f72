package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/sample"
)

// A worker that is killed takes its requests with it, but not the knowledge of
// them: each request in flight has a slot in a memory file that outlives the
// process. Whoever holds the file can tell afterwards what was lost.
//
// The file begins with a header and the names of all proxies and servers; the
// slots follow, a fixed number for each shard. A slot is written by its
// shard alone, with plain stores: the reader comes when the writer is dead. What
// Engine.Estate keeps is at the end.

// flight is one slot.
type flight struct {
	state     uint32 // inFlight, handedOver, or anything else
	frontend  int32  // indices into the names; -1 is none
	backend   int32
	server    int32
	accepted  int64 // Unix time, ms
	request   int64 // Unix time, ms
	peer      [16]byte
	port      uint16
	uriLen    uint16
	methodLen uint8
	minor     uint8
	phase     byte // second letter of the termination state, were it to end now
	tls       uint8
	text      [184]byte // method, then URI, cut
}

const (
	inFlight        = 0x666c7921
	handedOver      = 0x666c7922 // on its way to another process, which has a slot for it if it took it
	flightsPerShard = 4096
	flightSize      = unsafe.Sizeof(flight{})
	flightsMagic    = "lbflts1\n"
	flightsHeader   = 16 // magic, shards, length of the names
)

// flightNames are the names that slots point to.
type flightNames struct {
	Frontends []string `json:"frontends"`
	Backends  []string `json:"backends"`
	Servers   []string `json:"servers"`
}

// openFlights makes the memory file and gives each of the shards its slots.
func (e *Engine) openFlights(shards int) (*os.File, [][]flight, error) {
	var names flightNames
	for _, fe := range e.Frontends {
		names.Frontends = append(names.Frontends, fe.Proxy.Name)
	}
	for _, be := range e.Backends {
		names.Backends = append(names.Backends, be.Proxy.Name)
	}
	for _, s := range e.Servers {
		names.Servers = append(names.Servers, s.Name)
	}
	text, err := json.Marshal(names)
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.MemfdCreate("flights", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), "flights")
	start := flightsStart(len(text))
	slots := start + shards*flightsPerShard*int(flightSize)
	size := slots + e.Estate.Size
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, nil, err
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	copy(mem, flightsMagic)
	binary.NativeEndian.PutUint32(mem[8:], uint32(shards))
	binary.NativeEndian.PutUint32(mem[12:], uint32(len(text)))
	copy(mem[flightsHeader:], text)
	if e.Estate.Keep != nil {
		e.Estate.Keep(mem[slots:])
	}
	parts := make([][]flight, shards)
	for i := range parts {
		at := start + i*flightsPerShard*int(flightSize)
		parts[i] = unsafe.Slice((*flight)(unsafe.Pointer(&mem[at])), flightsPerShard)
	}
	return f, parts, nil
}

// flightsStart is where the slots begin: aligned, after the names.
func flightsStart(names int) int { return (flightsHeader + names + 63) &^ 63 }

// flightHTTP2 stands in flight.minor.
const flightHTTP2 = 2

// recordFlight takes a slot for t. When there is none left the request is not
// recorded; it is served all the same.
func (t *txn) recordFlight() {
	sh, s := t.s.sh, t.s
	if len(sh.freeFlights) == 0 {
		return
	}
	t.flight = &sh.flights[sh.freeFlights[len(sh.freeFlights)-1]]
	sh.freeFlights = sh.freeFlights[:len(sh.freeFlights)-1]
	f := t.flight
	f.frontend, f.backend, f.server = int32(s.fe.Index), -1, -1
	f.accepted, f.request = s.accepted.UnixMilli(), t.rec.Request.UnixMilli()
	f.peer, f.port = s.peer.Addr().As16(), s.peer.Port()
	n := copy(f.text[:], t.rec.Method)
	f.methodLen = uint8(n)
	f.uriLen = uint16(copy(f.text[n:], t.rec.URI))
	f.minor, f.phase, f.tls = uint8(t.rec.Minor), 'R', 0
	if t.rec.HTTP2 {
		f.minor = flightHTTP2
	}
	if s.ln.TLS != nil {
		f.tls = 1
	}
	f.state = inFlight
}

// flightPhase notes how far the exchange has come.
func (t *txn) flightPhase(phase byte) {
	if f := t.flight; f != nil {
		f.phase = phase
		if t.be != nil {
			f.backend = int32(t.be.Index)
		}
		if t.srv != nil {
			f.server = int32(t.srv.Index)
		}
	}
}

// flightAway notes whether t is on its way to another process.
func (t *txn) flightAway(away bool) {
	switch {
	case t == nil || t.flight == nil:
	case away:
		t.flight.state = handedOver
	default:
		t.flight.state = inFlight
	}
}

// landing is the slot of a request that has ended.
type landing struct {
	slot int32
	logs int32 // where its line goes: Frontend.Logs
}

// endFlight lets the slot go when the request's log line has left: a process
// killed before that has not logged the request. Without a line (it goes on
// elsewhere, or nobody wants one) that is now.
func (t *txn) endFlight(sh *Shard) {
	if t.flight == nil {
		return
	}
	f := t.flight
	t.flight = nil
	if !t.lined {
		sh.freeFlight(sh.slotOf(f))
		return
	}
	f.phase = 'L'
	sh.landed = append(sh.landed, landing{sh.slotOf(f), int32(t.s.fe.Logs)})
}

func (sh *Shard) slotOf(f *flight) int32 {
	return int32((uintptr(unsafe.Pointer(f)) - uintptr(unsafe.Pointer(&sh.flights[0]))) / flightSize)
}

// freeLanded gives the slots of requests back whose lines a sender has just sent.
// The order decides what becomes of a request if the process is killed between the
// two: marked after the line has left, it has a second one; before, it would have
// none. Each sender's are marked before the next one sends, so that there is as
// little time as can be.
func (sh *Shard) freeLanded(sender int) {
	rest := sh.landed[:0]
	for _, l := range sh.landed {
		if int(l.logs) == sender {
			sh.freeFlight(l.slot)
		} else {
			rest = append(rest, l)
		}
	}
	sh.landed = rest
}

func (sh *Shard) freeFlight(slot int32) {
	sh.flights[slot].state = 0
	sh.freeFlights = append(sh.freeFlights, slot)
}

// keepUnsent is freeLanded while lines wait for a receiver that is behind: the
// last requests are those whose lines wait. They leave half of the slots to
// requests in flight.
func (sh *Shard) keepUnsent() {
	sh.unsent, sh.known = sh.unsent[:0], sh.known[:0]
	for _, s := range sh.senders {
		sh.unsent, sh.known = append(sh.unsent, int(s.Waiting())), append(sh.known, 0)
	}
	kept := 0
	for i := len(sh.landed) - 1; i >= 0; i-- {
		l := &sh.landed[i]
		if sh.unsent[l.logs] > 0 && kept < flightsPerShard/2 {
			sh.unsent[l.logs]--
			sh.known[l.logs]++
			kept++
			continue
		}
		sh.freeFlight(l.slot)
		l.slot = -1
	}
	sh.landed = slices.DeleteFunc(sh.landed, func(l landing) bool { return l.slot < 0 })
	for i, s := range sh.senders {
		s.Known(sh.known[i])
	}
}

// ReadFlights gives the requests that were in flight when the process that
// wrote f ended, as records with the termination state X and how far each had
// come; and what it left in Engine.Estate.
func ReadFlights(f *os.File) (lost []sample.Record, estate []byte, err error) {
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("read the record of requests in flight: %w", err)
	}
	defer unix.Munmap(mem)
	if len(mem) < flightsHeader || string(mem[:8]) != flightsMagic {
		return nil, nil, errors.New("the record of requests in flight has another format")
	}
	shards := int(binary.NativeEndian.Uint32(mem[8:]))
	length := int(binary.NativeEndian.Uint32(mem[12:]))
	start := flightsStart(length)
	if len(mem) < start+shards*flightsPerShard*int(flightSize) {
		return nil, nil, errors.New("the record of requests in flight is cut short")
	}
	var names flightNames
	if err := json.Unmarshal(mem[flightsHeader:flightsHeader+length], &names); err != nil {
		return nil, nil, fmt.Errorf("the record of requests in flight: %w", err)
	}
	slots := unsafe.Slice((*flight)(unsafe.Pointer(&mem[start])), shards*flightsPerShard)
	for i := range slots {
		if slots[i].state == inFlight {
			lost = append(lost, slots[i].record(&names))
		}
	}
	return lost, bytes.Clone(mem[start+len(slots)*int(flightSize):]), nil
}

// record is the slot as the log shows it.
func (f *flight) record(names *flightNames) sample.Record {
	r := sample.Record{
		Timers: sample.Timers{Accept: time.UnixMilli(f.accepted), Request: time.UnixMilli(f.request), TR: -1, Tq: -1, Tw: -1, Tc: -1, Tr: -1, Td: -1},
		Status: -1, Term: [4]byte{'X', f.phase, '-', '-'},
		Minor: int(min(f.minor, 1)), HTTP2: f.minor == flightHTTP2,
	}
	r.Frontend, r.TLS = name(names.Frontends, f.frontend, "-"), f.tls != 0
	if f.port != 0 { // a unix socket's client has no address
		r.Client = netip.AddrPortFrom(netip.AddrFrom16(f.peer).Unmap(), f.port)
	}
	r.Backend = name(names.Backends, f.backend, r.Frontend)
	r.Server = name(names.Servers, f.server, NoServer)
	m := min(int(f.methodLen), len(f.text))
	u := min(int(f.uriLen), len(f.text)-m)
	r.Method = append([]byte(nil), f.text[:m]...)
	r.URI = append([]byte(nil), f.text[m:m+u]...)
	since := int32(time.Since(r.Request) / time.Millisecond)
	r.Ta, r.Tt = since, int32(time.Since(r.Accept)/time.Millisecond)
	return r
}

func name(list []string, i int32, none string) string {
	if i < 0 || int(i) >= len(list) {
		return none
	}
	return list[i]
}
