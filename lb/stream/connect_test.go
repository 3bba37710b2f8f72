package stream

import "testing"

// TestRetryDelay: a server that refused has a moment to come back; one that took all of timeout connect has had it. HAProxy waits so.
func TestRetryDelay(t *testing.T) {
	for _, c := range []struct {
		who           byte
		timeout, want int64
	}{
		{'S', 0, 1000}, {'S', 300, 300}, {'S', 5000, 1000},
		{'s', 0, 0}, {'s', 300, 0}, {'s', 5000, 0},
	} {
		if got := retryDelay(c.who, c.timeout); got != c.want {
			t.Errorf("failed as %c with timeout connect %d: tried again in %d ms, want %d", c.who, c.timeout, got, c.want)
		}
	}
}
