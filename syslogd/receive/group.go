package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Group reads one UDP port with any number of Readers, each of which has a socket, a Handler and a goroutine of its own. A sender's messages
// go through one of them and so stay in their order, also when the number changes:
//
//	more    the new sockets are open and the program chooses them; they are read once the others have read what came to them before,
//	fewer   those that stay pause, the program chooses them alone, the others read what came to them before, and the pause is over.
//
// In both cases what arrives meanwhile waits in the sockets. A socket that is not chosen any more stays open and idle: while one of a group is
// closed, the kernel has a moment in which it still finds the socket and no group any more, and a message of any sender is lost with it.
type Group struct {
	// Immutable after NewGroup.
	address string
	buffer  int
	size    int
	handler func() Handler
	log     *slog.Logger

	begun chan struct{} // closed once Run has started the Readers
	tasks sync.WaitGroup
	// mu guards the fields below. The slice is replaced, never changed.
	mu      sync.Mutex
	members []*groupMember // in the order of the kernel's group
	chosen  int            // of these, from the front, by the program
	run     context.Context
	ended   bool
}

// groupMember is a Reader of a Group.
type groupMember struct {
	*Reader
	runs bool // guarded by the Group's mu
}

// NewGroup prepares to read sockets, which must be all those of one group in the kernel's order, or one that may become the first. More are
// opened at address. The sockets belong to the Group from then on, also with an error.
func NewGroup(sockets []*Socket, address string, buffer, size int, handler func() Handler, log *slog.Logger) (*Group, error) {
	g := &Group{address: address, buffer: buffer, size: size, handler: handler, log: log, begun: make(chan struct{}), chosen: len(sockets)}
	for i, s := range sockets {
		if err := g.add(s); err != nil {
			problems := []error{err, g.Close()}
			for _, rest := range sockets[i+1:] {
				problems = append(problems, rest.Close())
			}
			return nil, errors.Join(problems...)
		}
	}
	return g, nil
}

