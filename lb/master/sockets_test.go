package master

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// TestBindLinesCostTheirNumber counts the names that are made while sockets are looked for: what each bind line costs must not grow with the number of the
// others, of which there may be thousands.
func TestBindLinesCostTheirNumber(t *testing.T) {
	const lines = 1000
	r := hearer(t)
	r.retiring = new(handoff.Set)
	w := &worker{}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) }) // the set has the number alone
	for i := range lines {
		want := handoff.Want{Network: "tcp", Address: fmt.Sprintf("127.0.%d.%d:80", i/250, i%250)}
		w.wants = append(w.wants, want)
		r.sockets.Add(want.Key(), fd)
	}
	// What a name and a look cost, with room.
	const each = 20
	if n := testing.AllocsPerRun(1, func() {
		w.others = r.unwantedBy(w)
		for _, want := range w.wants {
			if _, ok := r.inOtherForm(w, want); ok {
				t.Fatal("a socket that is wanted is taken for another")
			}
			if _, err := r.openBesideOurOwn(w, want, unix.EADDRINUSE); !errors.Is(err, unix.EADDRINUSE) {
				t.Fatal(err)
			}
		}
	}); n > each*lines {
		t.Errorf("%d bind lines make %.0f names and the like, %d times their number", lines, n, int(n)/lines)
	}
	r.current = w
	if n := testing.AllocsPerRun(1, func() { r.closeUnwanted(true) }); n > each*lines {
		t.Errorf("%d bind lines that stay make %.0f names and the like, %d times their number", lines, n, int(n)/lines)
	}
	if n := r.sockets.Len(); n != lines {
		t.Errorf("%d sockets are left of %d", n, lines)
	}
}
