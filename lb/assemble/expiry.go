package assemble

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/event"
)

// served is a certificate that clients are shown.
type served struct {
	where string // the bind line's place and the file
	leaf  *x509.Certificate
}

// watchCertificates warns once a day of certificates whose time is over, or
// soon will be, until ctx ends. Those of the start have been reported.
func (rt *Runtime) watchCertificates(ctx context.Context) {
	if rt.leaves == nil {
		return
	}
	day := time.NewTicker(24 * time.Hour)
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-day.C:
			for _, c := range rt.leaves() {
				if text := certs.Expiry(c.leaf, now); text != "" {
					rt.logEvent(slog.LevelWarn, event.Certificate, c.where+": "+text)
				}
			}
		}
	}
}
