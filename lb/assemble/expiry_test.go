package assemble

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A balancer may run for a year without a reload: it warns in time, once a day.
func TestCertificatesAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		now := time.Now()
		cert := func(name string, days int) served {
			return served{"lb.cfg:3: " + name, &x509.Certificate{
				Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 0, days),
			}}
		}
		all := []served{cert("a.test", 400), cert("b.test", 16)}
		rt := &Runtime{tlsFiles: tlsFiles{leaves: func() []served { return all }}}
		rt.env.Logger = slog.New(slog.NewTextHandler(&out, nil))
		ctx, cancel := context.WithTimeout(t.Context(), 20*24*time.Hour+time.Minute)
		defer cancel()
		rt.watchCertificates(ctx)
		if n := strings.Count(out.String(), "lb.cfg:3: b.test: the certificate for b.test expire"); n != 18 { // from the third day on
			t.Errorf("%d warnings:\n%s", n, out.String())
		}
		if n := strings.Count(out.String(), "expired on"); n != 4 || strings.Contains(out.String(), "a.test") {
			t.Errorf("%d days after its end:\n%s", n, out.String())
		}
	})
}
