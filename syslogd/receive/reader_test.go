package receive

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is a Handler that keeps what it gets.
type keeper struct {
	mu    sync.Mutex
	texts []string
	sizes []int
	from  []*Sender
	hold  chan struct{} // when not nil, Begin waits for it
}

func (k *keeper) Begin(time.Time) {
	k.mu.Lock()
	hold := k.hold
	k.mu.Unlock()
	if hold != nil {
		<-hold
	}
}
func (k *keeper) End() {}
func (k *keeper) Message(from *Sender, b []byte, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.texts, k.sizes, k.from = append(k.texts, string(b)), append(k.sizes, size), append(k.from, from)
}

func read(t *testing.T, s *Socket, h Handler, size int) *Reader {
	t.Helper()
	r, err := NewReader(s, h, size, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func listenUDP(t *testing.T, address string, buffer int) *Socket {
	t.Helper()
	s, err := ListenUDP(t.Context(), address, buffer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func barrier(t *testing.T, r *Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestDatagramsArriveInOrderAndWhole(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := listenUDP(t, address, 1<<20)
		k := new(keeper)
		r := read(t, s, k, 4096)
		c := dial(t, "udp", s.Address())
		for i := range 2000 {
			say(t, c, fmt.Sprint("message ", i))
		}
		barrier(t, r)
		n := r.Counts()
		if len(k.texts)+int(n.KernelDrops) != 2000 || n.Received != uint64(len(k.texts)) {
			t.Fatalf("%s: %d messages, counts %+v", address, len(k.texts), n)
		}
		for i, text := range k.texts {
			if n.KernelDrops == 0 && text != fmt.Sprint("message ", i) {
				t.Fatalf("%s: message %d is %q", address, i, text)
			}
			if !k.from[i].Local || k.from[i].Addr != k.from[0].Addr {
				t.Fatalf("%s: message %d is from %+v", address, i, k.from[i])
			}
		}
	}
}

func TestMessageTooLargeComesCutWithItsSize(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 1<<20)
	k := new(keeper)
	r := read(t, s, k, 512)
	c := dial(t, "udp", s.Address())
	say(t, c, string(make([]byte, 60000)))
	say(t, c, "")
	say(t, c, "small")
	barrier(t, r)
	if len(k.texts) != 3 || len(k.texts[0]) != 512 || k.sizes[0] != 60000 || k.sizes[1] != 0 || k.texts[2] != "small" {
		t.Errorf("got sizes %v", k.sizes)
	}
}

func TestUnixDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, err := ListenUnix(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path, 0o600); err == nil {
		t.Error("two sockets listen on one path")
	}
	k := new(keeper)
	r := read(t, s, k, 512)
	c := dial(t, "unixgram", path)
	for i := range 100 {
		say(t, c, fmt.Sprint(i))
	}
	barrier(t, r)
	if len(k.texts) != 100 || !k.from[0].Local || k.from[0].Name != "" {
		t.Errorf("%d messages", len(k.texts))
	}
}

// TestUnixSocketThatGoesTakesNothingAlong: what a sender was told is sent has been read, however its sending and our end meet.
func TestUnixSocketThatGoesTakesNothingAlong(t *testing.T) {
	for range 50 {
		path := filepath.Join(t.TempDir(), "log")
		s, err := ListenUnix(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		k := new(keeper)
		r, err := NewReader(s, k, 512, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx) }()
		c := dial(t, "unixgram", path)
		sent := make(chan int)
		flowing := make(chan struct{})
		go func() {
			n := 0
			for ; ; n++ {
				if n == 100 {
					close(flowing)
				}
				if _, err := c.Write([]byte("a line")); err != nil {
					break
				}
			}
			sent <- n
		}()
		<-flowing
		cancel()
		<-ended
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n := <-sent; len(k.texts) != n {
			t.Fatalf("%d messages were sent, %d were read", n, len(k.texts))
		}
	}
}

func TestSocketOfAKilledProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	dead, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // a datagram socket's path stays
	s, err := ListenUnix(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestKernelDropsAreCountedToTheMessage(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 0) // as small as it was
	k := &keeper{hold: make(chan struct{})}
	r := read(t, s, k, 512)
	c := dial(t, "udp", s.Address())
	const n = 20_000
	for range n {
		say(t, c, "a message of some bytes")
	}
	close(k.hold)
	barrier(t, r)
	counts := r.Counts()
	if counts.KernelDrops == 0 || len(k.texts)+int(counts.KernelDrops) != n {
		t.Errorf("%d received and %d dropped of %d", len(k.texts), counts.KernelDrops, n)
	}
}

func TestInheritedSocketKeepsItsQueueAndCountsFromNow(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 0)
	defer s.Close()
	c := dial(t, "udp", s.Address())
	const n = 20_000
	for range n {
		say(t, c, "a message of some bytes") // nobody reads yet: some are dropped
	}
	file, err := dupFile(s)
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := Adopt(file, "systemd:lb", 0)
	if err != nil {
		t.Fatal(err)
	}
	k := new(keeper)
	r := read(t, adopted, k, 512)
	barrier(t, r)
	counts := r.Counts()
	if counts.EarlierDrops == 0 || counts.KernelDrops != 0 || len(k.texts)+int(counts.EarlierDrops) != n {
		t.Errorf("%d received, %+v of %d", len(k.texts), counts, n)
	}
}

func TestReceivingAllocatesNothing(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 1<<20)
	defer s.Close()
	var null nothing
	r, err := NewReader(s, null, 512, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, "udp", s.Address())
	text := []byte("a message")
	if n := testing.AllocsPerRun(100, func() {
		for range 10 {
			c.Write(text)
		}
		if got, _ := r.turn(); got != 10 {
			t.Errorf("%d messages of 10", got)
		}
	}); n != 0 {
		t.Errorf("ten messages cost %v allocations; want 0", n)
	}
}

