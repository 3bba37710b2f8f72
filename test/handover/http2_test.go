package handover

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// TestToolsOverReloads is h2load, over TLS and in plain, and wrk on kept TLS connections, each over 20 reloads: no request fails, and each
// client has the connection that it began with.
func TestToolsOverReloads(t *testing.T) {
	for _, c := range []struct {
		name    string
		clients int
		command func(s *site, seconds int) []string
	}{
		{"h2load TLS", 20, func(s *site, seconds int) []string {
			return []string{"h2load", "-t1", "-c20", "-m20", "-D", strconv.Itoa(seconds), "https://" + s.https + "/bytes/200"}
		}},
		{"h2load plain", 20, func(s *site, seconds int) []string {
			return []string{"h2load", "-t1", "-c20", "-m20", "-D", strconv.Itoa(seconds), "http://" + s.http + "/bytes/200"}
		}},
		{"wrk TLS", 21, // it connects once before, to see whether it can
			func(s *site, seconds int) []string {
				return []string{"wrk", "-t1", "-c20", "-d", fmt.Sprintf("%ds", seconds), "https://" + s.https + "/bytes/200"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reloads := make(chan int, 1)
			go func() {
				n := 0
				for ; n < 20 && ctx.Err() == nil; n++ {
					if out, err := s.lb.Reload(t.Context()); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				}
				reloads <- n
			}()
			words := c.command(s, sized(1, 20))
			out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
			cancel()
			n := <-reloads
			if err != nil {
				t.Fatalf("%v: %v\n%s", words, err, out)
			}
			s.alone()
			if got := s.stat("fe", "FRONTEND", "conn_tot"); got != c.clients {
				t.Errorf("%d connections of %d clients", got, c.clients)
			}
			if m := regexp.MustCompile(`(\d+) failed, (\d+) errored, (\d+) timeout`).FindSubmatch(out); words[0] == "h2load" && (m == nil || !bytes.Equal(m[0], []byte("0 failed, 0 errored, 0 timeout"))) ||
				bytes.Contains(out, []byte("Socket errors")) || bytes.Contains(out, []byte("Non-2xx")) {
				t.Errorf("after %d reloads:\n%s", n, out)
			}
			t.Logf("%d reloads, %s", n, regexp.MustCompile(`(?m)^(finished in.*|requests:.*|Requests/sec:.*)$`).FindAll(out, -1))
		})
	}
}
