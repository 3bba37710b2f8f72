// Package secret removes keys from this process's memory when they are not
// needed any more. What the garbage collector frees keeps its content for as
// long as nobody needs the place, and what a function has copied stays in the
// processor's registers.
package secret

import (
	"crypto/cipher"
	"crypto/tls"
	"os"
	"reflect"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spare is what registers are loaded with.
var spare [256]byte

// size is a variable so that the copy below is not compiled into one of a few
// registers.
var size = len(spare)

// Registers overwrites the vector registers, which a copy or a cipher has left
// with what it worked on. A signal would have the kernel save them on a stack
// that nobody overwrites: the runtime preempts with signals. Call it after the
// last use of a key. It takes some nanoseconds.
//
//go:noinline
func Registers() {
	// memmove loads this many bytes into all the registers that it has before
	// it stores one.
	var b [256]byte
	copy(b[:size], spare[:size])
}

// SignalStacks overwrites what the kernel has saved of registers when signals
// came at a moment at which they held a key. Each thread gets a signal that the
// runtime knows as a spurious one (it preempts with it), whose frame takes the
// place of the one before. Call it when the keys of many connections have been
// handled; it takes a system call for each thread.
func SignalStacks() {
	Registers()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return // after a chroot
	}
	pid := os.Getpid()
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Tgkill(pid, tid, unix.SIGURG) // fails when the thread has ended
		}
	}
}

// Cipher overwrites the key of a cipher of the standard library or x/crypto, which
// is of no use afterwards: a cipher.Block, a cipher.AEAD, nil.
func Cipher(c any) {
	v := reflect.ValueOf(c)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().SetZero()
	}
}

// Conn overwrites the keys of a connection that crypto/tls has made, which is of
// no use afterwards. What the handshake has computed on the way to them stays
// until its memory is needed: crypto/tls does not keep it anywhere.
func Conn(c *tls.Conn) {
	v := reflect.ValueOf(c).Elem()
	for _, name := range [...]string{"in", "out"} {
		half := v.FieldByName(name)
		if !half.IsValid() {
			continue
		}
		if s := half.FieldByName("trafficSecret"); s.IsValid() {
			clear(s.Bytes())
		}
		if s := half.FieldByName("cipher"); s.IsValid() {
			erase(s)
		}
	}
	if s := v.FieldByName("resumptionSecret"); s.IsValid() {
		clear(s.Bytes())
	}
	Registers()
}

var aead = reflect.TypeFor[cipher.AEAD]()

// erase overwrites a cipher of crypto/tls: a pointer to a structure with a
// cipher.AEAD and part of a nonce. Others are left as they are.
func erase(v reflect.Value) {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !v.CanAddr() {
		return
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Type() != aead || f.IsNil() {
			continue
		}
		key := f.Elem().Elem()
		reflect.NewAt(key.Type(), unsafe.Pointer(key.UnsafeAddr())).Elem().SetZero()
	}
}