// TestABacklogIsOneBatch: a Handler gets what has piled up as one batch, though it does not fit into one of the Reader's.
func TestABacklogIsOneBatch(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 1<<20)
	defer s.Close()
	h := new(batches)
	r, err := NewReader(s, h, maxBatch/minSlots, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, "udp", s.Address())
	for range 10*minSlots + 1 {
		say(t, c, "a message")
	}
	if n, more := r.turn(); n != rounds*minSlots || !more {
		t.Errorf("%d messages, more: %v; want %d and more", n, more, rounds*minSlots)
	}
	if n, more := r.turn(); n != 2*minSlots+1 || more {
		t.Errorf("%d messages, more: %v; want %d and no more", n, more, 2*minSlots+1)
	}
	if len(h.messages) != 2 {
		t.Errorf("%d batches; want 2", len(h.messages))
	}
}

// batches counts the messages of each batch, and waits in the first until it may go on.
type batches struct {
	messages []int
	goOn     chan struct{} // nil: nothing to wait for
}

func (b *batches) Begin(time.Time) {
	if len(b.messages) == 0 && b.goOn != nil {
		<-b.goOn
	}
	b.messages = append(b.messages, 0)
}
func (b *batches) End()                         {}
func (b *batches) Message(*Sender, []byte, int) { b.messages[len(b.messages)-1]++ }

type nothing struct{}

func (nothing) Begin(time.Time)              {}
func (nothing) End()                         {}
func (nothing) Message(*Sender, []byte, int) {}

func TestSendersAreBounded(t *testing.T) {
	var s senders
	for i := range 3 * maxSenders {
		name := inet4(10, byte(i>>16), byte(i>>8), byte(i))
		who := s.find(&name, 16)
		if want := fmt.Sprintf("10.%d.%d.%d", byte(i>>16), byte(i>>8), byte(i)); who.Name != want || who.Local {
			t.Fatalf("sender %+v; want %s", who, want)
		}
	}
	if len(s.known) > maxSenders {
		t.Errorf("%d senders are remembered", len(s.known))
	}
}

// indifferent is a keeper to whom addresses matter only sometimes.
type indifferent struct {
	keeper
	matters atomic.Bool
}

func (h *indifferent) NeedsAddress() bool { return h.matters.Load() }

func TestAddressesAreAskedForWhenTheyMatter(t *testing.T) {
	s := listenUDP(t, "127.0.0.1:0", 1<<20)
	h := new(indifferent)
	r := read(t, s, h, 512)
	to, err := net.ResolveUDPAddr("udp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, matters := range []bool{false, true, false} {
		h.matters.Store(matters)
		barrier(t, r) // what was received under the old rule is through, and no batch is begun
		say(t, c, "x")
		barrier(t, r)
		want := "127.0.0.1"
		if matters {
			want = "127.0.0.2"
		}
		if got := h.from[i]; got.Addr.String() != want || !got.Local || got.Name != "" {
			t.Errorf("message %d, addresses matter: %v: from %+v; want %s", i, matters, got, want)
		}
	}
	wide := listenUDP(t, "0.0.0.0:0", 1<<20)
	defer wide.Close()
	if who := wide.onlySender(); who != nil {
		t.Errorf("a socket for all addresses takes messages from %+v only", who)
	}
}

// TestLateBell rings a Reader that was closed meanwhile, as a stop or a barrier does that comes late: what has the bell's number by then
// hears nothing of it.
func TestLateBell(t *testing.T) {
	r, err := NewReader(listenUDP(t, "127.0.0.1:0", 1<<16), new(keeper), 1024, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	bell, err := unix.FcntlInt(uintptr(r.bell), unix.F_DUPFD_CLOEXEC, 0) // what stands for another file
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(bell)
	number := r.bell
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if number, err = unix.FcntlInt(uintptr(bell), unix.F_DUPFD_CLOEXEC, number); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(number)
	r.bell = number
	r.ring()
	var count [8]byte
	if _, err := unix.Read(bell, count[:]); err != unix.EAGAIN {
		t.Errorf("it rang: %v", err)
	}
	barrier(t, r)
}
