package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/route"
)

func setInputLimits(c *config.Config, inputs []*input) {
	for _, in := range inputs {
		i := slices.IndexFunc(c.Listen, func(l config.Listener) bool { return l.Listen == in.listen })
		in.counts.Limit.SetRate(c.Listen[i].Limit)
	}
}

// setOutputLimits is for outputs that are those of c in the same order.
func setOutputLimits(c *config.Config, outputs []*output) {
	for i, o := range outputs {
		o.limit.SetRate(c.Outputs[i].Limit)
	}
}

const (
	// limitsPeriod comes between two reports of what limits have dropped.
	limitsPeriod = 10 * time.Second
	// reportedSenders is how many senders get a line of their own in one.
	reportedSenders = 20
	// limitedSenders is how many status lists.
	limitedSenders = 20
)

// watchLimits reports what limits have dropped: one line for each sender, not one for each message, to the outputs that take syslog.warning, and
// one for each input or output to the journal.
func (d *Daemon) watchLimits(ctx context.Context) {
	ticker := time.NewTicker(limitsPeriod)
	defer ticker.Stop()
	marks := route.NewStage(&d.table, &d.self)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.reportLimits(marks)
	}
}

func (d *Daemon) reportLimits(marks receive.Handler) {
	inputs, outputs := d.now()
	for _, in := range inputs {
		report, rate := in.counts.Limit.Report(), in.counts.Limit.Rate().PerSecond
		all := uint64(0)
		for i, who := range report {
			all += who.Dropped
			if i < reportedSenders {
				d.mark(marks, fmt.Sprintf("%d messages of %s to %s dropped in %d s, limit %d/s", who.Dropped, senderName(who), in, limitsPeriod/time.Second, rate))
			}
		}
		if n := len(report) - reportedSenders; n > 0 {
			d.mark(marks, fmt.Sprintf("messages of %d more senders to %s dropped in %d s, limit %d/s", n, in, limitsPeriod/time.Second, rate))
		}
		if all > 0 {
			d.Log.Warn("messages of senders beyond their limit were dropped", "input", in.String(), "messages", all, "senders", len(report),
				"worst", senderName(report[0]), "limit", rate)
		}
	}
	for _, o := range outputs {
		for _, who := range o.limit.Report() {
			rate := o.limit.Rate().PerSecond
			d.mark(marks, fmt.Sprintf("%d messages for %s dropped in %d s, limit %d/s", who.Dropped, o, limitsPeriod/time.Second, rate))
			d.Log.Warn("messages beyond the limit of an output were dropped", "SYSLOGD_OUTPUT", o.Name(), "messages", who.Dropped, "limit", rate)
		}
	}
}

// senderName is how a report calls a sender.
func senderName(l route.Limited) string {
	switch {
	case l.Others:
		return "senders too many to be told apart"
	case l.Sender == netip.Addr{}:
		return "this host"
	}
	return l.Sender.WithZone("").String()
}

// limitedStatus is the senders that an input drops most of.
func limitedStatus(l *route.Limiter) (worst []control.LimitedSender) {
	for _, who := range l.Worst(limitedSenders) {
		worst = append(worst, control.LimitedSender{Sender: senderName(who), Dropped: who.Dropped})
	}
	return worst
}
