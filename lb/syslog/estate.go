package syslog

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"time"
	"unsafe"

	"lbsyslogd/syslogd/message"
)

// Estate is what a process has sent to one receiver, in memory that outlives it: a
// killed process beats no more, and its successor says its last word for it. The
// process writes, and whoever comes after it reads.
type Estate struct {
	sent, lost atomic.Uint64
	risk       atomic.Uint64 // lines that wait, and of which only the process knows
	network    [8]byte
	address    [224]byte
}

// estates follow a header.
const (
	estateMagic  = "lbestat1"
	estateHeader = 64 // magic, pid, generation, began, number
	estateSize   = int(unsafe.Sizeof(Estate{}))
)

// EstateSize is how much memory Bequeath needs.
func (l *Ledger) EstateSize() int { return estateHeader + len(l.receivers)*estateSize }

// Bequeath keeps the figures in mem, aligned to eight bytes, from now on. Nothing
// must have been sent yet.
func (l *Ledger) Bequeath(mem []byte) {
	copy(mem, estateMagic)
	for i, v := range [...]uint64{uint64(l.Pid), uint64(l.Generation), uint64(l.Began.UnixNano()), uint64(len(l.receivers))} {
		binary.NativeEndian.PutUint64(mem[8+8*i:], v)
	}
	for i, b := range l.receivers {
		e := (*Estate)(unsafe.Pointer(&mem[estateHeader+i*estateSize]))
		if b.nameless || len(b.address) > len(e.address) || len(b.network) > len(e.network) {
			continue // with no address nobody is told
		}
		copy(e.network[:], b.network)
		copy(e.address[:], b.address)
		e.sent.Store(b.health.Sent())
		e.lost.Store(b.health.Lost())
		b.health.estate = e
	}
}

// ReportKilled reports to the receivers what a killed process had sent and lost: with the next
// beats, until they have taken it. mem is what the process had given to Bequeath.
func (l *Ledger) ReportKilled(mem []byte) {
	if len(mem) < estateHeader || string(mem[:8]) != estateMagic || l.Mode == "never" {
		return
	}
	var head [4]uint64
	for i := range head {
		head[i] = binary.NativeEndian.Uint64(mem[8+8*i:])
	}
	if head[3] > uint64(len(mem)-estateHeader)/uint64(estateSize) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range int(head[3]) {
		e := mem[estateHeader+i*estateSize:]
		text := func(at uintptr, size int) string {
			s, _, _ := bytes.Cut(e[at:int(at)+size], []byte{0})
			return string(s)
		}
		number := func(at uintptr) uint64 { return binary.NativeEndian.Uint64(e[at:]) }
		network := text(unsafe.Offsetof(Estate{}.network), len(Estate{}.network))
		address := text(unsafe.Offsetof(Estate{}.address), len(Estate{}.address))
		b := l.receiver(network, address)
		if b == nil {
			continue
		}
		b.dead = append(b.dead, lastBeat{pid: int(head[0]), Beat: message.Beat{
			Instance: head[2], Generation: head[1], Final: true, Sent: number(unsafe.Offsetof(Estate{}.sent)),
			Lost: number(unsafe.Offsetof(Estate{}.lost)) + number(unsafe.Offsetof(Estate{}.risk)),
		}})
	}
}

// lastBeat is the last beat of a process that was killed.
type lastBeat struct {
	pid int
	message.Beat
}

// receiver finds whoever listens there, or makes one whom nothing else is told;
// nil when there is no telling.
func (l *Ledger) receiver(network, address string) *beaten {
	for _, b := range l.receivers {
		if b.network == network && b.address == address {
			return b
		}
	}
	if network != "udp" && network != "unixgram" {
		return nil
	}
	sock, err := newSocket(network, address)
	if err != nil {
		return nil
	}
	b := &beaten{network: network, address: address, sock: sock, nameless: true}
	l.receivers = append(l.receivers, b)
	return b
}

// reportKilled reports to a receiver the processes that were killed.
func (b *beaten) reportKilled() {
	for len(b.dead) > 0 {
		d := b.dead[0]
		b.buf = message.AppendBeat(b.buf[:0], time.Now(), d.pid, d.Beat)
		if b.stream != nil && !b.stream.put(append(b.buf, '\n')) || b.stream == nil && !b.send() {
			return
		}
		b.dead = b.dead[1:]
	}
}
