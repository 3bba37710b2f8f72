package route

import (
	"context"
	"errors"
	"sync/atomic"

	"lbsyslogd/syslogd/receive"
)

var _ receive.Deliverer = (*Stage)(nil)

// NewDeliverer is NewStage for messages whose senders keep them until they are written: Deliver ends each batch.
func NewDeliverer(current *atomic.Pointer[Table], counts *Counts) *Stage {
	s := NewStage(current, counts)
	s.kept = true
	return s
}

// errDenied is why a batch is not delivered whose sender was allowed to connect, and is not any more.
var errDenied = errors.New("the address may not send any more")

// Deliver implements receive.Deliverer. The lines go to one output after the other. It does not hold the table while it waits: a reload may close an
// output meanwhile, which is an error then.
func (s *Stage) Deliver(ctx context.Context) (err error) {
	if s.denied > 0 {
		err = errDenied
	}
	for i := range s.lanes {
		if l := &s.lanes[i]; l.other > 0 {
			s.table.rules[i].Files.CountOther(l.other)
			l.other = 0
		}
	}
	table := s.table
	s.release()
	for i := range s.lanes {
		l, r := &s.lanes[i], &table.rules[i]
		if l.lines > 0 {
			err = l.deliver(ctx, r, err)
		}
		for _, of := range l.active {
			if of.lines > 0 {
				err = of.deliver(ctx, r, err)
			}
			if len(l.files) > bigLanes && cap(of.buf) > smallLane {
				of.buf = nil
			}
		}
		l.active = l.active[:0]
		if len(l.files) > idleLanes {
			clear(l.files)
		}
	}
	return err
}

// deliver has the lines written, unless something is wrong with the batch already. Either way the lane is empty then.
func (l *lane) deliver(ctx context.Context, r *Rule, err error) error {
	switch {
	case err != nil:
		l.buf = l.buf[:0]
	case r.Files != nil:
		l.buf, err = r.Files.Deliver(ctx, l.file, l.buf, l.lines)
	default:
		l.buf, err = r.Output.Deliver(ctx, l.buf, l.lines)
	}
	l.lines = 0
	return err
}
