package handover

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/backend"
)

// errorsOf gathers what went wrong in a crowd; the first few are reported.
type errorsOf struct {
	n     atomic.Int64
	mu    sync.Mutex
	first []error // guarded by mu
}

func (e *errorsOf) add(err error) {
	e.n.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.first) < 5 {
		e.first = append(e.first, err)
	}
}

// all returns the errors that were kept.
func (e *errorsOf) all() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.first
}

func (e *errorsOf) report(t testing.TB, what string) {
	t.Helper()
	if e.n.Load() > 0 {
		t.Errorf("%s: %d errors, the first: %v", what, e.n.Load(), e.first)
	}
}

// each calls f for 0 to n-1, some at a time.
func each(n int, f func(i int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range 50 {
		done.Go(func() {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				f(i)
			}
		})
	}
	done.Wait()
}

// keeper is a client of one kept connection.
type keeper struct {
	c   net.Conn
	r   *bufio.Reader
	run string // names its requests
}

func keep(addr string) (*keeper, error) {
	c, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		return nil, err
	}
	return &keeper{c: c, r: bufio.NewReaderSize(c, 512)}, nil
}

// get sends one request and checks its answer; the connection must stay.
func (k *keeper) get(path string) error {
	k.c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(k.c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	a, err := http.ReadResponse(k.r, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	n, err := io.Copy(io.Discard, a.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case a.StatusCode != 200 || n != 200:
		return fmt.Errorf("%s: %d with %d bytes", path, a.StatusCode, n)
	case a.Close:
		return fmt.Errorf("%s: the balancer closes the connection", path)
	}
	return nil
}

// dialer connects a client, in plain or over TLS.
type dialer func() (*keeper, error)

// plain is the dialer of an address.
func plain(addr string) dialer { return func() (*keeper, error) { return keep(addr) } }

// idle opens n connections, each with one request done.
func idle(addr string, n int, errs *errorsOf) []*keeper { return idleBy(plain(addr), "idle", n, errs) }

// idleBy is idle by a dialer; run names the requests.
func idleBy(dial dialer, run string, n int, errs *errorsOf) []*keeper {
	list := make([]*keeper, n)
	each(n, func(i int) {
		k, err := dial()
		if err == nil {
			list[i], k.run = k, run
			err = k.get(fmt.Sprintf("/r/%s/%d.0", run, i))
		}
		if err != nil {
			errs.add(err)
		}
	})
	return list
}

// again does one more request on each.
func again(list []*keeper, round int, errs *errorsOf) {
	each(len(list), func(i int) {
		if list[i] == nil {
			return
		}
		if err := list[i].get(fmt.Sprintf("/r/%s/%d.%d", list[i].run, i, round)); err != nil {
			errs.add(err)
		}
	})
}

func leave(list []*keeper) {
	for _, k := range list {
		if k != nil {
			k.c.Close()
		}
	}
}

// slow keeps n connections busy with requests that take their time, until ctx ends; it returns how many were answered by each.
func slow(ctx context.Context, addr string, n int, delay time.Duration, errs *errorsOf) (wait func() []int) {
	return slowBy(ctx, plain(addr), "slow", n, delay, errs)
}

// slowBy is slow by a dialer; run names the requests.
func slowBy(ctx context.Context, dial dialer, run string, n int, delay time.Duration, errs *errorsOf) (wait func() []int) {
	counts := make([]int, n)
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			k, err := dial()
			if err != nil {
				errs.add(err)
				return
			}
			defer k.c.Close()
			for ctx.Err() == nil {
				ms := int(delay.Milliseconds())/2 + rand.IntN(int(delay.Milliseconds()))
				if err := k.get(fmt.Sprintf("/delay/%d?%s=%d.%d", ms, run, i, counts[i])); err != nil {
					errs.add(err)
					return
				}
				counts[i]++
			}
		})
	}
	return func() []int {
		done.Wait()
		return counts
	}
}

// tunnel is one connection through which numbers pass both ways.
type tunnel struct {
	backend.Numbers
	r     *bufio.Reader
	addr  string // the client's
	begun time.Time
}

func newTunnel(c backend.HalfConn, addr string) *tunnel {
	u := &tunnel{addr: addr, begun: time.Now()}
	u.r = bufio.NewReaderSize(&u.Numbers, 2048)
	u.Conn, u.Reader = c, u.r
	return u
}

// openTunnel connects; with upgrade it asks an HTTP frontend to switch protocols.
func openTunnel(addr string, upgrade bool) (*tunnel, error) {
	return openTunnelBy(plain(addr), upgrade)
}

func openTunnelBy(dial dialer, upgrade bool) (*tunnel, error) {
	k, err := dial()
	if err != nil {
		return nil, err
	}
	u := newTunnel(k.c.(backend.HalfConn), k.c.LocalAddr().String())
	if !upgrade {
		return u, nil
	}
	request := fmt.Sprintf("GET /upgrade?%s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", u.addr)
	if _, err := u.Write([]byte(request)); err != nil {
		return u, err
	}
	a, err := http.ReadResponse(u.r, nil)
	if err == nil && a.StatusCode != 101 {
		err = fmt.Errorf("the upgrade was answered with %d", a.StatusCode)
	}
	return u, err
}

// tunnels runs n of them until ctx ends; wait returns them when each has ended.
func tunnels(ctx context.Context, addr string, upgrade bool, n int, pause time.Duration, errs *errorsOf) (wait func() []*tunnel) {
	return tunnelsBy(ctx, plain(addr), upgrade, n, pause, errs)
}

// tunnelsBy is tunnels by a dialer.
func tunnelsBy(ctx context.Context, dial dialer, upgrade bool, n int, pause time.Duration, errs *errorsOf) (wait func() []*tunnel) {
	list := make([]*tunnel, n)
	each(n, func(i int) {
		u, err := openTunnelBy(dial, upgrade)
		if err != nil {
			errs.add(err)
			return
		}
		list[i] = u
	})
	return echo(ctx, list, pause, errs)
}

// echo has numbers pass through tunnels until ctx ends; wait returns them when each has ended.
func echo(ctx context.Context, list []*tunnel, pause time.Duration, errs *errorsOf) (wait func() []*tunnel) {
	var done sync.WaitGroup
	for _, u := range list {
		if u == nil {
			continue
		}
		u.Conn.SetDeadline(time.Now().Add(5 * time.Minute))
		done.Go(func() {
			if err := u.Talk(ctx, pause); err != nil {
				errs.add(fmt.Errorf("tunnel of %s: %w", u.addr, err))
			}
			u.Conn.Close()
		})
	}
	return func() []*tunnel {
		done.Wait()
		return list
	}
}
