package receive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// from is one of many addresses of this host.
func from(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 60, byte(i >> 8), byte(i + 1)}) }

// sendFrom sends to a socket from an address of ours.
func sendFrom(t *testing.T, a netip.Addr, to string, text string) {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))}).Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, text)
}

// TestTheKernelSteersByAddress compares what the kernel does with what memberOf says, for a socket of either family.
func TestTheKernelSteersByAddress(t *testing.T) {
	for _, c := range []struct {
		name, address string
		from          func(i int) netip.Addr
	}{
		{"IPv4", "127.0.0.1:0", from},
		{"IPv4 to a socket of both", "[::]:0", from},
		{"IPv6", "[::1]:0", func(int) netip.Addr { return netip.IPv6Loopback() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, err := ListenUDP(t.Context(), c.address, 1<<20)
			if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
				tape.Skipf(t, "this machine has no IPv6")
			}
			if err != nil {
				t.Fatal(err)
			}
			sockets := []*Socket{first}
			defer func() {
				for _, s := range sockets {
					s.Close()
				}
			}()
			place := netip.MustParseAddrPort(first.Address())
			to := place.String()
			if place.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), place.Port()).String()
			}
			if err := first.share(true); err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 5; n++ {
				if n > 1 {
					s, err := first.another(t.Context(), c.address, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					sockets = append(sockets, s)
				}
				if err := attach(first.fd, n); err != nil {
					t.Fatal(err)
				}
				for i := range 50 {
					a := c.from(i * 7)
					sendFrom(t, a, to, "x")
					want := memberOf(a, n)
					// On a busy machine the kernel may deliver a moment later.
					_, _ = unix.Poll([]unix.PollFd{{Fd: int32(sockets[want].fd), Events: unix.POLLIN}}, 30_000)
					if k, _, err := unix.Recvfrom(sockets[want].fd, make([]byte, 10), unix.MSG_DONTWAIT); k != 1 || err != nil {
						t.Fatalf("a message of %v is not at socket %d of %d: %v", a, want, n, err)
					}
				}
			}
		})
	}
}

// TestSendersStayOrMoveToTheNewest whenever there is one more, and each reader has its part of them.
func TestSendersStayOrMoveToTheNewest(t *testing.T) {
	const senders = 5000
	for n := 1; n < mostMembers; n++ {
		share := make([]int, n+1)
		for i := range senders {
			a := netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)})
			before, after := memberOf(a, n), memberOf(a, n+1)
			if after != before && after != n {
				t.Fatalf("%v moves from %d of %d to %d", a, before, n, after)
			}
			share[after]++
		}
		for k, got := range share {
			if fair := senders / (n + 1); got < fair*7/10 || got > fair*13/10 {
				t.Errorf("of %d senders, reader %d of %d has %d: %v", senders, k, n+1, got, share)
			}
		}
	}
}

// orders holds that each sender's numbers come one after the other, whichever reader they come through.
type orders struct {
	mu   sync.Mutex
	last map[netip.Addr]uint64
	bad  []string
	all  atomic.Uint64
	way  map[netip.Addr]chan struct{} // has what is on its way; immutable
}

// orderly is the Handler of one reader.
type orderly struct{ *orders }

func (o orderly) Begin(time.Time) {}
func (o orderly) End()            {}
func (o orderly) Message(from *Sender, b []byte, _ int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := binary.BigEndian.Uint64(b)
	if n != o.last[from.Addr]+1 {
		o.bad = append(o.bad, fmt.Sprintf("%v: %d after %d", from.Addr, n, o.last[from.Addr]))
	}
	o.last[from.Addr] = n
	o.all.Add(1)
	<-o.way[from.Addr]
}

// TestOrderWhileReadersComeAndGo has many senders number their messages while the number of readers changes all the time. None is lost, and none
// overtakes another of its sender.
func TestOrderWhileReadersComeAndGo(t *testing.T) {
	const senders = 24
	seen := &orders{last: make(map[netip.Addr]uint64), way: make(map[netip.Addr]chan struct{})}
	s := listenUDP(t, "127.0.0.1:0", 8<<20)
	for i := range senders {
		seen.way[from(i)] = make(chan struct{}, max(2, min(200, s.Granted/(2*senders*1024)))) // the kernel must drop nothing
	}
	g, err := NewGroup([]*Socket{s}, "127.0.0.1:0", 8<<20, 100, func() Handler { return orderly{seen} }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	to := g.Describe().Address
	if err := g.Resize(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); g.Run(ctx) }()

	stop := make(chan struct{})
	var sent atomic.Uint64
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			a := from(i)
			c, err := (&net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))}).Dial("udp", to)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			b := make([]byte, 64)
			for n := uint64(1); ; n++ {
				select {
				case seen.way[a] <- struct{}{}:
				case <-stop:
					return
				}
				binary.BigEndian.PutUint64(b, n)
				if _, err := c.Write(b); err != nil {
					t.Error(err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for _, n := range []int{2, 3, 1, 5, 4, 2, 6, 1, 3} {
		before := seen.all.Load()
		wait.Until(t, "messages", func() bool { return seen.all.Load() > before+1000 })
		if err := g.Prepare(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if err := g.Resize(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if len(g.Each()) != n {
			t.Errorf("%d readers; want %d", len(g.Each()), n)
		}
	}
	close(stop)
	sending.Wait()
	wait.Until(t, "the last messages", func() bool { return seen.all.Load() == sent.Load() }) // on a busy machine the kernel may deliver a moment later
	if err := g.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ran
	c := g.Counts()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if got := seen.all.Load(); got != sent.Load() || c.Received != got || c.KernelDrops != 0 || len(seen.bad) > 0 {
		t.Errorf("%d sent, %d arrived, %+v; out of order: %d, such as %q", sent.Load(), got, c, len(seen.bad), seen.bad[:min(3, len(seen.bad))])
	}
}

// TestOnlyOneGroup refuses the port to another process of the same user.
func TestOnlyOneGroup(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 0)
	g, err := NewGroup([]*Socket{s}, "127.0.0.1:0", 0, 100, func() Handler { return new(keeper) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, n := range []int{1, 3} {
		if err := g.Prepare(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if second, err := ListenUDP(t.Context(), s.Address(), 0); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("another one listens at the port of %d: %v, %v", n, second, err)
		}
	}
}
