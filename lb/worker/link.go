package worker

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// FromMaster is the Source of a worker that has a master: it opens what is
// missing and sends the sockets.
type FromMaster struct {
	Link *handoff.Conn
}

// Open tells the master what the plan wants and waits for its answer.
func (m FromMaster) Open(plan *Plan) (*handoff.Set, error) {
	wants := plan.Wants
	for first := true; first || len(wants) > 0; first = false {
		part := wants[:min(len(wants), handoff.Batch)]
		wants = wants[len(part):]
		r := handoff.Report{Kind: handoff.Wanted, Wants: part, More: len(wants) > 0}
		var fds []int
		if first {
			r.Facts = &plan.Facts
			if fd, err := memfile(plan.Snapshot); err == nil {
				defer unix.Close(fd)
				fds = []int{fd}
			}
		}
		if err := m.Link.Send(r, fds, linkWait); err != nil {
			return nil, fmt.Errorf("ask the master for sockets: %w", err)
		}
	}
	return m.receive()
}

// receive gathers the sockets, or the reasons why there are none.
func (m FromMaster) receive() (*handoff.Set, error) {
	set := new(handoff.Set)
	var refused SocketErrors
	for {
		var o handoff.Order
		fds, err := m.Link.Receive(&o)
		if err == nil && len(fds) != len(o.Names) {
			for _, fd := range fds {
				unix.Close(fd)
			}
			err = fmt.Errorf("%d sockets came with %d names", len(fds), len(o.Names))
		}
		if err != nil {
			set.Close()
			return nil, fmt.Errorf("sockets from the master: %w", err)
		}
		for i, name := range o.Names {
			set.Add(name, fds[i])
		}
		refused = append(refused, o.Errors...)
		switch {
		case o.More:
		case o.Kind == handoff.Sockets:
			return set, nil
		case o.Kind == handoff.Refused:
			set.Close()
			return nil, refused
		case o.Kind == handoff.Stop:
			set.Close()
			return nil, ErrSaid // the configuration is the one that serves already
		default:
			set.Close()
			return nil, fmt.Errorf("sockets from the master: it said %q", o.Kind)
		}
	}
}

// memfile puts text into a file that has no name: it lives as long as
// somebody holds its descriptor.
func memfile(text []byte) (int, error) {
	if len(text) == 0 {
		return -1, unix.ENODATA
	}
	fd, err := unix.MemfdCreate("configuration", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for len(text) > 0 {
		n, err := unix.Write(fd, text)
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		text = text[n:]
	}
	return fd, nil
}
