package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:embed testdata/floor.c
var floorSource []byte

// loopArg has this program be the bare loop itself, where there is no compiler for the one in C.
const loopArg = "bare-loop"

// floor is the bare loop with so many readers: in C where gcc is installed, and else in Go.
func floor(dir string) (name string, command func(readers int) subject, err error) {
	binary := filepath.Join(dir, "floor")
	name = "a bare loop in C"
	if _, err := exec.LookPath("gcc"); err != nil {
		if binary, err = os.Executable(); err != nil {
			return "", nil, err
		}
		name = "a bare loop in Go"
	} else {
		source := filepath.Join(dir, "floor.c")
		if err := os.WriteFile(source, floorSource, 0o600); err != nil {
			return "", nil, err
		}
		if out, err := exec.Command("gcc", "-O2", "-pthread", "-o", binary, source).CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("gcc: %w: %s", err, out)
		}
	}
	return name, func(readers int) subject {
		return subject{name: name, binary: binary, argsAt: func(dir string, port int) []string {
			args := []string{strconv.Itoa(port), strconv.Itoa(readers), filepath.Join(dir, "out.log")}
			if name == "a bare loop in Go" {
				args = append([]string{loopArg}, args...)
			}
			return args
		}}
	}, nil
}

// loop is what testdata/floor.c does.
func loop(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s PORT READERS FILE", loopArg)
	}
	readers, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	out, err := os.OpenFile(args[2], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	ended := make(chan error)
	for range readers {
		fd, err := sharedSocket("127.0.0.1:" + args[0])
		if err != nil {
			return err
		}
		go func() { ended <- copyLines(fd, int(out.Fd())) }()
	}
	return <-ended
}

// sharedSocket is one of several at an address, with a large buffer.
func sharedSocket(address string) (fd int, err error) {
	at, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return -1, err
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
		return -1, err
	}
	const buffer = 64 << 20
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return -1, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
			return -1, err
		}
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())})
}

func copyLines(fd, out int) error {
	const batch, size = 512, 2048
	type mmsghdr struct {
		hdr  unix.Msghdr
		size uint32
		_    [4]byte
	}
	data, lines := make([]byte, batch*size), make([]byte, 0, batch*(size+1))
	messages, parts := make([]mmsghdr, batch), make([]unix.Iovec, batch)
	for i := range messages {
		parts[i].Base = &data[i*size]
		parts[i].SetLen(size)
		messages[i].hdr.Iov, messages[i].hdr.Iovlen = &parts[i], 1
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			if errno != unix.EAGAIN && errno != unix.EINTR {
				return errno
			}
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil && err != syscall.EINTR {
				return err
			}
			continue
		}
		lines = lines[:0]
		for i := range int(n) {
			lines = append(append(lines, data[i*size:i*size+int(messages[i].size)]...), '\n')
		}
		if _, err := unix.Write(out, lines); err != nil {
			return err
		}
	}
}