// add makes a member of a socket, which is closed if that fails.
func (g *Group) add(s *Socket) error {
	r, err := NewReader(s, g.handler(), g.size, g.log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = append(g.members[:len(g.members):len(g.members)], &groupMember{Reader: r})
	return nil
}

// now is the members of this moment.
func (g *Group) now() []*groupMember {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members
}

// Prepare opens the sockets that are missing for n Readers. Nothing comes to them before Resize. With an error some may be open, and idle. One call
// of Prepare and Resize at a time.
func (g *Group) Prepare(ctx context.Context, n int) error {
	n = min(n, mostMembers)
	if n < 2 || n <= len(g.now()) {
		return nil
	}
	for _, m := range g.now() {
		if err := m.socket.share(true); err != nil {
			return fmt.Errorf("%s: %w", m.socket.Name, err)
		}
	}
	for len(g.now()) < n {
		s, err := g.now()[0].socket.another(ctx, g.address, g.buffer)
		if err == nil {
			err = g.add(s)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reader %d: %w", len(g.now())+1, err), g.lock())
		}
	}
	return nil
}

// lock lets nobody join a single socket that is our own.
func (g *Group) lock() error {
	members := g.now()
	if len(members) > 1 || members[0].socket.Inherited {
		return nil
	}
	return members[0].socket.share(false)
}

// Held is how many of the sockets are somebody else's, such as a socket unit's.
func (g *Group) Held() (n int) {
	for _, m := range g.now() {
		if m.socket.Inherited {
			n++
		}
	}
	return n
}

// Resize makes it n Readers, or as many as Prepare could open sockets for. 0 is one for each socket that is Held, and else one. Before Run it says with
// how many Run begins.
func (g *Group) Resize(ctx context.Context, n int) error {
	if n == 0 {
		n = max(1, g.Held())
	}
	n = min(n, len(g.now()))
	g.mu.Lock()
	before, runs := g.chosen, g.run != nil
	if !runs {
		g.chosen = n
	}
	g.mu.Unlock()
	if !runs {
		return nil
	}
	select {
	case <-g.begun:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case n > before:
		return g.grow(ctx, n)
	case n < before:
		return g.shrink(ctx, n)
	}
	return nil
}

// steer has the program choose the first n, and returns when no message is on its way to another.
func (g *Group) steer(n int) error {
	choose := func(n int) (former int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		former, g.chosen = g.chosen, n
		return former
	}
	former := choose(n) // before anything comes to them, for Barrier
	if err := attach(g.now()[0].socket.fd, n); err != nil {
		choose(former)
		return err
	}
	if settle() != nil {
		time.Sleep(settleTime) // a system that does not let us ask
	}
	return nil
}

// settleTime is longer than a packet can be on its way through the kernel.
const settleTime = 50 * time.Millisecond

func (g *Group) grow(ctx context.Context, n int) error {
	all := g.now()
	before, more := all[:g.chosen], all[g.chosen:n]
	resume, err := g.pause(ctx, more) // those that were chosen once
	problems := []error{err}
	defer resume()
	if err := g.steer(n); err != nil {
		return err
	}
	for _, m := range before {
		problems = append(problems, m.Barrier(ctx))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range more {
		g.start(m)
	}
	return errors.Join(problems...)
}

func (g *Group) shrink(ctx context.Context, n int) error {
	all := g.now()[:g.chosen]
	resume, err := g.pause(ctx, all[:n])
	problems := []error{err}
	defer resume()
	if err := g.steer(n); err != nil {
		return err
	}
	for _, m := range all[n:] {
		problems = append(problems, m.Barrier(ctx))
	}
	return errors.Join(problems...)
}

// pause is Reader.Pause for those that run. With an error some may go on, and a message of a sender that moves may overtake others.
func (g *Group) pause(ctx context.Context, members []*groupMember) (resume func(), err error) {
	var resumes []func()
	var problems []error
	for _, m := range members {
		g.mu.Lock()
		runs := m.runs
		g.mu.Unlock()
		if !runs {
			continue
		}
		resume, err := m.Pause(ctx)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		resumes = append(resumes, resume)
	}
	return func() {
		for _, resume := range resumes {
			resume()
		}
	}, errors.Join(problems...)
}

// start runs a member, once. Called with mu held.
func (g *Group) start(m *groupMember) {
	if g.ended || m.runs {
		return // Close reads what came to it, or it runs already
	}
	m.runs = true
	ctx := g.run
	g.tasks.Go(func() { m.Run(ctx) })
}

// begin starts the Readers of sockets that may have messages in them, put there by whichever program an earlier process had: for a number of
// Readers that is not known, or for two, one after the other. Those that are not chosen now had, if anything, older messages of senders that the
// others have now; and those in front had older messages of senders that moved to those after them.
func (g *Group) begin(ctx context.Context) error {
	g.mu.Lock()
	n := g.chosen
	g.mu.Unlock()
	all := g.now()
	var problems []error
	if len(all) > 1 {
		problems = append(problems, g.steer(n))
	}
	for _, m := range append(all[n:len(all):len(all)], all[:n]...) {
		g.mu.Lock()
		g.start(m)
		g.mu.Unlock()
		if len(all) > 1 {
			problems = append(problems, m.Barrier(ctx))
		}
	}
	return errors.Join(problems...)
}

// Run reads until ctx is done.
func (g *Group) Run(ctx context.Context) {
	g.mu.Lock()
	g.run = ctx
	g.mu.Unlock()
	if err := g.begin(ctx); err != nil && ctx.Err() == nil {
		g.log.Error("begin to read", "input", g.Describe().Name, "err", err)
	}
	close(g.begun)
	<-ctx.Done()
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.tasks.Wait()
}

// Barrier is Reader.Barrier for all Readers.
func (g *Group) Barrier(ctx context.Context) error {
	g.mu.Lock()
	members := g.members[:g.chosen]
	g.mu.Unlock()
	for _, m := range members {
		if err := m.Barrier(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Each is what each Reader that is chosen now did, in their order.
func (g *Group) Each() (counts []Counts) {
	g.mu.Lock()
	members := g.members[:g.chosen]
	g.mu.Unlock()
	for _, m := range members {
		counts = append(counts, m.Counts())
	}
	return counts
}

// Counts adds up what the Readers did, and those that were chosen before.
func (g *Group) Counts() (sum Counts) {
	for _, m := range g.now() {
		sum = sum.plus(m.Counts())
	}
	return sum
}

// plus adds what Readers count.
func (c Counts) plus(o Counts) Counts {
	c.Received += o.Received
	c.Bytes += o.Bytes
	c.KernelDrops += o.KernelDrops
	c.EarlierDrops += o.EarlierDrops
	c.ReceiveErrors += o.ReceiveErrors
	return c
}

// Describe tells what this is. Buffer is that of each socket, and the smallest.
func (g *Group) Describe() Description {
	members := g.now()
	d := members[0].Describe()
	for _, m := range members[1:] {
		d.Buffer = min(d.Buffer, m.socket.Granted)
		d.Inherited = d.Inherited && m.socket.Inherited
	}
	return d
}

// Give hands the descriptors of the sockets that are our own to somebody who keeps them when we go.
func (g *Group) Give(to func(nth, fd int) error) error {
	for i, m := range g.now() {
		if m.socket.Inherited {
			continue
		}
		if err := m.Give(func(_, fd int) error { return to(i, fd) }); err != nil {
			return err
		}
	}
	return nil
}

// TakeBack says that nobody keeps them any more.
func (g *Group) TakeBack() {
	for _, m := range g.now() {
		m.TakeBack()
	}
}

// Close closes the sockets. Run must have returned. What came to one that never ran is read before.
func (g *Group) Close() error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	g.mu.Lock()
	members, ran := g.members, g.run != nil
	g.mu.Unlock()
	var problems []error
	for _, m := range members {
		if ran && !m.runs {
			m.Run(over)
		}
		problems = append(problems, m.Close())
	}
	return errors.Join(problems...)
}
