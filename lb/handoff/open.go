package handoff

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Opener opens listening sockets. The zero value is ready. Owned by one
// goroutine.
type Opener struct {
	// SharePort also tries SO_REUSEPORT where an address is taken: for the
	// moment in which an old process that is about to leave still listens.
	SharePort bool

	// Taken holds sockets taken from another process; they are preferred.
	Taken *Taken

	// Inherited returns the descriptor that fd@N means; nil means N itself.
	Inherited func(n int) (fd int, ok bool)

	// Old are processes that leave as soon as this one serves (-sf, -st). Where
	// they still hold an address, their sockets are taken over; where that is
	// not allowed the port is shared if they share it, or else they are asked
	// to pause (SIGTTOU). Resume undoes the latter.
	Old []int
	// Activated are sockets that the service manager passed.
	Activated Activated

	olds   *Taken // from Old; nil before it was needed
	paused bool

	places  map[string]place  // unix paths that this Opener made, by name
	waiting map[string]string // names of those that are not at their place yet, and that place
}

// pauseWait bounds how long paused processes may take to free an address.
const pauseWait = 2 * time.Second

// Open returns a listening socket for w: taken over, inherited or new. The
// caller owns it. The error is a sentence for an operator, without w.Where.
func (o *Opener) Open(w Want) (int, error) {
	if err := w.Check(); err != nil {
		return -1, err
	}
	if fd, ok := o.Activated.lend(w); ok {
		return fd, o.Refresh(fd, w)
	}
	if fd, ok := o.Taken.take(w); ok {
		if w.Network != "unix" && o.Stale(fd, w) == "" {
			return fd, o.Refresh(fd, w)
		}
		// The path is the giver's: it removes it when it leaves, and in another container it is not even there. So there is a new
		// socket, which comes to its place when everything serves; what waits in the old one is the giver's to answer.
		unix.Close(fd)
	}
	switch w.Network {
	case "fd":
		return o.inherit(w)
	case "unix":
		return o.openPath(w)
	case "abns":
		return openAbstract(w)
	}
	fd, err := openTCPIn(w, false)
	if len(o.Old) > 0 && errors.Is(err, unix.EADDRINUSE) {
		if fd, ok := o.takeOver(w); ok && o.Stale(fd, w) == "" {
			return fd, o.Refresh(fd, w)
		} else if ok {
			unix.Close(fd)
		}
	}
	if (o.SharePort || len(o.Old) > 0) && errors.Is(err, unix.EADDRINUSE) {
		fd, err = openTCPIn(w, true)
	}
	if len(o.Old) > 0 && errors.Is(err, unix.EADDRINUSE) {
		fd, err = o.pushAside(w)
	}
	if errors.Is(err, unix.EADDRINUSE) {
		return -1, &InUse{Want: w, Owner: Owner(w)}
	}
	return fd, err
}

// takeOver looks for w among the sockets of the old processes.
func (o *Opener) takeOver(w Want) (fd int, ok bool) {
	if o.olds == nil {
		o.olds = new(Taken)
		for _, pid := range o.Old {
			// Not being allowed to is usual; there are other ways.
			if t, err := TakeFromProcess(pid); err == nil {
				o.olds.list = append(o.olds.list, t.list...)
			}
		}
	}
	return o.olds.take(w)
}

// Settled puts unix sockets in their places and closes what nobody asked for. The old processes may leave now. The error reports a
// path that could not be taken.
func (o *Opener) Settled() error {
	var errs []error
	for name, path := range o.waiting {
		p := o.places[name]
		if err := os.Rename(p.path, path); err != nil {
			errs = append(errs, err)
			continue
		}
		p.path = path
		o.places[name] = p
	}
	o.Taken.Close()
	o.olds.Close()
	o.Taken, o.Old, o.olds, o.waiting = nil, nil, nil, nil
	return errors.Join(errs...)
}

// replaces says whether there is another process that serves until this one does.
func (o *Opener) replaces() bool { return o.Taken != nil || len(o.Old) > 0 }

// pushAside asks the old processes to pause and waits for the address.
func (o *Opener) pushAside(w Want) (fd int, err error) {
	if !o.paused {
		o.paused = true
		o.signalOld(unix.SIGTTOU)
	}
	for end := time.Now().Add(pauseWait); ; time.Sleep(10 * time.Millisecond) {
		fd, err = openTCPIn(w, false)
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(end) {
			return fd, err
		}
	}
}

