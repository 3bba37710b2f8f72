package e2e

import (
	"io"
	"testing"
)

// TestTCPEcho passes bytes both ways at once, with the client ending its side first: what was sent before still comes back.
func TestTCPEcho(t *testing.T) {
	s := start(t, options{})
	for _, n := range []int{0, 1, 1000, 5_000_000} {
		c := dial(t, s.tcp)
		text := pattern(n)
		go func() {
			io.WriteString(c, text)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c.r)
		if err != nil || string(got) != text {
			t.Errorf("%d of %d bytes came back, %v", len(got), n, err)
		}
	}
	c := dial(t, s.tcp)
	for range 3 { // a conversation
		c.send("ping")
		answer := make([]byte, 4)
		if _, err := io.ReadFull(c.r, answer); err != nil || string(answer) != "ping" {
			t.Fatalf("%q %v", answer, err)
		}
	}
	c.CloseWrite()
	c.ended()
}
