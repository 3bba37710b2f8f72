package receive

import (
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The sockets of a group have one address (SO_REUSEPORT). Which of them gets a message is said by a program in the kernel, by the sender's
// address alone: all that a host sends goes through one socket, whatever ports it sends from, and so stays in its order.
//
// When one more is chosen, a sender either stays where it is or moves to the new one; when the last one is not chosen any more, only its senders
// move. A Group relies on that: it need not wait for messages of senders that stay.

// mostMembers bounds the sockets of a group, and with them the program.
const mostMembers = 16

// netOffset is where the kernel's loads find the IP header (SKF_NET_OFF): the packet itself begins with the payload here.
const netOffset = uint32(0xfff00000)

// steering is the program for the first n sockets of a group.
func steering(n int) []bpf.Instruction {
	const v4, v6 = 12, 8 // where the sender's address is in the header
	word := func(at uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: netOffset + at, Size: 4} }
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: netOffset, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 2},
		word(v4),
		bpf.Jump{Skip: 1 + 3*4}, // over what follows for IPv6
		word(v6),
	}
	for i := uint32(1); i < 4; i++ {
		program = append(program, bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: mixers[0]}, bpf.TAX{}, word(v6+4*i), bpf.ALUOpX{Op: bpf.ALUOpXor})
	}
	for i, mixer := range mixers {
		program = append(program, bpf.TAX{}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: shifts[i]}, bpf.ALUOpX{Op: bpf.ALUOpXor},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: mixer})
	}
	program = append(program, bpf.StoreScratch{Src: bpf.RegA, N: 0})
	for i := n - 1; i > 0; i-- {
		program = append(program,
			bpf.LoadScratch{Dst: bpf.RegA, N: 0},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: spread(i)},
			bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
			bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(i + 1)},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1},
			bpf.RetConstant{Val: uint32(i)})
	}
	return append(program, bpf.RetConstant{Val: 0})
}

// memberOf is what the program says of an address.
func memberOf(a netip.Addr, n int) int {
	var h uint32
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		h = word(b[:])
	} else {
		b := a.As16()
		h = word(b[:4])
		for i := 4; i < 16; i += 4 {
			h = h*mixers[0] ^ word(b[i:i+4])
		}
	}
	for i, mixer := range mixers {
		h = (h ^ h>>shifts[i]) * mixer
	}
	for i := n - 1; i > 0; i-- {
		if h*spread(i)>>16%uint32(i+1) == 0 {
			return i
		}
	}
	return 0
}

func word(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// Of MurmurHash3's last step, which makes neighbouring addresses differ in all bits.
var (
	mixers = [...]uint32{0x85ebca6b, 0xc2b2ae35, 1}
	shifts = [...]uint32{16, 13, 16}
)

// spread makes another number of a hash for each i. Odd: nothing of the hash is lost.
func spread(i int) uint32 { return 0x9e3779b1*uint32(2*i+1) | 1 }

// attach has the kernel steer what comes to a group by the program for its first n sockets, at once and for all of them. A socket that is not
// bound yet begins its group with it. errNoGroup: the socket was bound without SO_REUSEPORT, and nothing has joined it.
func attach(fd, n int) error {
	raw, err := bpf.Assemble(steering(n))
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
	switch errno {
	case 0:
		return nil
	case unix.EINVAL:
		return errNoGroup
	}
	return errno
}

var errNoGroup = errors.New("the socket is not one of a group")

// share says whether others may join the group.
func (s *Socket) share(yes bool) error {
	value := 0
	if yes {
		value = 1
	}
	return unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value)
}

// settle returns when no packet is still on its way to a socket that the former program chose: packets are steered and queued within one
// read-side section of RCU, and this waits until all of those have ended.
func settle() error {
	const global = 1 // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