// Resume lets paused processes go on, because this one will not serve.
func (o *Opener) Resume() {
	for name := range o.waiting {
		_ = o.Forget(name) // a file that is left next to its place does no harm
	}
	if o.paused {
		o.paused = false
		o.signalOld(unix.SIGTTIN)
	}
}

func (o *Opener) signalOld(sig unix.Signal) {
	for _, pid := range o.Old {
		// One that is gone already has what it was asked for.
		_ = unix.Kill(pid, sig)
	}
}

// Forget unlinks the unix path that was opened under name, if it is still
// ours: for a socket that nobody wants any more.
func (o *Opener) Forget(name string) error {
	p, ok := o.places[name]
	if !ok {
		return nil
	}
	delete(o.places, name)
	delete(o.waiting, name)
	return p.remove()
}

// GaveAway leaves the unix path that was opened under name to another process,
// which listens there too.
func (o *Opener) GaveAway(name string) { delete(o.places, name) }

// InUse says that an address is taken. It matches EADDRINUSE.
type InUse struct {
	Want  Want
	Owner string // "nginx (pid 812)"; empty when it could not be found
}

func (e *InUse) Error() string {
	if e.Owner == "" {
		hint := ""
		if _, port, err := net.SplitHostPort(e.Want.Address); err == nil {
			hint = "; as root, ss -ltnp sport = :" + port + " tells which"
		}
		return e.Want.String() + " is taken by another process" + hint
	}
	return e.Want.String() + " is taken by " + e.Owner
}

// Unwrap lets errors.Is find EADDRINUSE.
func (e *InUse) Unwrap() error { return unix.EADDRINUSE }

func backlog(w Want) int {
	if w.Backlog > 0 {
		return w.Backlog
	}
	return 1 << 16 // the kernel lowers it to net.core.somaxconn
}

// openTCPIn is openTCP in the namespace of w.
func openTCPIn(w Want, sharePort bool) (int, error) {
	return inNamespace(w.Namespace, func() (int, error) { return openTCP(w, sharePort) })
}

func openTCP(w Want, sharePort bool) (int, error) {
	ap, err := w.addrPort()
	if err != nil {
		return -1, err
	}
	family := unix.AF_INET
	if ap.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket for %s: %w", w, err)
	}
	if err := bindTCP(fd, ap, w, sharePort); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindTCP sets what must be set before bind, then binds and listens.
func bindTCP(fd int, ap netip.AddrPort, w Want, sharePort bool) error {
	set := func(level, option int, name string) error {
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return fmt.Errorf("%s for %s: %w", name, w, err)
		}
		return nil
	}
	if err := set(unix.SOL_SOCKET, unix.SO_REUSEADDR, "SO_REUSEADDR"); err != nil {
		return err
	}
	if sharePort {
		if err := set(unix.SOL_SOCKET, unix.SO_REUSEPORT, "SO_REUSEPORT"); err != nil {
			return err
		}
	}
	if w.Transparent {
		level, option := unix.SOL_IP, unix.IP_TRANSPARENT
		if ap.Addr().Is6() {
			level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
		}
		if err := set(level, option, "transparent (it needs CAP_NET_ADMIN)"); err != nil {
			return err
		}
	}
	if w.Interface != "" {
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, w.Interface); err != nil {
			return fmt.Errorf("interface %s for %s: %w", w.Interface, w, err)
		}
	}
	var sa unix.Sockaddr
	if a := ap.Addr(); a.Is6() {
		// Neither keyword: net.ipv6.bindv6only decides, as for HAProxy.
		switch {
		case w.V4V6:
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
				return fmt.Errorf("v4v6 for %s: %w", w, err)
			}
		case w.V6Only, w.Network == "tcp6":
			if err := set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, "v6only"); err != nil {
				return err
			}
		}
		sa6 := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
		if zone := a.Zone(); zone != "" {
			id, err := zoneID(fd, zone)
			if err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
			sa6.ZoneId = id
		}
		sa = sa6
	} else {
		sa = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	}
	if err := tune(fd, w); err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return bindError(w, err)
	}
	if err := unix.Listen(fd, backlog(w)); err != nil {
		return bindError(w, err)
	}
	return nil
}

// bindError adds what an operator can do about the usual refusals.
func bindError(w Want, err error) error {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("bind %s: this machine does not have that address (add it, or use `transparent`): %w", w, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("bind %s: a port below net.ipv4.ip_unprivileged_port_start needs root or CAP_NET_BIND_SERVICE: %w", w, err)
	}
	return fmt.Errorf("bind %s: %w", w, err)
}

