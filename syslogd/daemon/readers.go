package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/receive"
)

// How many Readers a UDP port has changes in two steps: prepare opens sockets, which may fail and then refuses the configuration; resize gives them
// their part of the messages. In between the Keeper gets the new ones: whatever comes to them outlives this process.

// resizeTime bounds how long the Readers of an input may need for what came to them before their number changed.
const resizeTime = 30 * time.Second

// prepare opens the sockets for so many Readers. A socket unit's sockets may belong to another user, whose groups nobody joins: then it stays at
// those, with a warning.
func (in *input) prepare(ctx context.Context, readers int, log *slog.Logger) error {
	g, ok := in.source.(*receive.Group)
	if !ok {
		return nil
	}
	err := g.Prepare(ctx, readers)
	if held := g.Held(); err != nil && held > 0 {
		log.Warn("there are fewer readers than the configuration wants", "input", in.String(), "readers", held, "err", err)
		err = nil
	}
	return err
}

// fewReaders says so when an input has fewer Readers than it should; empty otherwise.
func (in *input) fewReaders(n int) string {
	wanted := int(in.readers.Load())
	if n == 0 || wanted <= n {
		return ""
	}
	return fmt.Sprintf("%d readers instead of %d: the sockets are a socket unit's; give it ReusePort=yes and the ListenDatagram= line %d times, or mask it, "+
		"and syslogd opens the sockets itself", n, wanted, wanted)
}

// resize gives the inputs as many Readers as the configuration wants: those that run at once, the others when they are started.
func (d *Daemon) resize(ctx context.Context, c *config.Config, inputs []*input) {
	ctx, cancel := context.WithTimeout(ctx, resizeTime)
	defer cancel()
	for _, in := range inputs {
		g, ok := in.source.(*receive.Group)
		if !ok {
			continue
		}
		i := slices.IndexFunc(c.Listen, func(l config.Listener) bool { return l.Listen == in.listen })
		readers := c.Listen[i].Readers
		in.readers.Store(int32(readers))
		if err := g.Resize(ctx, readers); err != nil {
			d.Log.Error("change the number of readers", "input", in.String(), "err", err)
		}
	}
}
