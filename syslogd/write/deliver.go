package write

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbsyslogd/rotate"
)

// Delivery is for lines whose sender keeps them until they are written. Nothing is dropped:
//
//  1. lines wait with their reader while the disk refuses, or while there is no room for them: they enter neither the ring nor a full queue,
//  2. then they go the way of all others, and the reader waits until they are through,
//  3. if the disk has begun to refuse meanwhile, it waits until the ring is empty again, and must not have dropped anything.

// errEnded is why lines cannot be delivered to an output that a reload has closed.
var errEnded = errors.New("the output is closed")

// deliverPause is between two looks at a file that the disk refuses to write to or cannot be opened.
const deliverPause = 50 * time.Millisecond

// Deliver gives lines and returns when they are in the file, forced to the disk if its SyncPolicy is SyncAlways. An error means that they may not
// be, or may be all the same: ctx was done first, or the output was closed, or the disk has refused for longer than the ring lasts.
func (o *Output) Deliver(ctx context.Context, lines []byte, n int) (empty []byte, err error) {
	if n == 0 {
		return lines[:0], nil
	}
	before := o.file.Condition()
	for {
		given := false
		if before.Fine() {
			if lines, given, err = o.offer(ctx, lines, n); err != nil {
				return lines[:0], err
			}
		}
		if given {
			break
		}
		if err := o.pause(ctx, before); err != nil {
			return lines[:0], err
		}
		before = o.file.Condition()
	}
	for err == nil {
		after := o.file.Condition()
		switch {
		case after.Lost != before.Lost:
			err = fmt.Errorf("output %s: lines were lost meanwhile", o.name)
		case after.SyncFailures != before.SyncFailures: // the kernel may have given up the lines, and a sync after that would not say so
			err = fmt.Errorf("output %s: lines could not be forced to the disk", o.name)
		case after.Fine():
			return lines[:0], nil
		default:
			err = o.pause(ctx, after)
		}
	}
	return lines[:0], err
}

// offer gives lines if there is room for them, and returns when they are through.
func (o *Output) offer(ctx context.Context, lines []byte, n int) (empty []byte, given bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return lines, false, errEnded
	}
	lost := o.lostHere
	o.given += uint64(n)
	switch {
	case o.writeNow(lines, n):
	case (o.size == 0 || o.size+len(lines) <= o.limit) && o.charge(lines):
		lines = o.enqueue(lines, n)
	default:
		o.given -= uint64(n)
		return lines, false, nil
	}
	if err := o.through(ctx, o.taken); err != nil {
		return lines[:0], true, err
	}
	if o.lostHere > lost {
		return lines[:0], true, errEnded
	}
	return lines[:0], true, nil
}

// pause waits a moment for a file.
func (o *Output) pause(ctx context.Context, c rotate.Condition) error {
	if c.Closed {
		return errEnded
	}
	if c.Unsynced {
		_ = o.file.Flush() // the next look says whether it worked
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("output %s: %w", o.name, context.Cause(ctx))
	case <-time.After(deliverPause):
		return nil
	}
}

// through returns when so many of the lines that were taken are through, or ctx is done. Called with mu held, which it gives up while it waits.
func (o *Output) through(ctx context.Context, until uint64) error {
	if o.done >= until {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.Broadcast()
	})()
	for o.done < until {
		if ctx.Err() != nil {
			return fmt.Errorf("output %s: %d lines still wait: %w", o.name, until-o.done, ctx.Err())
		}
		o.idle.Wait()
	}
	return nil
}

// Deliver is Output.Deliver for the file of a name. One that cannot be opened is tried again until ctx is done.
func (s *Set) Deliver(ctx context.Context, file string, lines []byte, n int) (empty []byte, err error) {
	for {
		m, err := s.acquire(file, uint64(n), true)
		if err == nil {
			defer s.release(m)
			return m.Deliver(ctx, lines, n)
		}
		if errors.Is(err, errEnded) {
			return lines[:0], err
		}
		select {
		case <-ctx.Done():
			return lines[:0], fmt.Errorf("output %s: %w", s.name, err)
		case <-time.After(deliverPause):
		}
	}
}