// Refresh gives a bound socket the options of w that may change while it
// lives, and has it listen, which it may have stopped for a pause. A unix path
// where something else is by now is left alone.
func (o *Opener) Refresh(fd int, w Want) error {
	switch w.Network {
	case "tcp", "tcp4", "tcp6":
		if err := tune(fd, w); err != nil {
			return err
		}
	case "unix":
		if _, err := own(w.Address, w, o.places[w.Key()]); err != nil && !errors.Is(err, errNotOurs) {
			return err
		}
	case "fd":
		return nil
	}
	err := unix.Listen(fd, backlog(w))
	if errors.Is(err, unix.EADDRINUSE) {
		return &InUse{Want: w, Owner: Owner(w)}
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", w, err)
	}
	return nil
}

// tune sets the options of a TCP socket that may change while it lives.
// TCP_NODELAY and SO_KEEPALIVE's kin are inherited by what it accepts, which
// saves a system call for every connection.
func tune(fd int, w Want) error {
	deferred, queue := 0, 0
	if w.DeferAccept {
		deferred = 1
	}
	if w.TFO {
		queue = backlog(w)
	}
	keep := 0
	if w.KeepAlive {
		keep = 1
	}
	for _, o := range []struct {
		level, option, value int
		always               bool // also 0, which may be set anew
		name                 string
	}{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, true, "TCP_NODELAY"},
		{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferred, true, "defer-accept"},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, w.UserTimeout, true, "tcp-ut"},
		{unix.IPPROTO_TCP, unix.TCP_MAXSEG, w.MSS, false, "mss"},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, keep, true, "option clitcpka"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, w.KeepIdle, false, "clitcpka-idle"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, w.KeepIntvl, false, "clitcpka-intvl"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, w.KeepCount, false, "clitcpka-cnt"},
	} {
		if !o.always && o.value <= 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return fmt.Errorf("%s for %s: %w", o.name, w, err)
		}
	}
	// Fast open is a wish: without net.ipv4.tcp_fastopen it is refused.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
	return nil
}

func (o *Opener) openPath(w Want) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket for %s: %w", w, err)
	}
	p, err := bindPath(fd, w)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	if o.places == nil {
		o.places = make(map[string]place)
	}
	o.places[w.Key()] = p
	if o.replaces() {
		if o.waiting == nil {
			o.waiting = make(map[string]string)
		}
		o.waiting[w.Key()] = w.Address
		return fd, nil
	}
	if err := os.Rename(p.path, w.Address); err != nil {
		unix.Close(fd)
		return -1, errors.Join(err, o.Forget(w.Key()))
	}
	p.path = w.Address
	o.places[w.Key()] = p
	return fd, nil
}

// openAbstract binds the name padded with NULs to the full length: HAProxy's
// abns@ addresses are that, and its servers would not find a shorter one.
func openAbstract(w Want) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket for %s: %w", w, err)
	}
	sa := unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	for i := range len(w.Address) {
		sa.Path[1+i] = int8(w.Address[i])
	}
	// unix.Bind measures the name and refuses one of full length.
	if _, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa)); errno != 0 {
		err = errno
	}
	if err == nil {
		err = unix.Listen(fd, backlog(w))
	}
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EADDRINUSE) {
		return -1, &InUse{Want: w, Owner: Owner(w)}
	}
	return -1, fmt.Errorf("bind %s: %w", w, err)
}

// inherit duplicates the descriptor that the process was started with, after a
// look at what it is.
func (o *Opener) inherit(w Want) (int, error) {
	n, err := strconv.Atoi(w.Address)
	if err != nil {
		return -1, fmt.Errorf("fd@%s is not the number of a descriptor", w.Address)
	}
	from, ok := n, true
	if o.Inherited != nil {
		from, ok = o.Inherited(n)
	}
	if !ok {
		return -1, fmt.Errorf("descriptor %d was not open when the program was started", n)
	}
	on, err := unix.GetsockoptInt(from, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case errors.Is(err, unix.EBADF):
		return -1, fmt.Errorf("descriptor %d was not open when the program was started", n)
	case err != nil:
		return -1, fmt.Errorf("descriptor %d is no socket: %w", n, err)
	case on == 0:
		return -1, fmt.Errorf("descriptor %d is a socket that does not listen", n)
	}
	fd, err := unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("duplicate descriptor %d: %w", n, err)
	}
	return fd, unix.SetNonblock(fd, true)
}
