package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
)

// serveMetrics answers /metrics on the configured address until ctx is done. With no address it does nothing.
func (d *Daemon) serveMetrics(ctx context.Context) error {
	if d.Config.Metrics == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.Config.Metrics)
	if err != nil {
		return fmt.Errorf("metrics: %w%s", err, wayOut(err, "tcp"))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if err := d.status().WriteMetrics(w); err != nil {
			d.Log.Debug("metrics", "err", err)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { server.Close() })
	d.tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.Log.Error("metrics", "err", err)
		}
	})
	return nil
}

// mark writes a line of our own, syslog.warning, to the outputs that want it. Called by watchDrops only, whose Stage it is.
func (d *Daemon) mark(h receive.Handler, text string) {
	now := time.Now()
	if zone := d.table.Load().Zone; zone != nil {
		now = now.In(zone)
	}
	line := message.AppendHeader(nil, message.Priority(message.Syslog, message.Warning), now, "", "syslogd", os.Getpid())
	line = append(line, text...)
	h.Begin(now)
	h.Message(&receive.Sender{Local: true}, line, len(line))
	h.End()
}
