package stream

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestLimits: heads may be as large, and have as many fields, as the
// configuration says.
func TestLimits(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Long", req.Header.Get("X-Long"))
		w.Header()["X-Many"] = req.Header["X-Many"]
		io.WriteString(w, "seen")
	})
	for _, test := range []struct {
		limits     Limits
		long, many int
		status     int
	}{
		{Limits{}, 12_000, 80, 200},
		{Limits{}, 17_000, 1, 400},
		{Limits{}, 1, 110, 400},
		{Limits{Head: 100_000, Fields: 1000}, 90_000, 1, 200},
		{Limits{Head: 100_000, Fields: 1000}, 100, 900, 200},
		{Limits{Head: 100_000}, 110_000, 1, 400},
	} {
		r := newRig(t, true, []string{srv}, func(r *rig) { r.Limits = test.limits })
		for _, p := range []protocol{http1Plain, http2Plain} {
			req, _ := http.NewRequest("GET", p.url(r)+"/", nil)
			long := strings.Repeat("x", test.long)
			req.Header.Set("X-Long", long)
			for range test.many {
				req.Header.Add("X-Many", "1")
			}
			resp, err := p.client(t).Do(req)
			if p == http2Plain && test.status == 400 && err != nil && strings.Contains(err.Error(), "larger than peer's advertised limit") {
				continue // the client has read our settings before it sent the request
			}
			if err != nil {
				t.Errorf("%v %+v: %v", p, test, err)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != test.status || test.status == 200 && (resp.Header.Get("X-Long") != long || len(resp.Header["X-Many"]) != test.many || string(body) != "seen") {
				t.Errorf("%v %+v: %s, %d bytes, %d fields, %q", p, test, resp.Status, len(resp.Header.Get("X-Long")), len(resp.Header["X-Many"]), body)
			}
		}
	}
}
