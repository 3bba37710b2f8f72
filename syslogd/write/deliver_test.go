package write

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/rotate"
)

// TestDeliverReturnsWhenLinesAreInTheFile delivers directly and through the queue.
func TestDeliverReturnsWhenLinesAreInTheFile(t *testing.T) {
	o, path := output(t, 1<<20)
	want := ""
	for i := range 20 {
		if i == 10 {
			o.mu.Lock()
			o.direct = time.Now().Add(time.Hour) // as after a slow write
			o.mu.Unlock()
		}
		line := strings.Repeat("x", i) + "\n"
		want += line
		if buf, err := o.Deliver(t.Context(), []byte(line), 1); err != nil || len(buf) > 0 {
			t.Fatal(buf, err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Fatalf("line %d is not in the file: %q, %v", i, text, err)
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Deliver(t.Context(), []byte("y\n"), 1); !errors.Is(err, errEnded) {
		t.Errorf("after Close: %v", err)
	}
	if c := o.Counts(); c.Given != 20 || c.Written != 20 {
		t.Errorf("%+v", c)
	}
}

// TestDeliverWaitsForTheDisk holds that lines enter neither the ring nor the file while the disk refuses, and go there when it does not.
func TestDeliverWaitsForTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the way of the directory
		t.Fatal(err)
	}
	file, err := rotate.Open(filepath.Join(dir, "x.log"), rotate.Options{Late: true})
	if err != nil {
		t.Fatal(err)
	}
	o := New("x", file, 1<<20, nil)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := o.Deliver(ctx, []byte("one\n"), 1)
		gaveUp <- err
	}()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if c := o.Counts(); c.Given != 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Deliver(t.Context(), []byte("two\n"), 1); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "x.log")); err != nil || string(text) != "two\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// TestDeliverDropsNothingForWantOfRoom gives more than fits, while somebody writes and does not come to an end.
func TestDeliverDropsNothingForWantOfRoom(t *testing.T) {
	o, path := output(t, 10)
	o.mu.Lock()
	o.busy = true
	o.mu.Unlock()
	o.Give([]byte("12345678\n"), 1)
	delivered := make(chan error)
	go func() {
		_, err := o.Deliver(t.Context(), []byte("abcdefgh\n"), 1)
		delivered <- err
	}()
	select {
	case err := <-delivered:
		t.Fatalf("delivered, with %v", err)
	case <-time.After(2 * deliverPause):
	}
	o.mu.Lock()
	o.busy = false
	o.idle.Broadcast()
	o.mu.Unlock()
	if err := <-delivered; err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "12345678\nabcdefgh\n" {
		t.Errorf("%q, %v", text, err)
	}
	if c := o.Counts(); c.Given != 2 || c.Written != 2 || c.Overflow != 0 {
		t.Errorf("%+v", c)
	}
}
